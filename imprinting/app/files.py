"""The part of the interface for files: zips of photos, exports, and what can be opened."""

import concurrent.futures
import functools
import os
import tempfile
import uuid
from collections.abc import Callable
from typing import Any, BinaryIO

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from imprinting.app import requests
from imprinting.app.session import Session
from imprinting.project import exports, saved, zip_files
from imprinting.project.photo_embeddings import OnProgress
from imprinting.project.project import Project

_CHUNK = 1 << 20
_MOST_SKIPPED = 100
_LONGEST_NAME = 100
# A report is one file, and has no scripts.
_REPORT = {
    "content-security-policy": "sandbox; default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'"
}


def routes(session: Session) -> list[Route]:
    """The routes of this part."""
    project = session.project
    folder = str(project.store.folder)

    async def add_zip(request: Request) -> Response:
        # Without one, each photo would be a step for Undo.
        operation = request.query_params.get("operation", "")[:64] or uuid.uuid4().hex
        with session.task("zip") as show:
            with await requests.body_file(request, zip_files.MOST_BYTES, folder) as file:
                found = await session.run(_add_zip, project, file, operation, show, pool="tasks")
        return JSONResponse({**found, "version": project.store.now.version})

    async def open_file(request: Request) -> Response:
        name = _name(request)
        with session.task("open") as show:
            with await requests.body_file(request, zip_files.MOST_BYTES, folder) as file:
                await session.run(_open, project, file, name, show, pool="tasks")
        return JSONResponse({"version": project.store.now.version})

    async def export(request: Request) -> Response:
        name = request.path_params["name"]
        if exports.is_model_name(name):
            return _download(
                await session.run(project.classifier.file), name, "application/octet-stream"
            )
        if name in _SMALL:
            make, kind, headers = _SMALL[name]
            # A report takes seconds.
            pool = "results" if name == "report.html" else "work"
            return _download(await session.run(make, project, pool=pool), name, kind, headers)
        if name in _LARGE:
            return await _large(session, _LARGE[name], name)
        raise ValueError(
            "expected the name of an export, such as model.tflite, in letters, digits, _, - and ., "
            f"got {name[:100]!r}"
        )

    async def commands(request: Request) -> Response:
        del request
        return JSONResponse(exports.edge_tpu_commands())

    async def example(request: Request) -> Response:
        model = request.query_params.get("model", "model.tflite")
        if not exports.is_model_name(model):
            raise ValueError(f"expected a file's name that ends in .tflite, got {model[:100]!r}")
        return _download(exports.example(model).encode(), "example.py", "text/plain")

    return [
        Route("/api/zip", add_zip, methods=["POST"]),
        Route("/api/open", open_file, methods=["POST"]),
        Route("/api/export/edge_tpu.json", commands),
        Route("/api/export/example.py", example),
        Route("/api/export/{name}", export),
    ]


_SMALL: dict[str, tuple[Callable[[Project], bytes], str, dict[str, str]]] = {
    "edge_tpu.zip": (exports.edge_tpu_zip, "application/zip", {}),
    "labels.txt": (exports.labels_text, "text/plain", {}),
    "report.html": (exports.report_html, "text/html", _REPORT),
}
_LARGE: dict[str, Callable[[Project, BinaryIO], None]] = {
    "photos.zip": exports.photos_zip,
    "project.zip": saved.write,
}


async def _large(
    session: Session, write: Callable[[Project, BinaryIO], None], name: str
) -> Response:
    """A download that may not fit in memory."""
    file = tempfile.TemporaryFile(dir=session.project.store.folder)
    try:
        await session.run(write, session.project, file)
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return StreamingResponse(
        iter(functools.partial(file.read, _CHUNK), b""),
        media_type="application/zip",
        headers=_attached(name) | {"content-length": str(size)},
        background=BackgroundTask(file.close),
    )


def _add_zip(project: Project, file: BinaryIO, operation: str, show: OnProgress) -> dict[str, Any]:
    """Adds the photos of a zip file; those that cannot be read are skipped."""
    with zip_files.opened(file) as archive:
        found = zip_files.contents(archive)
        skipped, classes, unpacked = list(found.skipped), set[int](), 0

        def add(entry: zip_files.Entry) -> int | str:
            nonlocal unpacked
            try:
                if unpacked > zip_files.MOST_BYTES:
                    raise ValueError("the photos before it have too many bytes")
                data = zip_files.read(archive, entry.info)
                unpacked += len(data)
                return project.add_photo(
                    data, entry.name, class_name=entry.class_name, operation=operation
                ).class_id
            except ValueError as error:
                return f"{entry.info.filename[:200]}: {error}"

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            try:
                for done, result in enumerate(pool.map(add, found.photos), start=1):
                    if isinstance(result, str):
                        skipped.append(result)
                    else:
                        classes.add(result)
                    show(done, len(found.photos))
            finally:
                pool.shutdown(cancel_futures=True)
    more = len(skipped) - _MOST_SKIPPED
    return {
        "photos": len(found.photos) + len(found.skipped) - len(skipped),
        "classes": len(classes),
        "skipped": skipped[:_MOST_SKIPPED] + ([f"and {more:,} more"] if more > 0 else []),
    }


def _open(project: Project, file: BinaryIO, name: str, show: OnProgress) -> None:
    """Opens a .tflite or a saved project."""
    is_zip = file.read(4) == b"PK\3\4"
    file.seek(0)
    if not is_zip:
        data = file.read(saved.MOST_MODEL + 1)
        if len(data) > saved.MOST_MODEL:
            raise ValueError(f"expected a .tflite of at most {saved.MOST_MODEL:,} bytes, got more")
        project.open_network(data, name)
        return
    with zip_files.opened(file) as archive:
        if not saved.is_saved(archive):
            raise ValueError(
                "expected a .tflite, or a project.zip of this page, got another zip file; add a "
                "zip of photos with `Add a zip`"
            )
        saved.open_into(project, archive, name, show)


def _name(request: Request) -> str:
    """The name of the file that is sent, for messages."""
    name = request.query_params.get("name", "").replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in name if c.isprintable())[:_LONGEST_NAME]
    return kept or "a file"


def _download(data: bytes, name: str, kind: str, headers: dict[str, str] | None = None) -> Response:
    return Response(data, media_type=kind, headers=_attached(name) | (headers or {}))


def _attached(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}
