"""Pictures of results as SVG, for the page and for the report."""

import unicodedata
from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np

_CELL, _FONT, _GAP = 26, 13, 8
_MOST_CHARACTERS = 24
_MANY_CLASSES = 30
_SMALL_CELL = 14


def confusion(rows: Sequence[str], columns: Sequence[str], counts: np.ndarray) -> bytes:
    """The confusion matrix: a row for each true class, a column for each answer.

    Args:
      rows: the names of the true classes.
      columns: the names of the answers.
      counts: int [rows, columns], the number of photos.

    Returns:
      An SVG file, with colours for light and dark pages.
    """
    cell = _CELL if len(rows) <= _MANY_CLASSES else _SMALL_CELL
    font = min(_FONT, cell - 2)
    left = _GAP + font * max(map(_width, map(_shortened, rows)), default=0)
    top = _GAP + font * max(map(_width, map(_shortened, columns)), default=0)
    width, height = left + cell * len(columns) + _GAP, top + cell * len(rows) + _GAP
    svg = ElementTree.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
    )
    svg.set("font-family", "system-ui, sans-serif")
    svg.set("font-size", str(font))
    # An image does not inherit the colours of its page.
    ElementTree.SubElement(svg, "style").text = (
        "text{fill:#1b1f24}rect{fill:#0f6b5c}.empty{fill:#8883}.on{fill:#fff}"
        "@media(prefers-color-scheme:dark){text{fill:#e8eaed}rect{fill:#5fcfb5}"
        ".empty{fill:#8883}.on{fill:#06261f}}"
    )
    for number, name in enumerate(rows):
        y = top + cell * (number + 0.5)
        _text(svg, name, left - _GAP, y, anchor="end")
    for number, name in enumerate(columns):
        x = left + cell * (number + 0.5)
        text = _text(svg, name, x, top - _GAP, anchor="start")
        text.set("transform", f"rotate(-90 {x:.1f} {top - _GAP:.1f})")
    totals = np.maximum(counts.sum(axis=1), 1)
    for row, column in np.ndindex(*counts.shape):
        x, y = left + cell * column, top + cell * row
        count = int(counts[row, column])
        rect = ElementTree.SubElement(svg, "rect", x=f"{x + 1:.1f}", y=f"{y + 1:.1f}")
        rect.set("width", str(cell - 2))
        rect.set("height", str(cell - 2))
        if not count:
            rect.set("class", "empty")
            continue
        share = count / totals[row]
        rect.set("fill-opacity", f"{0.25 + 0.75 * share:.2f}")
        title = ElementTree.SubElement(rect, "title")
        title.text = f"{rows[row]}: {count} recognised as {columns[column]}"
        number_text = _text(svg, str(count), x + cell / 2, y + cell / 2, anchor="middle")
        if share > 1 / 2:
            number_text.set("class", "on")
    return ElementTree.tostring(svg)


def _text(
    parent: ElementTree.Element, text: str, x: float, y: float, *, anchor: str
) -> ElementTree.Element:
    found = ElementTree.SubElement(parent, "text", x=f"{x:.1f}", y=f"{y:.1f}")
    found.set("text-anchor", anchor)
    found.set("dominant-baseline", "central")
    found.text = _shortened(text)
    if found.text != text:
        ElementTree.SubElement(found, "title").text = text
    return found


def _shortened(name: str) -> str:
    return name if len(name) <= _MOST_CHARACTERS else name[: _MOST_CHARACTERS - 1] + "…"


def _width(text: str) -> float:
    """A bound of the width of a text, in units of its font's size."""
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> float:
    # Those of DejaVu Sans, which is wider than other fonts.
    if unicodedata.east_asian_width(character) in "WF" or character in "MWmw@%":
        return 1.0
    return 0.8 if character.isupper() else 0.64
