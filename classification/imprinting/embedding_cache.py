"""Embeddings of image files, kept by the contents of model and files."""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Sequence

import numpy as np

from classification import files
from classification.imprinting import embedder
from transforms.tflite import model_file, split
from transforms.tflite.model_graph import Model

# Part of the key: another number where other embeddings come of the same model and files.
_FORM = 1


def embed(
    model: Model,
    paths: Sequence[str],
    *,
    views: int,
    folder: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, dict[int, str]]:
    """As `embedder.embed`, but images that were embedded before are looked up.

    Args:
      model: see `embedder.embed`; that the embeddings depend on all before the last layer alone,
        so do the keys.
      paths: likewise.
      views: likewise.
      folder: where embeddings are kept, in a file for each model; is made. '' keeps nothing.
      on_progress: likewise, called for images that are not there yet.

    Raises:
      OSError: if a file cannot be written.
      ValueError: if what is kept is damaged.
    """
    if not folder:
        return embedder.embed(model, paths, views=views, on_progress=on_progress)
    extractor = model_file.serialise(split.split(model).extractor)
    key = hashlib.sha256(f"{_FORM} {views} ".encode() + extractor).hexdigest()[:16]
    place = os.path.join(folder, f"{key}.npz")
    known = _load(place)
    keys = [_key(path) for path in paths]
    missing = {name: path for name, path in zip(keys, paths, strict=True) if name not in known}
    found, wrong = embedder.embed(
        model, list(missing.values()), views=views, on_progress=on_progress
    )
    reasons = {name: wrong[i] for i, name in enumerate(missing) if i in wrong}
    known.update({n: e for n, e in zip(missing, found, strict=True) if n not in reasons})
    if len(reasons) < len(missing):
        os.makedirs(folder, exist_ok=True)
        data = io.BytesIO()
        np.savez(data, keys=np.array(list(known)), values=np.stack(list(known.values())))
        files.write_whole(place, data.getvalue())
    nothing = np.zeros(found.shape[1:], np.float32)
    embeddings = np.stack([known.get(name, nothing) for name in keys])
    return embeddings, {i: reasons[n] for i, n in enumerate(keys) if n in reasons}


def _key(path: str) -> str:
    """What a file's contents are known by; its path, where it cannot be read."""
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
            f"expected embeddings in {path}, but they cannot be read ({error}); remove that file"
        ) from error
