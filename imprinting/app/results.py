"""The part of the interface that answers: what photos show, fits, and how good the classes are."""

import asyncio
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from imprinting.app import requests
from imprinting.app.session import Session
from imprinting.project import embedding_map, photo_check, pictures
from imprinting.project.classifier import Judgement
from imprinting.project.embedding_map import Method
from imprinting.project.project import Project
from imprinting.project.state import State

# The picture has its own colours for light and dark pages.
_PICTURE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


class _Judge:
    """Judges the present classes, once for each state of them."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._last: tuple[Any, Judgement] | None = None

    def now(self) -> Judgement:
        """The judgement of the present classes."""
        now, last = self._project.store.now, self._last
        if last is not None and last[0] == _key(now.state):
            # The version may be another one, for example after Undo and Redo.
            return last[1]._replace(now=now)
        found = self._project.classifier.judge()
        self._last = _key(found.now.state), found
        return found


def _key(state: State) -> Any:
    """What a judgement depends on."""
    return state.classes, state.base, state.keep_classes, state.fit


def routes(session: Session) -> list[Route]:
    """The routes of this part."""
    project, judge = session.project, _Judge(session.project)

    async def events(request: Request) -> Response:
        del request
        return StreamingResponse(session.events(), media_type="text/event-stream")

    async def classify(request: Request) -> Response:
        data = await requests.body(request, photo_check.MOST_BYTES)
        answers = await session.run(project.classifier.classify, data, pool="answers")
        return JSONResponse(
            {
                "answers": [
                    {"label": each.label, "probability": each.probability, "kept": each.is_kept}
                    for each in answers.best
                ],
                "known": answers.is_known,
                "milliseconds": round(answers.seconds * 1000, 1),
                "version": answers.version,
            }
        )

    async def fit(request: Request) -> Response:
        del request
        with session.task("fit") as show:
            await asyncio.shield(session.run(project.fit, show, pool="tasks"))
        return JSONResponse({"version": project.store.now.version})

    async def remove_fit(request: Request) -> Response:
        del request
        await session.run(project.change, lambda s: s.without_fit(), "remove the fit")
        return JSONResponse({"version": project.store.now.version})

    async def get_quality(request: Request) -> Response:
        del request
        return JSONResponse(await session.run(_quality, judge, pool="results"))

    async def confusion(request: Request) -> Response:
        del request
        names, columns, counts = await session.run(_confusion, judge, pool="results")
        return JSONResponse({"rows": names, "columns": columns, "counts": counts.tolist()})

    async def confusion_svg(request: Request) -> Response:
        del request
        data = pictures.confusion(*await session.run(_confusion, judge, pool="results"))
        return Response(data, media_type="image/svg+xml", headers=_PICTURE)

    async def get_map(request: Request) -> Response:
        method = request.query_params.get("method", "pca")
        if method not in {each.value for each in Method}:
            raise ValueError(f"expected the method pca or tsne, got {method[:100]!r}")
        return JSONResponse(await session.run(_map, project, Method(method), pool="results"))

    return [
        Route("/api/events", events),
        Route("/api/classify", classify, methods=["POST"]),
        Route("/api/fit", fit, methods=["POST"]),
        Route("/api/fit", remove_fit, methods=["DELETE"]),
        Route("/api/quality", get_quality),
        Route("/api/confusion", confusion),
        Route("/api/confusion.svg", confusion_svg),
        Route("/api/map", get_map),
    ]


def _quality(judge: _Judge) -> dict[str, Any]:
    now, built, found = judge.now()
    state, classes = now.state, now.state.with_photos
    photos = [(each.id, photo) for each in classes for photo in each.photos]
    suspects = []
    for each in found.suspects:
        class_id, photo = photos[each.photo]
        is_own = each.likely < len(classes)
        kept = each.likely - len(classes)
        suspects.append(
            {
                "photo": photo,
                "class": class_id,
                "likely": classes[each.likely].id if is_own else None,
                "likelyName": classes[each.likely].name if is_own else built.names[kept],
            }
        )
    return {
        "version": now.version,
        "accuracy": found.accuracy(),
        "numPhotos": found.num_photos,
        "fitted": bool(state.active_fit and state.active_fit.weight),
        "classes": [
            {
                "id": each.id,
                "name": each.name,
                "accuracy": found.accuracy(number),
            }
            for number, each in enumerate(classes)
        ],
        "suspects": suspects,
    }


def _confusion(judge: _Judge) -> tuple[list[str], list[str], np.ndarray]:
    now, _, found = judge.now()
    return found.table([each.name for each in now.state.with_photos])


def _map(project: Project, method: Method) -> dict[str, Any]:
    now = project.store.now
    photos = [(each.id, photo) for each in now.state.with_photos for photo in each.photos]
    found = np.zeros([0, 2])
    if photos:
        found = project.photos.of(now.state, [photo for _, photo in photos])
    places = embedding_map.places(found, method)
    return {
        "version": now.version,
        "points": [
            {"photo": photo, "class": class_id, "x": round(float(x), 4), "y": round(float(y), 4)}
            for (class_id, photo), (x, y) in zip(photos, places, strict=True)
        ],
    }
