"""Plots of an evaluation as PNG files: the same bytes from the same numbers."""

import io
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from classification.base import report_wheels
from classification.evaluation.class_counts import Examples

# All lengths are in pixels, at this many an inch.
_DPI = 100
_POINTS = 72 / _DPI

_MAX_NAMED_CLASSES = 80
_MAX_CLASSES_WITH_COUNTS = 20
_MATRIX_SIDE = 1300
_MIN_MATRIX_SIDE = 240
_CELL_SIZES = (20, 60)
_UNNAMED_CELL_SIZES = (2, 20)
_SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)

_PHOTO = 180
_GAP = 12
_ROW_TEXT = 52
_CAPTION = 24
_NAME_LENGTH = 32
_GREY = "0.35"


def confusion_matrix(matrix: np.ndarray, names: Sequence[str]) -> bytes:
    """A plot of a confusion matrix; each row is in fractions of its class's images.

    Classes that occur neither as label nor as answer are left out. Up to 80 classes are
    labelled with their names; of more, some are labelled with their numbers. Cells of up to 20
    classes contain the counts.

    Args:
      matrix: int [n, n], counts; rows are labels, columns answers.
      names: of the n classes.

    Returns:
      A PNG file.
    """
    labels = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    counts = matrix[np.ix_(labels, labels)]
    num = len(labels)
    sizes = _CELL_SIZES if num <= _MAX_NAMED_CLASSES else _UNNAMED_CELL_SIZES
    cell = int(np.clip(_MATRIX_SIDE // num, *sizes))
    side = max(num * cell, _MIN_MATRIX_SIDE)
    text = max(13, side // 75)
    figure = report_wheels.matplotlib().figure.Figure(dpi=_DPI)
    axes, bar = figure.add_axes((0, 0, 1, 1)), figure.add_axes((0, 0, 1, 1))
    shares = _draw_shares(axes, counts)
    if num <= _MAX_NAMED_CLASSES:
        shown = [_drawable(names, label) for label in labels.tolist()]
        _name_classes(axes, shown, min(text, cell * 0.7))
    else:
        _number_classes(axes, labels, text)
    axes.set_xlabel("the network's answer", fontsize=text * _POINTS)
    axes.set_ylabel("true class", fontsize=text * _POINTS)
    if num < len(matrix):
        note = f"{len(matrix) - num:,} classes that do not occur are left out"
        axes.set_title(note, fontsize=text * _POINTS)
    if num <= _MAX_CLASSES_WITH_COUNTS:
        _write_counts(axes, counts, text)
    _draw_bar(figure, bar, shares, text)
    _place(figure, {axes: (0, 0, side, side), bar: (side + 2 * text, 0, 1.5 * text, side)})
    return _png(figure)


def confused_pairs(
    rows: Sequence[Examples],
    *,
    photos: Mapping[int, np.ndarray],
    probability: np.ndarray,
    names: Sequence[str],
) -> bytes:
    """Photos of a class with another class as answer, and beside them photos of that class.

    Args:
      rows: the photos to show; may be empty.
      photos: uint8 [size, size, 3], by index, all photos of `rows`.
      probability: float [images], those of the network's answers.
      names: of the classes.

    Returns:
      A PNG file.
    """
    mpl = report_wheels.matplotlib()
    # Names need the width of several photos, even if there are fewer.
    left = max([3, *(len(row.confused) for row in rows)])
    right = max([2, *(len(row.right) for row in rows)])
    row_height = _ROW_TEXT + _PHOTO + _CAPTION + _GAP
    start_right = _GAP + left * (_PHOTO + _GAP) + 2 * _GAP
    width = start_right + right * (_PHOTO + _GAP)
    height = 3 * _GAP + _CAPTION + len(rows) * row_height
    figure = mpl.figure.Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    canvas = _Canvas(figure, width, height)
    if not rows:
        canvas.write(_GAP, _GAP, "All images are classified correctly.", 16, weight="bold")
        return _png(figure)
    note = "The most confused classes. Below each photo: the probability of the network's answer."
    canvas.write(_GAP, _GAP, note, 15, color=_GREY)
    for index, row in enumerate(rows):
        top = 2 * _GAP + _CAPTION + index * row_height
        label, predicted = (
            _drawable(names, i) for i in (row.confusion.label, row.confusion.predicted)
        )
        count = f"{row.confusion.count:,} of {row.images:,} images"
        canvas.write(_GAP, top, label, 16, weight="bold")
        canvas.write(_GAP, top + 24, f"taken for {predicted}: {count}", 14, color=_GREY)
        canvas.write(start_right, top, predicted, 16, weight="bold")
        about = "named right" if row.right else "no image of it is classified correctly"
        canvas.write(start_right, top + 24, about, 14, color=_GREY)
        for x, indices in ((_GAP, row.confused), (start_right, row.right)):
            for place, image in enumerate(indices):
                at = x + place * (_PHOTO + _GAP)
                canvas.show(at, top + _ROW_TEXT, photos[image])
                text = _probability(float(probability[image]))
                canvas.write(at, top + _ROW_TEXT + _PHOTO + 5, text, 14)
    return _png(figure)


class _Canvas:
    """Draws on a figure; positions are pixels from its upper left corner."""

    def __init__(self, figure: Any, width: int, height: int) -> None:
        self._figure, self._width, self._height = figure, width, height

    def write(self, x: int, y: int, text: str, size: int, **style: str) -> None:
        """Writes a line of text below y, `size` pixels high."""
        self._figure.text(
            x / self._width,
            1 - y / self._height,
            text,
            fontsize=size * _POINTS,
            verticalalignment="top",
            parse_math=False,
            **style,
        )

    def show(self, x: int, y: int, photo: np.ndarray) -> None:
        """Shows a photo, made _PHOTO pixels high and wide."""
        box = x / self._width, 1 - (y + _PHOTO) / self._height
        axes = self._figure.add_axes((*box, _PHOTO / self._width, _PHOTO / self._height))
        axes.imshow(photo, interpolation="nearest" if len(photo) < _PHOTO else "antialiased")
        axes.set_axis_off()


def _draw_shares(axes: Any, counts: np.ndarray) -> Any:
    images = counts.sum(axis=1, keepdims=True)
    no_images = np.broadcast_to(images == 0, counts.shape)
    shares = np.ma.masked_array(counts / np.maximum(images, 1), no_images)
    mpl = report_wheels.matplotlib()
    colours = mpl.colormaps["Blues"].with_extremes(bad="0.9")
    # The square root makes one error in a hundred images visible.
    norm = mpl.colors.PowerNorm(0.5, 0, 1)
    return axes.imshow(shares, cmap=colours, norm=norm, interpolation="nearest", aspect="auto")


def _name_classes(axes: Any, names: Sequence[str], text: float) -> None:
    places = np.arange(len(names))
    style = {"fontsize": text * _POINTS, "parse_math": False}
    upright = max(map(_columns, names)) <= 3
    axes.set_xticks(places, names, rotation=0 if upright else 90, **style)
    axes.set_yticks(places, names, **style)
    # Lines between the cells guide the eye.
    axes.set_xticks(places[1:] - 0.5, minor=True)
    axes.set_yticks(places[1:] - 0.5, minor=True)
    axes.grid(which="minor", color="0.9", linewidth=0.5)
    axes.tick_params(which="minor", length=0)


def _number_classes(axes: Any, labels: np.ndarray, text: float) -> None:
    step = next(step for step in (10, 20, 50, 100, len(labels)) if len(labels) <= 12 * step)
    places = np.arange(0, len(labels), step)
    numbers = [str(label) for label in labels[places]]
    axes.set_xticks(places, numbers, fontsize=text * _POINTS)
    axes.set_yticks(places, numbers, fontsize=text * _POINTS)


def _write_counts(axes: Any, counts: np.ndarray, text: float) -> None:
    images = np.maximum(counts.sum(axis=1), 1)
    for row, column in np.argwhere(counts):
        count = counts[row, column]
        dark = count / images[row] > 0.35
        axes.text(
            column,
            row,
            f"{count}",
            color="white" if dark else "black",
            fontsize=text * _POINTS,
            horizontalalignment="center",
            verticalalignment="center",
        )


def _draw_bar(figure: Any, axes: Any, shares: Any, text: float) -> None:
    bar = figure.colorbar(shares, cax=axes, ticks=_SHARES)
    axes.set_yticklabels([f"{share:.0%}" for share in _SHARES], fontsize=text * _POINTS)
    bar.set_label("fraction of the class's images", fontsize=text * _POINTS)
    bar.minorticks_off()


def _place(figure: Any, boxes: Mapping[Any, tuple[float, float, float, float]]) -> None:
    """Places the axes, and gives the figure the size that they and their texts need.

    In whole pixels, so that all cells of a matrix have the same size.
    """
    for axes, (x, y, width, height) in boxes.items():
        inches = figure.get_size_inches() * _DPI
        axes.set_position((x / inches[0], y / inches[1], width / inches[0], height / inches[1]))
    figure.canvas.draw()
    texts = figure.get_tightbbox()
    left, bottom = (int(np.ceil(max(0, -x * _DPI))) + _GAP for x in (texts.x0, texts.y0))
    total = [int(np.ceil(x * _DPI)) + _GAP for x in (texts.x1, texts.y1)]
    total[0] += left
    total[1] += bottom
    figure.set_size_inches(total[0] / _DPI, total[1] / _DPI)
    for axes, (x, y, width, height) in boxes.items():
        axes.set_position(
            (
                (x + left) / total[0],
                (y + bottom) / total[1],
                width / total[0],
                height / total[1],
            )
        )


def _drawable(names: Sequence[str], label: int) -> str:
    """A class's name, shortened; its number if the fonts lack a character of the name."""
    name = "".join(c if c.isprintable() else " " for c in names[label]).strip()
    if not name or not report_wheels.characters().issuperset(map(ord, name)):
        return f"class {label}"
    if _columns(name) <= _NAME_LENGTH:
        return name
    while _columns(name) >= _NAME_LENGTH:
        name = name[:-1]
    return name.rstrip() + "…"


def _columns(text: str) -> int:
    """The approximate width of a text in letters; Chinese, Japanese and Korean count twice."""
    return sum(2 if unicodedata.east_asian_width(c) in "FW" else 1 for c in text)


def _probability(value: float) -> str:
    return ">99 %" if value > 0.99 else f"{100 * value:.0f} %"


def _png(figure: Any) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=_DPI, metadata={"Software": None})
    return data.getvalue()
