"""Tests what an evaluation prints, on a terminal and in a file."""

import io

import numpy as np
import rich.console
from absl.testing import absltest, parameterized

from classification.evaluation import terminal_table
from classification.evaluation.evaluator import Result

_LABELS = np.repeat([0, 1, 2], [4, 8, 1])
_TOP = np.array([[0, 1], [1, 0], [1, 2], [2, 1]] + [[1, 0]] * 7 + [[0, 1], [2, 0]])
_RESULT = Result(_LABELS, _TOP, np.ones(13, np.float32), None)


def show(result: Result, names: tuple[str, ...], *, encoding: str = "utf-8", **options) -> str:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding, write_through=True) as file:
        console = rich.console.Console(file=file, highlight=False, **options)
        terminal_table.show(result, names, console=console)
        return raw.getvalue().decode(encoding)


class FileTest(parameterized.TestCase):
    def test_lines(self):
        expected = """\
Accuracy: 69.23 % (9 of 13 images)
Recall at 5: 84.62 % (11 of 13 images)
Balanced accuracy: 70.83 % (mean recall of 3 classes; 1 have no images)
Lowest recall
class  images    recall  precision  most often taken for
cat         4   25.00 %    50.00 %  2 x dog
dog         8   87.50 %    77.78 %  1 x cat
"""
        self.assertEqual(show(_RESULT, ("cat", "dog", "cow", "pig")), expected)

    def test_nothing_wrong(self):
        result = Result(_LABELS, _LABELS[:, np.newaxis], np.ones(13, np.float32), None)
        self.assertEqual(
            show(result, ("cat", "dog", "cow")),
            "Accuracy: 100.00 % (13 of 13 images)\nRecall at 5: 100.00 % (13 of 13 images)\n"
            "Balanced accuracy: 100.00 % (mean recall of 3 classes)\n",
        )

    def test_the_five_worst_of_many(self):
        labels = np.repeat(np.arange(20), 10)
        wrong = np.arange(200) % 10 < labels // 2
        top = np.where(wrong, 99, labels)[:, np.newaxis]
        shown = show(
            Result(labels, top, np.ones(200, np.float32), None), tuple(map(str, range(100)))
        )
        rows = shown.splitlines()[5:]
        self.assertEqual([row.split()[0] for row in rows], ["18", "19", "16", "17", "14"])

    @parameterized.parameters(
        ("x" * 300,), ("a name of many words " * 10,), ("蘋果" * 40,), ("[red]$x$:smile:\x1b[31m",)
    )
    def test_odd_names_fit_in_80_columns(self, name):
        lines = show(_RESULT, (name, name, name)).splitlines()
        self.assertLen(lines, 7)
        for line in lines:
            self.assertLessEqual(rich.cells.cell_len(line), 80)
            self.assertNotIn("\x1b", line)
        self.assertTrue(lines[5].startswith(name[:10]))
        self.assertRegex(lines[5], r" 4   25\.00 %    50\.00 %  2 x ")

    def test_names_that_the_file_cannot_hold(self):
        self.assertIn("na?ve", show(_RESULT, ("naïve", "dog", "蘋果"), encoding="ascii"))


class TerminalTest(parameterized.TestCase):
    @parameterized.parameters(60, 80, 200)
    def test_numbers_are_not_cut_and_long_names_wrap(self, width):
        name = "a name of many words that goes on and on, longer than a line of the table"
        shown = show(_RESULT, (name, "dog", "cow"), force_terminal=True, width=width)
        self.assertIn("Accuracy: 69.23 % (9 of 13 images)\n", shown)
        for text in ("25.00 %", "77.78 %", "precision"):
            self.assertIn(text, shown)
        for word in name.split():
            self.assertIn(word, shown)


if __name__ == "__main__":
    absltest.main()
