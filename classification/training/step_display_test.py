"""Tests of step_display.py, on a terminal and elsewhere."""

import io

import rich.console
from absl.testing import absltest

from classification.training.step_display import ConsoleDisplay, Step, SummaryTimer


def _console(terminal: bool, width: int = 120) -> tuple[rich.console.Console, io.StringIO]:
    text = io.StringIO()
    console = rich.console.Console(
        file=text, force_terminal=terminal, width=width, highlight=False, color_system=None
    )
    return console, text


class DisplayTest(absltest.TestCase):
    def test_describes_a_step(self):
        display = ConsoleDisplay(last_step=8000, every_n_steps=10, batch_size=32)
        self.assertEqual(
            display.describe(Step(800, 1.25, 0.045, 64.0)),
            "step 800/8000  loss 1.2500  rate 0.045  64.0 images/s  1:00:00 left",
        )

    def test_describes_a_step_without_end(self):
        display = ConsoleDisplay(last_step=None, every_n_steps=10, batch_size=32)
        self.assertEqual(
            display.describe(Step(1, 1.25, 0.045, 0.0)),
            "step 1  loss 1.2500  rate 0.045",
        )

    def test_prints_lines_off_a_terminal(self):
        console, text = _console(terminal=False)
        with ConsoleDisplay(
            last_step=25, every_n_steps=10, batch_size=8, console=console
        ) as display:
            for number in range(3, 26):
                display.show(Step(number, 2.0, 0.1, 100.0))
        numbers = [line.split()[1] for line in text.getvalue().splitlines()]
        self.assertEqual(numbers, ["3/25", "10/25", "20/25", "25/25"])

    def test_keeps_one_line_on_a_terminal(self):
        console, text = _console(terminal=True)
        with ConsoleDisplay(
            last_step=25, every_n_steps=10, batch_size=8, console=console
        ) as display:
            for number in range(1, 26):
                display.show(Step(number, 2.0, 0.1, 100.0))
        # After the live line is wiped, only the last step remains.
        last = text.getvalue().splitlines()[-1]
        self.assertIn("step 25/25", last)
        self.assertNotIn("step 24/25", last)

    def test_fits_a_narrow_terminal(self):
        console, text = _console(terminal=True, width=80)
        with ConsoleDisplay(
            last_step=250_000, every_n_steps=10, batch_size=8, console=console
        ) as display:
            display.show(Step(100_000, 2.1234, 0.0123, 1000.0))
        self.assertIn("0:20:00 left", text.getvalue())


class SummaryTimerTest(absltest.TestCase):
    def _triggers(self, timer: SummaryTimer, last: int) -> list[int]:
        found = []
        for step in range(1, last + 1):
            if timer.should_trigger_for_step(step):
                timer.update_last_triggered_step(step)
                found.append(step)
        return found

    def test_steps_come_first(self):
        timer = SummaryTimer(every_secs=10_000, every_steps=10)
        self.assertEqual(self._triggers(timer, 35), [1, 11, 21, 31])

    def test_seconds_alone(self):
        self.assertEqual(self._triggers(SummaryTimer(every_secs=10_000), 35), [1])

    def test_seconds_come_first(self):
        timer = SummaryTimer(every_secs=0, every_steps=10)
        self.assertEqual(self._triggers(timer, 5), [1, 2, 3, 4, 5])


if __name__ == "__main__":
    absltest.main()
