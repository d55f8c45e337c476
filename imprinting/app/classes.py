"""The part of the interface that changes classes, photos and settings."""

import dataclasses
import os
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from imprinting import arguments
from imprinting.app import requests
from imprinting.app.session import Session
from imprinting.project import exports, photo_check, zip_files
from imprinting.project import state as states
from imprinting.project.project import Added, Project
from imprinting.project.state import State

_LONGEST_FILE_NAME = 200
_KINDS = {".jpg": "image/jpeg", ".png": "image/png", ".bmp": "image/bmp", ".webp": "image/webp"}
_KINDS |= {".gif": "image/gif"}
# A photo's number always means the same photo.
_FOR_EVER = {"cache-control": "private, max-age=31536000, immutable"}
# Of files that the page need not send.
_LIMITS = {
    "photoBytes": photo_check.MOST_BYTES,
    "zipBytes": zip_files.MOST_BYTES,
}


def described(project: Project, task: Any) -> dict[str, Any]:
    """The project as the page needs it."""
    store, now = project.store, project.store.now
    state = now.state
    names, network = store.names(), project.photos.network(state.base)
    replaced = network.replaced([each.name for each in state.with_photos])
    fit, photos = state.fit, set(state.photos())
    return {
        "version": now.version,
        "key": store.key,
        "project": str(store.folder),
        "classes": [
            {
                "id": each.id,
                "name": each.name,
                "photos": [{"id": photo, "name": names.get(photo, "")} for photo in each.photos],
            }
            for each in state.classes
        ],
        "numPhotos": state.num_photos,
        "keepClasses": state.keep_classes,
        "kept": {
            "count": len(network.labels) - len(replaced),
            "total": len(network.labels),
            "replaced": [network.labels[number] for number in replaced],
            "name": state.base_name or "ImageNet",
        },
        "threshold": state.threshold,
        "undo": now.undo_label,
        "redo": now.redo_label,
        "fit": fit
        and {
            "before": fit.before,
            "after": fit.after,
            "description": fit.description,
            "applies": state.active_fit is not None,
            "changedEmbedding": fit.weight > 0,
            "photosSince": len(photos - set(fit.photos)),
        },
        "task": task,
        "limits": _LIMITS,
    }


