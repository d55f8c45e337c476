"""Prints the result of an evaluation."""

from typing import Any

import rich.box
import rich.console
import rich.table
import rich.text

from classification.evaluation import class_counts
from classification.evaluation.class_counts import ClassCounts
from classification.evaluation.evaluator import Result

_WORST = 5
_NAME_WIDTH = 24
_WIDTH_OF_A_FILE = 80


def show(
    result: Result, names: tuple[str, ...], *, console: rich.console.Console | None = None
) -> None:
    """Prints accuracy, recall at 5, balanced accuracy, and the classes of the lowest recall.

    The classes are a table with lines on a terminal, and plain columns elsewhere, at most 80
    characters wide.

    Args:
      result: that of the evaluation.
      names: the network's classes.
      console: standard output by default.
    """
    console = console or rich.console.Console(highlight=False)
    for name, part, count in (
        ("Accuracy", result.accuracy, result.num_correct),
        ("Recall at 5", result.recall_at_5, result.num_in_top_5),
    ):
        _print(console, f"{name}: {_percent(part)} ({count:,} of {result.num_examples:,} images)")
    classes = class_counts.count_classes(result, len(names))
    with_images = [c for c in classes if c.images]
    without = len(classes) - len(with_images)
    note = f"; {without:,} have no images" if without else ""
    mean = _percent(class_counts.balanced_accuracy(classes))
    _print(
        console, f"Balanced accuracy: {mean} (mean recall of {len(with_images):,} classes{note})"
    )
    worst = sorted(with_images, key=lambda c: (c.correct / c.images, c.label))[:_WORST]
    worst = [c for c in worst if c.correct < c.images]
    if worst:
        _show_classes(console, worst, names)


def _show_classes(
    console: rich.console.Console, classes: list[ClassCounts], names: tuple[str, ...]
) -> None:
    live = console.is_terminal
    table = rich.table.Table(
        title="Lowest recall",
        title_justify="left",
        title_style="bold" if live else "",
        box=rich.box.SIMPLE_HEAD if live else None,
        pad_edge=live,
    )
    # Long names are wrapped; in a file they are cut, so that each class is one line.
    limits: dict[str, Any] = {} if live else {"max_width": _NAME_WIDTH, "no_wrap": True}
    table.add_column("class", **limits)
    for name, width in (("images", 6), ("recall", 8), ("precision", 9)):
        table.add_column(name, justify="right", no_wrap=True, min_width=width)
    table.add_column("most often taken for", **limits)
    for row in classes:
        taken_for = "" if row.taken_for is None else f"{row.times_taken:,} x {names[row.taken_for]}"
        table.add_row(
            _cell(console, names[row.label]),
            f"{row.images:,}",
            _percent(row.recall),
            _percent(row.precision),
            _cell(console, taken_for),
        )
    if live:
        console.print(table)
        return
    with console.capture() as printed:
        console.print(table, width=_WIDTH_OF_A_FILE)
    # Columns are padded with blanks, which a file does not need at the end of a line.
    _print(console, "\n".join(line.rstrip() for line in printed.get().splitlines()))


def _print(console: rich.console.Console, text: str) -> None:
    console.print(rich.text.Text(text), soft_wrap=True)


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{100 * part:.2f} %"


def _cell(console: rich.console.Console, text: str) -> rich.text.Text:
    """Text that rich does not interpret as markup, in characters that the console can show."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    return rich.text.Text(text.encode(console.encoding, "replace").decode(console.encoding))
