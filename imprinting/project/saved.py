"""A project in one zip file, to be opened again on this machine or another one.

project.json            the state, and the names of the photos' files
photos/12.jpg           the photos
models/DIGEST.tflite    networks that were opened or fitted
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import zipfile
from typing import BinaryIO

from imprinting.project import state as states
from imprinting.project import zip_files
from imprinting.project.network import Network
from imprinting.project.photo_embeddings import OnProgress, ignore
from imprinting.project.project import Project
from imprinting.project.state import State

_FORMAT = 1
_MOST_JSON = 16 << 20
# The most bytes of a network.
MOST_MODEL = 1 << 28


def write(project: Project, file: BinaryIO) -> None:
    """Writes a project as a zip file.

    Raises:
      OSError: if it cannot be written.
    """
    state = _without_lost(project)
    photos = {photo: project.store.photo(photo) for photo in dict.fromkeys(state.photos())}
    described = {
        "format": _FORMAT,
        "state": json.loads(state.to_json()),
        "photos": {str(p.id): {"file": p.path.name, "name": p.name} for p in photos.values()},
    }
    models = [state.base, state.fit.model if state.fit else ""]
    with zipfile.ZipFile(file, "w") as archive:
        text = json.dumps(described, ensure_ascii=False, indent=1)
        archive.writestr(zip_files.entry("project.json"), text)
        for digest in filter(None, models):
            archive.writestr(
                zip_files.entry(f"models/{digest}.tflite"), project.store.model(digest)
            )
        for photo in photos.values():
            archive.writestr(zip_files.entry(f"photos/{photo.path.name}"), photo.path.read_bytes())


def is_saved(archive: zipfile.ZipFile) -> bool:
    """Whether a zip file is a project."""
    return "project.json" in archive.namelist()


def open_into(
    project: Project, archive: zipfile.ZipFile, name: str, on_progress: OnProgress = ignore
) -> None:
    """Replaces the contents of a project by those of a zip file, completely or not at all.

    Args:
      project: the project.
      archive: the zip file; nothing in it is trusted.
      name: that of its file, for Undo.
      on_progress: called with the number of photos done and their number.

    Raises:
      ValueError: if it is not a project, or is damaged.
    """
    state, files = _description(archive)
    _check_models(archive, state, project)
    project.photos.check(state)
    wanted = list(dict.fromkeys(state.photos()))
    missing = [photo for photo in wanted if photo not in files]
    if missing:
        raise ValueError(f"expected all photos of the project, got none of number {missing[0]}")

    taken, unpacked = dict[int, int](), 0

    def take(photo: int) -> int:
        nonlocal unpacked
        file, original = files[photo]
        try:
            data = zip_files.read(archive, archive.getinfo(f"photos/{file}"))
            unpacked += len(data)
            if unpacked > zip_files.MOST_BYTES:
                raise ValueError(f"the photos have more than {zip_files.MOST_BYTES:,} bytes")
            return project.take_photo(data, original, state.base)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"expected photos that can be read in {name}, got {file}: {error}"
            ) from error

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            for photo, new in zip(wanted, pool.map(take, wanted), strict=True):
                taken[photo] = new
                on_progress(len(taken), len(wanted))
        finally:
            pool.shutdown(cancel_futures=True)
    project.replace(_renumbered(state, taken), f"open {name}")


def _description(archive: zipfile.ZipFile) -> tuple[State, dict[int, tuple[str, str]]]:
    """The state, and for each photo the name of its file in the archive, and its original name."""
    try:
        found = json.loads(zip_files.read(archive, archive.getinfo("project.json"), _MOST_JSON))
        if found["format"] != _FORMAT:
            raise ValueError(f"it has format {found['format']} instead of {_FORMAT}")
        files = {
            int(photo): (
                str(each["file"]),
                "".join(filter(str.isprintable, str(each["name"])))[:200],
            )
            for photo, each in found["photos"].items()
        }
        return states.from_json(json.dumps(found["state"])), files
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"expected a project that `imprinting app` saved, got another zip file ({error})"
        ) from error


def _check_models(archive: zipfile.ZipFile, state: State, project: Project) -> None:
    """Checks the networks, and stores them."""
    for digest in (state.base, state.fit.model if state.fit else ""):
        if not digest:
            continue
        try:
            info = archive.getinfo(f"models/{digest}.tflite")
        except KeyError as error:
            raise ValueError("expected the project's network in the file, got none") from error
        data = zip_files.read(archive, info, MOST_MODEL)
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError("expected the network that the project was made with, got another")
        if digest == state.base:
            Network(data, workers=1)
        project.store.add_model(data)


def _without_lost(project: Project) -> State:
    """The state without photos whose files were removed by another program."""
    state = project.state
    lost = {p for p in state.photos() if not project.store.photo(p).path.is_file()}
    classes = tuple(
        dataclasses.replace(each, photos=tuple(p for p in each.photos if p not in lost))
        for each in state.classes
    )
    return dataclasses.replace(state, classes=classes)


def _renumbered(state: State, taken: dict[int, int]) -> State:
    """The state with other numbers of photos."""
    classes = tuple(
        dataclasses.replace(each, photos=tuple(dict.fromkeys(taken[p] for p in each.photos)))
        for each in state.classes
    )
    fit = state.fit and dataclasses.replace(
        state.fit, photos=tuple(taken[p] for p in state.fit.photos if p in taken)
    )
    return dataclasses.replace(state, classes=classes, fit=fit)
