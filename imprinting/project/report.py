"""The report about a project: one HTML file without scripts, with figures and pictures."""

import base64
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.5rem 0;border-bottom:1px solid #8886;vertical-align:top}
th+th,td+td{text-align:right;padding-left:1rem;white-space:nowrap;width:1%}
td,p{overflow-wrap:anywhere}
td+td{font-variant-numeric:tabular-nums}
img{border-radius:4px;max-width:100%}
.photos{display:flex;flex-wrap:wrap;gap:4px;margin-top:.25rem}
.photos img{height:64px}
.suspect{display:flex;gap:1rem;align-items:center;margin:.25rem 0}
.suspect img{height:96px;max-width:40%}
.picture{overflow-x:auto}
.picture img{max-width:none}
"""


class Row(NamedTuple):
    """A class.

    Attributes:
      name: its name.
      num_photos: the number of its photos.
      accuracy: the fraction of these that are recognised when left out; None for a single one.
      thumbnails: some of its photos, as small JPEG files.
    """

    name: str
    num_photos: int
    accuracy: float | None
    thumbnails: Sequence[bytes]


class Contents(NamedTuple):
    """What the report says.

    Attributes:
      network: the name of the network.
      rows: the classes.
      num_kept: the number of the network's own classes that are kept.
      threshold: the probability below which a photo is unknown.
      accuracy: the fraction of all photos that are recognised when left out; None without any.
      num_left_out: the number of these.
      fit: what was fitted to the photos, in sentences; empty for nothing.
      confusion: the confusion matrix, as SVG.
      suspects: for each photo that may be in the wrong class, a sentence and a small JPEG file.
    """

    network: str
    rows: Sequence[Row]
    num_kept: int
    threshold: float
    accuracy: float | None
    num_left_out: int
    fit: str
    confusion: bytes
    suspects: Sequence[tuple[str, bytes]]


def html(contents: Contents) -> bytes:
    """Writes the report as the bytes of an HTML file."""
    page = ElementTree.Element("html", lang="en")
    head = ElementTree.SubElement(page, "head")
    ElementTree.SubElement(head, "meta", charset="utf-8")
    ElementTree.SubElement(
        head, "meta", name="viewport", content="width=device-width, initial-scale=1"
    )
    ElementTree.SubElement(head, "title").text = "Report about an image classifier"
    ElementTree.SubElement(head, "style").text = _STYLE
    body = ElementTree.SubElement(ElementTree.SubElement(page, "body"), "main")
    _add(body, "h1", "Report about an image classifier")
    _summary(body, contents)
    _add(body, "h2", "Classes")
    _classes(body, contents.rows)
    if contents.accuracy is not None:
        _add(body, "h2", "What is taken for what")
        _add(
            body,
            "p",
            "Each row is a class, and each column an answer of a classifier that was made without "
            "the photo. The numbers are photos. All kept classes are one column.",
        )
        picture = ElementTree.SubElement(body, "div", {"class": "picture"})
        _image(picture, "image/svg+xml", contents.confusion, "Confusion matrix")
    if contents.suspects:
        _add(body, "h2", "Photos that may be in the wrong class")
        for sentence, photo in contents.suspects:
            suspect = ElementTree.SubElement(body, "div", {"class": "suspect"})
            # The sentence beside it says what matters.
            _image(suspect, "image/jpeg", photo, "")
            _add(suspect, "p", sentence)
    text = ElementTree.tostring(page, encoding="unicode", method="html")
    return b"<!DOCTYPE html>\n" + text.encode()


def _summary(body: ElementTree.Element, contents: Contents) -> None:
    photos = _counted(sum(row.num_photos for row in contents.rows), "photo", "photos")
    classes = _counted(len(contents.rows), "new class", "new classes")
    kept = f" and {contents.num_kept:,} classes of its own" if contents.num_kept else ""
    _add(
        body,
        "p",
        f"The network is {contents.network}, with {classes} from {photos}{kept}. A photo is "
        f"unknown if its best class has a probability of less than {_percent(contents.threshold)}.",
    )
    if contents.accuracy is not None:
        left_out = _counted(contents.num_left_out, "photo is", "photos are")
        _add(
            body,
            "p",
            f"{_percent(contents.accuracy, 1)} of {left_out} recognised by a classifier that was "
            "made without them.",
        )
    if contents.fit:
        _add(body, "p", contents.fit)


def _classes(body: ElementTree.Element, rows: Sequence[Row]) -> None:
    table = ElementTree.SubElement(body, "table")
    heading = ElementTree.SubElement(table, "tr")
    for text in ("Class", "Photos", "Recognised"):
        _add(heading, "th", text).set("scope", "col")
    for row in rows:
        line = ElementTree.SubElement(table, "tr")
        photos = ElementTree.SubElement(_add(line, "td", row.name), "div", {"class": "photos"})
        for photo in row.thumbnails:
            _image(photos, "image/jpeg", photo, f"A photo of {row.name}")
        _add(line, "td", f"{row.num_photos:,}")
        _add(line, "td", "–" if row.accuracy is None else _percent(row.accuracy))  # noqa: RUF001


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def _counted(count: int, one: str, several: str) -> str:
    return f"1 {one}" if count == 1 else f"{count:,} {several}"


def _add(parent: ElementTree.Element, tag: str, text: str) -> ElementTree.Element:
    found = ElementTree.SubElement(parent, tag)
    found.text = text
    return found


def _image(
    parent: ElementTree.Element, kind: str, data: bytes, description: str
) -> ElementTree.Element:
    source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return ElementTree.SubElement(parent, "img", src=source, alt=description)