def routes(session: Session) -> list[Route]:
    """The routes of this part."""
    project = session.project

    def changed() -> JSONResponse:
        return JSONResponse({"version": project.store.now.version})

    async def get_project(request: Request) -> Response:
        del request
        return JSONResponse(await session.run(described, project, session.news["task"]))

    async def add_class(request: Request) -> Response:
        given = await requests.json_object(request, name=str)
        class_id, is_new = await session.run(project.add_class, given.get("name", ""))
        return JSONResponse(
            {"id": class_id, "version": project.store.now.version}, 201 if is_new else 200
        )

    async def rename(request: Request) -> Response:
        class_id = request.path_params["class_id"]
        given = await requests.json_object(request, name=str)
        name = states.checked_name(given.get("name", ""))
        await _change(session, lambda s: s.rename(class_id, name), f"rename to {name}")
        return changed()

    async def remove_class(request: Request) -> Response:
        class_id = request.path_params["class_id"]
        name = project.state.of(class_id).name
        await _change(session, lambda s: s.remove_class(class_id), f"remove {name}")
        return changed()

    async def merge(request: Request) -> Response:
        class_id = request.path_params["class_id"]
        into = (await requests.json_object(request, into=int)).get("into", 0)
        state = project.state
        label = f"merge {state.of(class_id).name} into {state.of(into).name}"
        await _change(session, lambda s: s.merge(class_id, into), label)
        return changed()

    async def add_photo(request: Request) -> Response:
        given = request.query_params
        class_id = requests.number(request, "class") if "class" in given else None
        async with session.uploads:
            data = await requests.body(request, photo_check.MOST_BYTES)
            added: Added = await session.run(
                project.add_photo,
                data,
                given.get("name", "")[-_LONGEST_FILE_NAME:],
                class_id=class_id,
                class_name=given.get("class_name", ""),
                operation=given.get("operation", "")[:64],
                pool="photos",
            )
        return JSONResponse(
            {
                "photo": added.photo,
                "class": added.class_id,
                "duplicate": added.is_duplicate,
                "version": project.store.now.version,
            },
            200 if added.is_duplicate else 201,
        )

    async def remove_photo(request: Request) -> Response:
        photo, class_id = request.path_params["photo"], requests.number(request, "class")
        label = f"remove a photo of {project.state.of(class_id).name}"
        await _change(session, lambda s: s.remove_photo(class_id, photo), label)
        return changed()

    async def move_photo(request: Request) -> Response:
        photo = request.path_params["photo"]
        given = await requests.json_object(request, **{"from": int, "to": int})
        source, target = given.get("from", 0), given.get("to", 0)
        label = f"move a photo to {project.state.of(target).name}"
        await _change(session, lambda s: s.move_photo(photo, source, target), label)
        return changed()

    async def settings(request: Request) -> Response:
        given = await requests.json_object(request, keepClasses=bool, threshold=float)
        values: dict[str, Any] = {}
        if "threshold" in given:
            values["threshold"] = arguments.threshold(given["threshold"])
        if "keepClasses" in given:
            values["keep_classes"] = given["keepClasses"]
        # Moving the slider is one step for Undo.
        operation = "threshold" if {*values} == {"threshold"} else ""
        label = "change the threshold" if operation else "change which classes are kept"
        await _change(session, lambda s: dataclasses.replace(s, **values), label, operation)
        return changed()

    async def undo(request: Request) -> Response:
        del request
        await session.run(project.undo)
        return changed()

    async def redo(request: Request) -> Response:
        del request
        await session.run(project.redo)
        return changed()

    async def new(request: Request) -> Response:
        del request
        await _change(session, lambda s: State(next_id=s.next_id), "start a new project")
        return changed()

    async def kept(request: Request) -> Response:
        words = request.query_params.get("query", "").casefold().split()
        limit = requests.number(request, "limit") if "limit" in request.query_params else 50
        network = project.network()
        replaced = set(network.replaced([each.name for each in project.state.with_photos]))
        names = [name for i, name in enumerate(network.labels) if i not in replaced]
        found = [name for name in names if all(word in name.casefold() for word in words)]
        return JSONResponse({"names": found[:limit], "matches": len(found)})

    async def thumbnail(request: Request) -> Response:
        data = await session.run(exports.thumbnail, project, request.path_params["photo"])
        return Response(data, media_type="image/jpeg", headers=_FOR_EVER)

    async def photo_file(request: Request) -> Response:
        path = project.store.photo(request.path_params["photo"]).path
        # Otherwise the answer would have begun before that is noticed.
        os.stat(path)
        return FileResponse(path, media_type=_KINDS[path.suffix], headers=_FOR_EVER)

    return [
        Route("/api/project", get_project),
        Route("/api/classes", add_class, methods=["POST"]),
        Route("/api/classes/{class_id:int}", rename, methods=["PATCH"]),
        Route("/api/classes/{class_id:int}", remove_class, methods=["DELETE"]),
        Route("/api/classes/{class_id:int}/merge", merge, methods=["POST"]),
        Route("/api/photos", add_photo, methods=["POST"]),
        Route("/api/photos/{photo:int}", remove_photo, methods=["DELETE"]),
        Route("/api/photos/{photo:int}/move", move_photo, methods=["POST"]),
        Route("/api/photos/{photo:int}/thumbnail", thumbnail),
        Route("/api/photos/{photo:int}/file", photo_file),
        Route("/api/settings", settings, methods=["POST"]),
        Route("/api/undo", undo, methods=["POST"]),
        Route("/api/redo", redo, methods=["POST"]),
        Route("/api/new", new, methods=["POST"]),
        Route("/api/kept", kept),
    ]


async def _change(session: Session, change: Any, label: str, operation: str = "") -> None:
    await session.run(session.project.change, change, label, operation)
