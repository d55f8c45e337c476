"""Checks that a JPEG file has all its pixels; decoders do not report missing ones but invent them.

ITU-T T.81, annex B, describes markers and segments.
"""

import re
from typing import NamedTuple

from imprinting.photos import large_images

try:
    import simplejpeg
except ImportError:  # The package does not need it.
    simplejpeg = None

HEAD = b"\xff\xd8"

_MARKER = re.compile(rb"\xff+([^\x00\xff])")
# Entropy-coded data contains restart markers, and 0xff followed by 0, which are not its end.
_MARKER_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_COEFFICIENTS = 64
_PROGRESSIVE = b"\xff\xc2"

# Decoding to an eighth of the size reads all entropy-coded data, but does little else.
_SMALLEST = {"min_height": 1, "min_width": 1, "min_factor": 8}
_DECODED_AS = {"Gray": "GRAY", "YCbCr": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "YCCK": "CMYK"}
# Those of libjpeg's warnings (jerror.h) that mean that it invented pixels.
_MISSING = re.compile("premature end|bad Huffman code|instead of RST", re.IGNORECASE)
_LEFT_OVER = re.compile("([0-9]+) extraneous bytes")
# A fraction of the file: if more is left over, the decoder lost its position and pixels are wrong.
_MOST_LEFT_OVER = 0.05
# No encoder writes so many bytes of 0 inside a scan.
_ZEROS = bytes(64)


class Checked(NamedTuple):
    """A JPEG file that has all its pixels.

    Attributes:
      data: the file, without stray bytes between its segments, and with an end marker.
      complaint: the damage of the original file; '' for none.
      is_quiet: whether decoders have no warnings about the data; these do not name the file.
    """

    data: bytes
    complaint: str
    is_quiet: bool


def check(data: bytes) -> Checked | None:
    """Checks that a JPEG file has all its pixels.

    Args:
      data: the file, which begins with `HEAD`.

    Returns:
      The file; None if libjpeg cannot decode it at all, for example a lossless JPEG, if it has too
      many pixels, or if there is no simplejpeg, which finds out whether pixels are missing inside a
      scan.

    Raises:
      ValueError: if pixels are missing; the message is a part of a sentence.
    """
    repaired, complaints, has_end, last_scan = _repair(data)
    if simplejpeg is None:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(repaired, strict=False)
        # The marker may also be in a thumbnail, which does no harm.
        is_progressive = _PROGRESSIVE in repaired
        if large_images.is_too_large_jpeg(width, height, is_progressive=is_progressive):
            return None
        warning = _warning(repaired, _DECODED_AS[colours])
    # It is a KeyError if there are other numbers of colours than 1, 3 and 4.
    except (ValueError, KeyError):
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
    return Checked(repaired, ", ".join(complaints), not warning)


def _warning(data: bytes, colours: str) -> str:
    """Libjpeg's first warning about a file, or ''; raises ValueError if it cannot decode it."""
    options = {"colorspace": colours, **_SMALLEST}
    try:
        simplejpeg.decode_jpeg(data, **options, strict=True)
    except ValueError as error:
        # If it was an error and not a warning, this raises it again.
        simplejpeg.decode_jpeg(data, **options, strict=False)
        return str(error)
    return ""


def _repair(data: bytes) -> tuple[bytes, list[str], bool, bytes]:
    """Removes stray bytes between segments, and adds a missing end marker.

    Returns:
      The file, what was wrong with it, whether it had an end marker, and its last scan's data.

    Raises:
      ValueError: if it ends inside a segment or before its last scan.
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
            end = position + max(2, int.from_bytes(data[position : position + 2], "big"))
            if end > len(data):
                raise ValueError("pixels are missing (it ends early)")
            segment, position = data[position:end], end
            if match[1][0] == _START_OF_SCAN:
                after = _MARKER_AFTER_SCAN.search(data, position)
                end = after.start() if after else len(data)
                scans.append(segment)
                last_scan, position = data[position:end], end
        kept.append(data[match.start() : position])
    else:
        if not _are_complete(scans):
            raise ValueError("pixels are missing (it ends early)")
        # The file may have the first byte of the marker.
        kept[-1] = kept[-1].rstrip(b"\xff")
        kept.append(bytes([0xFF, _END_OF_IMAGE]))
    complaints = [f"{stray} stray bytes"] * bool(stray) + ["no end marker"] * (match is None)
    repaired = b"".join(kept) if complaints else data
    return repaired, complaints, match is not None, last_scan


def _are_complete(scans: list[bytes]) -> bool:
    """Whether the scans of a file have all coefficients of each of their components.

    Args:
      scans: the headers of the scans (annex B.2.3).
    """
    missing: dict[int, set[int]] = {}
    for scan in scans:
        first, last, bits = scan[-3:]
        for component in scan[3:-3:2]:
            left = missing.setdefault(component, set(range(_COEFFICIENTS)))
            if bits & 15 == 0:
                left -= set(range(first, last + 1))
    # If each colour has its own scans, all scans of the last colours may be missing unnoticed.
    return bool(scans) and not any(missing.values())
