"""Arrays in a file of NumPy's format (.npz), the same bytes for the same arrays."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imprinting.base import atomic_files


def write(path: str, arrays: Mapping[str, Any]) -> None:
    """Writes arrays by name, completely or not at all."""
    data = io.BytesIO()
    np.savez(data, **arrays)
    atomic_files.write_atomically(path, data.getvalue())


def read(path: str, names: Sequence[str], *, what: str) -> dict[str, np.ndarray]:
    """Reads an .npz file with these arrays, all finite.

    Args:
      path: the file.
      names: those of the arrays.
      what: what the file should hold, for errors.

    Raises:
      OSError: if it cannot be read.
      ValueError: if it is not such a file, or has other arrays or NaN in them.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"expected {what} in {path}, got no .npz file ({error})") from error
    if set(arrays) != set(names):
        raise ValueError(
            f"expected {what} in {path}, with the arrays {', '.join(names)}, got "
            f"{', '.join(arrays) or 'none'}"
        )
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"expected finite numbers in {path}, got NaN or infinity in {name}")
    return arrays
