"""Keeps embeddings of image files, under the content of network and files."""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Sequence

import numpy as np

from imprinting.base import atomic_files

# Part of the key; to be raised when the same network and files give different embeddings.
_FORM = 3

# Returns the embeddings of files, float32 [n, ...], and by index why files cannot be read.
Embed = Callable[[Sequence[str]], tuple[np.ndarray, dict[int, str]]]


def embed(
    compute: Embed, paths: Sequence[str], *, key: bytes, folder: str
) -> tuple[np.ndarray, dict[int, str]]:
    """Computes embeddings, or looks up those that were computed before.

    Args:
      compute: computes embeddings.
      paths: image files.
      key: everything that embeddings depend on, except the files.
      folder: the folder to keep them in, one file for each key; it is made if it does not exist.
        '' keeps nothing.

    Returns:
      What `compute` returns for all paths.

    Raises:
      OSError: if a file cannot be written.
      ValueError: if a kept file is damaged.
    """
    if not folder:
        return compute(paths)
    digest = hashlib.sha256(f"{_FORM} ".encode() + key).hexdigest()[:16]
    place = os.path.join(folder, f"{digest}.npz")
    known = _load(place)
    keys = [_key(path) for path in paths]
    missing = {name: path for name, path in zip(keys, paths, strict=True) if name not in known}
    found, wrong = compute(list(missing.values()))
    reasons = {name: wrong[i] for i, name in enumerate(missing) if i in wrong}
    known.update({n: e for n, e in zip(missing, found, strict=True) if n not in reasons})
    if len(reasons) < len(missing):
        os.makedirs(folder, exist_ok=True)
        data = io.BytesIO()
        np.savez(data, keys=np.array(list(known)), values=np.stack(list(known.values())))
        atomic_files.write_atomically(place, data.getvalue())
    nothing = np.zeros(found.shape[1:], np.float32)
    embeddings = np.stack([known.get(name, nothing) for name in keys])
    return embeddings, {i: reasons[n] for i, n in enumerate(keys) if n in reasons}


def _key(path: str) -> str:
    """A hash of a file's content, or its path if it cannot be read."""
    if not os.path.isfile(path):
        # Opening a pipe would wait for a writer.
        return path
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return path


def _load(path: str) -> dict[str, np.ndarray]:
    if not os.path.exists(path):
        return {}
    try:
        with np.load(path) as kept:
            return dict(zip(kept["keys"].tolist(), kept["values"], strict=True))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"expected embeddings in {path}, got a file that cannot be read ({error}); remove it"
        ) from error
