"""Checks what users pass to a `Model`."""

import operator
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from imprinting.base import labels
from imprinting.photos.pixel_reader import Source

UNKNOWN = "unknown"
_MOST_THREADS = 256


def label(value: Any) -> str:
    """Returns the name of a class in Unicode's form NFC.

    Raises:
      ValueError: if it is not a line of printable text, has space at either end, or means that no
        class was recognised.
    """
    if not isinstance(value, str):
        raise ValueError(f"expected a label, a str, got {value!r}")
    name = labels.normalised(value)
    if name.strip() != name or not name:
        raise ValueError(f"expected a label with text and no space at either end, got {value!r}")
    labels.check_names([name], "a model")
    if name == UNKNOWN:
        raise ValueError(
            f"expected a label other than {UNKNOWN!r}, which is the answer below the threshold; "
            "take another name"
        )
    return name


def class_number(value: Any, names: Sequence[str]) -> int:
    """Returns the number of a class that is given by its name or its number.

    Args:
      value: a str or an integer.
      names: the names of the classes.

    Raises:
      ValueError: if there is no such class, or several have the name.
    """
    if isinstance(value, str):
        name = labels.normalised(value)
        numbers = [number for number, other in enumerate(names) if other == name]
        if not numbers:
            raise ValueError(f"expected the name of a class, got {value!r}, which no class has")
        if len(numbers) > 1:
            raise ValueError(
                f"expected the name of one class, got {value}, and classes "
                f"{', '.join(map(str, numbers))} have it; give the number of one"
            )
        return numbers[0]
    number = _integer(value, "the name or the number of a class")
    if not 0 <= number < len(names):
        raise ValueError(f"expected the number of a class, 0..{len(names) - 1}, got {number}")
    return number


def top(value: Any) -> int:
    """Returns a number of classes; raises a ValueError unless it is an integer of at least 1."""
    number = _integer(value, "top")
    if number < 1:
        raise ValueError(f"expected top to be at least 1, got {number}")
    return number


def threshold(value: Any) -> float:
    """Returns a probability; raises a ValueError unless it is a number in [0, 1]."""
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    if not is_number or not 0 <= value <= 1:
        raise ValueError(f"expected a threshold in [0, 1], got {value!r}")
    return float(value)


def num_threads(value: Any) -> int:
    """Returns a number of threads; raises a ValueError unless it is an integer in 1..256."""
    number = _integer(value, "num_threads")
    if not 1 <= number <= _MOST_THREADS:
        raise ValueError(f"expected num_threads in 1..{_MOST_THREADS}, got {number}")
    return number


def switch(value: Any, name: str) -> bool:
    """Returns a bool; raises a ValueError for anything else, such as "no"."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"expected {name} to be True or False, got {value!r}")
    return bool(value)


def photos(value: Source | Iterable[Source]) -> list[Source]:
    """Returns one or several photos as a list.

    Raises:
      ValueError: if it is neither a photo nor something that contains photos.
    """
    is_one = isinstance(value, (str, bytes, bytearray, os.PathLike, Image.Image))
    is_pixels = isinstance(value, np.ndarray) and value.dtype != object and value.ndim < 4
    if is_one or is_pixels or hasattr(value, "read"):
        return [value]  # type: ignore[list-item]
    if not isinstance(value, Iterable):
        raise ValueError(f"expected photos, got {value!r}")
    return [*value]


def described(photo: Any, index: int | None = None) -> str:
    """Returns what errors call a photo."""
    place = "" if index is None else f" {index}"
    if isinstance(photo, (str, os.PathLike)):
        return f"photo{place} {os.fspath(photo)!r}"
    return f"photo{place}, a {type(photo).__name__}"


def _integer(value: Any, what: str) -> int:
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return operator.index(value)
    except TypeError as error:
        raise ValueError(f"expected {what} as an integer, got {value!r}") from error
