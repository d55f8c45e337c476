"""Whether a JPEG file has all its pixels, which decoders do not tell: they make up what is missing.

Markers and segments: ITU-T T.81, annex B.
"""

import re
from typing import NamedTuple

import simplejpeg

HEAD = b"\xff\xd8"

_MARKER = re.compile(rb"\xff+([^\x00\xff])")
# Within entropy-coded data stand markers that restart it, and 0xff with a 0 behind it.
_MARKER_BEHIND_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_COEFFICIENTS = 64

# Decoding to an eighth of the size reads all of the entropy-coded data, and costs little more.
_SMALLEST = {"min_height": 1, "min_width": 1, "min_factor": 8}
_DECODED_AS = {"Gray": "GRAY", "YCbCr": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "YCCK": "CMYK"}
# Of libjpeg's warnings (jerror.h), those after which pixels are made up.
_MISSING = re.compile("premature end|bad Huffman code|instead of RST", re.IGNORECASE)
_LEFT_OVER = re.compile("([0-9]+) extraneous bytes")
# Of the file: with more, what was decoded has lost its place on the way.
_MOST_LEFT_OVER = 0.05
# As many bytes of 0 as no encoder leaves at the end of a scan that goes on.
_ZEROS = bytes(64)


class Checked(NamedTuple):
    """A JPEG file that has all its pixels.

    Attributes:
      data: the file, without stray bytes between its segments, and with an end marker.
      complaint: what is wrong with it all the same; '' where nothing is.
      is_quiet: whether decoders have nothing to say of the data, without the file's name.
    """

    data: bytes
    complaint: str
    is_quiet: bool


def check(data: bytes) -> Checked | None:
    """Checks that a JPEG file has all its pixels.

    Args:
      data: the file, which begins with `HEAD`.

    Returns:
      The file, or None where libjpeg does not decode it at all, such as lossless JPEG.

    Raises:
      ValueError: if pixels are missing; a part of a sentence says why.
    """
    mended, complaints, has_end, last_scan = _mend(data)
    try:
        warning = _warning(mended)
    except ValueError:
        return None
    if _MISSING.search(warning):
        raise ValueError(f"pixels are missing ({warning})")
    if last_scan.endswith(_ZEROS) and (not has_end or _LEFT_OVER.search(warning)):
        raise ValueError("pixels are missing (its end is filled with zeros)")
    left_over = _LEFT_OVER.search(warning)
    if left_over and int(left_over[1]) > len(data) * _MOST_LEFT_OVER:
        raise ValueError(f"pixels are damaged ({warning})")
    if warning:
        complaints.append(warning)
    return Checked(mended, ", ".join(complaints), not warning)


def _warning(data: bytes) -> str:
    """Libjpeg's first warning about a file, or ''; ValueError if it cannot be decoded."""
    _, _, colours, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    options = {"colorspace": _DECODED_AS[colours], **_SMALLEST}
    try:
        simplejpeg.decode_jpeg(data, **options, strict=True)
    except ValueError as error:
        # With another error than a warning, this raises it again.
        simplejpeg.decode_jpeg(data, **options, strict=False)
        return str(error)
    return ""


def _mend(data: bytes) -> tuple[bytes, list[str], bool, bytes]:
    """Leaves out stray bytes between segments, and sets an end marker where there is none.

    Returns:
      The file, what was wrong with it, whether it had an end marker, and its last scan's data.

    Raises:
      ValueError: if it ends within a segment, or before its last scan.
    """
    position = 2
    kept = [data[:position]]
    stray = 0
    scans: list[bytes] = []
    last_scan = b""
    while (match := _MARKER.search(data, position)) is not None:
        stray += match.start() - position
        position = match.end()
        if match[1][0] == _END_OF_IMAGE:
            kept.append(data[match.start() :])
            break
        if match[1][0] not in _WITHOUT_LENGTH:
            end = position + max(2, int.from_bytes(data[position : position + 2]))
            if end > len(data):
                raise ValueError("pixels are missing (it ends early)")
            segment, position = data[position:end], end
            if match[1][0] == _START_OF_SCAN:
                behind = _MARKER_BEHIND_SCAN.search(data, position)
                end = behind.start() if behind else len(data)
                scans.append(segment)
                last_scan, position = data[position:end], end
        kept.append(data[match.start() : position])
    else:
        if not _are_all(scans):
            raise ValueError("pixels are missing (it ends early)")
        # The first byte of the marker may be there.
        kept[-1] = kept[-1].rstrip(b"\xff")
        kept.append(bytes([0xFF, _END_OF_IMAGE]))
    complaints = [f"{stray} stray bytes"] * bool(stray) + ["no end marker"] * (match is None)
    mended = b"".join(kept) if complaints else data
    return mended, complaints, match is not None, last_scan


def _are_all(scans: list[bytes]) -> bool:
    """Whether scans, of which a file may have many, hold all of each of their components.

    Args:
      scans: their headers, as annex B.2.3 has them.
    """
    missing: dict[int, set[int]] = {}
    for scan in scans:
        first, last, bits = scan[-3:]
        for component in scan[3:-3:2]:
            left = missing.setdefault(component, set(range(_COEFFICIENTS)))
            if bits & 15 == 0:
                left -= set(range(first, last + 1))
    # Where colours have scans of their own, the last ones may be missing altogether.
    return bool(scans) and not any(missing.values())
