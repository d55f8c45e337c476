"""Shows training steps: on a terminal, as plain lines elsewhere, and in TensorBoard."""

import collections
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import rich.console
import rich.progress
import tensorflow.compat.v1 as tf

from imprinting.base.progress_bar import ProgressBar

_WINDOW = 50
_WIDTH_FOR_BAR = 110


@dataclasses.dataclass(frozen=True)
class Step:
    """What is known after a training step.

    Attributes:
      number: the global step.
      loss: total loss, weight decay included.
      learning_rate: of this step.
      images_per_second: over the last steps; 0 after the first.
    """

    number: int
    loss: float
    learning_rate: float
    images_per_second: float


class SummaryTimer(tf.train.SecondOrStepTimer):
    """Says when summaries are due: a number of seconds or steps after the previous ones."""

    def __init__(self, *, every_secs: int, every_steps: int = 0) -> None:
        """Creates the timer; with every_steps of 0, only seconds count."""
        super().__init__(every_secs=every_secs)
        self._steps = every_steps

    def should_trigger_for_step(self, step: int) -> bool:
        """Whether summaries are due after a step."""
        last = self.last_triggered_step()
        enough = bool(self._steps) and last is not None and step >= last + self._steps
        return enough or super().should_trigger_for_step(step)


class SummaryHook(tf.train.SummarySaverHook):
    """Writes a graph's summaries whenever a timer says so."""

    def __init__(self, timer: SummaryTimer, **options: Any) -> None:
        """Creates the hook.

        Args:
          timer: used by no other hook.
          options: those of `SummarySaverHook`.
        """
        super().__init__(save_steps=1, **options)
        # The base class takes seconds or steps, but not both.
        self._timer = timer


class StepHook(tf.train.SessionRunHook):
    """Gives each training step to a display, and images/s to TensorBoard."""

    def __init__(
        self,
        *,
        loss: tf.Tensor,
        learning_rate: tf.Tensor,
        step: tf.Tensor,
        batch_size: int,
        display: "Display",
        summary_dir: str | None,
        timer: SummaryTimer,
    ):
        """Creates the hook.

        Args:
          loss: scalar, read after the step's updates.
          learning_rate: scalar.
          step: the global step, read after the step's updates.
          batch_size: images per step.
          display: shows steps.
          summary_dir: where images/s are written; None writes none.
          timer: says when images/s are written; used by no other hook.
        """
        self._fetches = {"loss": loss, "rate": learning_rate, "step": step}
        self._batch_size = batch_size
        self._display = display
        self._times: collections.deque[float] = collections.deque(maxlen=_WINDOW)
        self._begin = 0.0
        self._is_first = True
        self._summary_dir = summary_dir
        self._timer = timer if summary_dir else None

    def after_create_session(self, session: tf.Session, coord: tf.train.Coordinator) -> None:
        """Starts to measure again."""
        del session, coord
        self._is_first = True

    def before_run(self, run_context: tf.train.SessionRunContext) -> tf.train.SessionRunArgs:
        """Requests the values that are shown."""
        del run_context
        self._begin = time.monotonic()
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(
        self, run_context: tf.train.SessionRunContext, run_values: tf.train.SessionRunValues
    ) -> None:
        """Shows the step."""
        del run_context
        values = run_values.results
        # Only the time of the steps counts, not that of other work between them, such as an
        # evaluation. A session's first step does not count: it includes TensorFlow's setup.
        if not self._is_first:
            self._times.append(time.monotonic() - self._begin)
        self._is_first = False
        seconds = sum(self._times)
        rate = self._batch_size * len(self._times) / seconds if seconds else 0.0
        number = int(values["step"])
        self._display.show(Step(number, float(values["loss"]), float(values["rate"]), rate))
        if self._timer is not None and rate and self._timer.should_trigger_for_step(number):
            self._timer.update_last_triggered_step(number)
            value = tf.Summary.Value(tag="images_per_second", simple_value=rate)
            writer = tf.summary.FileWriterCache.get(self._summary_dir)
            writer.add_summary(tf.Summary(value=[value]), number)


def _show_nothing(done: int, total: int) -> None:
    del done, total


class Display:
    """Shows the steps and messages of a training run; this base class shows nothing."""

    def show(self, step: Step) -> None:
        """Shows a step."""

    def say(self, text: str) -> None:
        """Shows a message of one line or more."""

    def progress(self) -> contextlib.AbstractContextManager[Callable[[int, int], None]]:
        """A function that shows how many of all images are done, while the context is open."""
        return contextlib.nullcontext(_show_nothing)


class ConsoleDisplay(Display):
    """Shows steps on one live line on a terminal, and on plain lines elsewhere.

    Use it as a context manager, which ends the live line.
    """

    def __init__(
        self,
        *,
        last_step: int | None,
        every_n_steps: int,
        batch_size: int,
        console: rich.console.Console | None = None,
    ):
        """Creates the display.

        Args:
          last_step: the step at which training ends; None if it has no end.
          every_n_steps: how often a line is printed if there is no terminal.
          batch_size: images per step, used to estimate the time left.
          console: standard output by default.
        """
        self._last_step = last_step
        self._every_n_steps = every_n_steps
        self._batch_size = batch_size
        self._console = console or rich.console.Console(highlight=False)
        columns: list[rich.progress.ProgressColumn] = [
            rich.progress.TextColumn("{task.description}")
        ]
        if self._console.width >= _WIDTH_FOR_BAR:
            columns.append(rich.progress.BarColumn(bar_width=20))
        self._line = rich.progress.Progress(
            *columns,
            console=self._console,
            transient=True,
        )
        self._live = self._console.is_terminal
        self._task: rich.progress.TaskID | None = None
        self._last: Step | None = None

    def __enter__(self) -> "ConsoleDisplay":
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._line.stop()
            if self._last is not None:
                self._console.print(self.describe(self._last))

    def show(self, step: Step) -> None:
        """Shows a step: every step on a terminal, elsewhere only the multiples of every_n_steps."""
        first = self._last is None
        self._last = step
        if self._live:
            if self._task is None:
                # Not earlier: work before the first step may show a progress bar.
                self._line.start()
                self._task = self._line.add_task("", total=self._last_step)
            self._line.update(self._task, completed=step.number, description=self.describe(step))
        elif first or step.number % self._every_n_steps == 0 or step.number == self._last_step:
            self._console.print(self.describe(step), soft_wrap=True)

    def say(self, text: str) -> None:
        """Shows a message, above the live line if there is one."""
        self._console.print(text, soft_wrap=True, markup=False)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[int, int], None]]:
        """A function that shows a progress bar, while the context is open."""
        with ProgressBar() as bar:
            yield bar.show

    def describe(self, step: Step) -> str:
        """A step in words: number, loss, learning rate, images/s and time left; 80 columns."""
        of = f"/{self._last_step}" if self._last_step is not None else ""
        text = f"step {step.number}{of}  loss {step.loss:.4f}  rate {step.learning_rate:.4g}"
        if step.images_per_second:
            text += f"  {step.images_per_second:.1f} images/s"
            if self._last_step is not None:
                left = (self._last_step - step.number) * self._batch_size / step.images_per_second
                minutes, seconds = divmod(round(left), 60)
                hours, minutes = divmod(minutes, 60)
                text += f"  {hours}:{minutes:02}:{seconds:02} left"
        return text
