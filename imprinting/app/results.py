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
from imprinting.project.embedding_map import Method
from imprinting.project.project import Project
from imprinting.project.quality import Quality

_KEPT = "kept classes"
# The picture has its own colours for light and dark pages.
_PICTURE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


class _Qualities:
    """The quality of the present classes; it is computed once for a version of the project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._last: tuple[Any, Quality] | None = None

    def now(self) -> tuple[Any, Quality]:
        """The state of the project, and its quality."""
        state = self._project.state
        key = state.classes, state.base, state.keep_classes, state.fit
        if self._last is None or self._last[0] != key:
            self._last = key, self._project.quality()
        return state, self._last[1]


def routes(session: Session) -> list[Route]:
    """The routes of this part."""
    project, qualities = session.project, _Qualities(session.project)

    async def events(request: Request) -> Response:
        del request
        return StreamingResponse(session.events(), media_type="text/event-stream")

    async def classify(request: Request) -> Response:
        data = await requests.body(request, photo_check.MOST_BYTES)
        answers = await session.run(project.classify, data, pool="answers")
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
            await asyncio.shield(session.run(project.fit, show))
        return JSONResponse({"version": project.store.version})

    async def remove_fit(request: Request) -> Response:
        del request
        await session.run(project.change, lambda s: s.without_fit(), "remove the fit")
        return JSONResponse({"version": project.store.version})

    async def get_quality(request: Request) -> Response:
        del request
        return JSONResponse(await session.run(_quality, project, qualities))

    async def confusion(request: Request) -> Response:
        del request
        names, columns, counts = await session.run(_confusion, qualities)
        return JSONResponse({"rows": names, "columns": columns, "counts": counts.tolist()})

    async def confusion_svg(request: Request) -> Response:
        del request
        data = pictures.confusion(*await session.run(_confusion, qualities))
        return Response(data, media_type="image/svg+xml", headers=_PICTURE)

    async def get_map(request: Request) -> Response:
        method = request.query_params.get("method", "pca")
        if method not in {each.value for each in Method}:
            raise ValueError(f"expected the method pca or tsne, got {method[:100]!r}")
        return JSONResponse(await session.run(_map, project, Method(method)))

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


def _quality(project: Project, qualities: _Qualities) -> dict[str, Any]:
    state, found = qualities.now()
    classes = state.with_photos
    photos = [(each.id, photo) for each in classes for photo in each.photos]
    kept = project.built().names
    suspects = []
    for each in found.suspects:
        class_id, photo = photos[each.photo]
        is_own = each.likely < len(classes)
        suspects.append(
            {
                "photo": photo,
                "class": class_id,
                "likely": classes[each.likely].id if is_own else None,
                "likelyName": (
                    classes[each.likely].name if is_own else kept[each.likely - len(classes)]
                ),
                "margin": round(each.margin, 4),
            }
        )
    return {
        "version": project.store.version,
        "accuracy": found.accuracy(),
        "numPhotos": found.num_photos,
        "fitted": bool(state.active_fit and state.active_fit.weight),
        "classes": [
            {
                "id": each.id,
                "name": each.name,
                "photos": len(each.photos),
                "accuracy": found.accuracy(number),
            }
            for number, each in enumerate(classes)
        ],
        "suspects": suspects,
    }


def _confusion(qualities: _Qualities) -> tuple[list[str], list[str], np.ndarray]:
    state, found = qualities.now()
    names = [each.name for each in state.with_photos]
    counts = found.confusion(len(names))
    if counts[:, -1].any():
        return names, [*names, _KEPT], counts
    return names, names, counts[:, :-1]


def _map(project: Project, method: Method) -> dict[str, Any]:
    state = project.state
    photos = [(each.id, photo) for each in state.with_photos for photo in each.photos]
    found = np.zeros([0, 2])
    if photos:
        found = project.photos.of(state, [photo for _, photo in photos])
    places = embedding_map.places(found, method)
    return {
        "version": project.store.version,
        "points": [
            {"photo": photo, "class": class_id, "x": round(float(x), 4), "y": round(float(y), 4)}
            for (class_id, photo), (x, y) in zip(photos, places, strict=True)
        ],
    }
