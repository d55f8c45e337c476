"""The server of the page."""

import contextlib
import errno
import os
import pathlib
import secrets
import socket
import stat
from collections.abc import AsyncIterator, Callable

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from imprinting.app import classes, files, results
from imprinting.app.guard import Guard
from imprinting.app.requests import TooLargeError
from imprinting.app.session import BusyError, Session
from imprinting.base import program
from imprinting.photos.photo_file import BadImageError
from imprinting.project.classifier import NoClassesError
from imprinting.project.state import ConflictError

_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_LEAST_TOKEN = 32


class Server:
    """Serves the page of a project."""

    def __init__(self, folder: str, *, host: str, port: int) -> None:
        """Opens the project and the port.

        Args:
          folder: the project's folder; see `Store`.
          host: the address to listen on.
          port: the port; 0 for any that is free.

        Raises:
          OSError: if the port is in use, or the project cannot be written.
          ValueError: if the folder contains something else than a project.
        """
        self._socket = _bound(host, port)
        try:
            self._session = Session(folder)
            token = _token(folder)
        except BaseException:
            self._socket.close()
            raise
        is_loopback = host in ("127.0.0.1", "localhost", "::1")
        self._guard = Guard(_application(self._session), token=token, is_loopback=is_loopback)
        name = f"[{host}]" if ":" in host else host
        self._address = f"http://{name}:{self._socket.getsockname()[1]}/"
        self.address = f"{self._address}?token={token}"

    def new_address(self) -> str:
        """An address of the page that works once."""
        return f"{self._address}?code={self._guard.new_code()}"

    def run(self, on_start: Callable[[], None]) -> None:
        """Serves the page until the process is interrupted.

        Args:
          on_start: called as soon as the server accepts requests.
        """
        config = uvicorn.Config(
            self._guard,
            log_level="warning",
            access_log=False,
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=3,
        )
        server = _Uvicorn(config, self._session, on_start)
        try:
            server.run(sockets=[self._socket])
        finally:
            self._session.stop()


class _Uvicorn(uvicorn.Server):
    """Tells when it has started, and ends the pages' event streams when it stops."""

    def __init__(
        self, config: uvicorn.Config, session: Session, on_start: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._session, self._on_start = session, on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._session.close()
        await super().shutdown(sockets)


def _application(session: Session) -> Starlette:
    # Links are not followed, because Bazel's lead out of the folder.
    page = pathlib.Path(__file__).absolute().parent / "page"
    contents = {entry.name: entry.read_bytes() for entry in page.iterdir()}

    async def index(request: Request) -> Response:
        del request
        return Response(contents["index.html"], media_type="text/html")

    async def page_file(request: Request) -> Response:
        name = request.path_params["name"]
        ending = os.path.splitext(name)[1]
        if name not in contents or ending not in _KINDS:
            return JSONResponse({"error": "expected a file of the page, got another"}, 404)
        return Response(contents[name], media_type=_KINDS[ending])

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        session.start()
        yield

    return Starlette(
        routes=[
            Route("/", index),
            Route("/page/{name}", page_file),
            *classes.routes(session),
            *results.routes(session),
            *files.routes(session),
        ],
        lifespan=lifespan,
        exception_handlers={
            ClientDisconnect: _gone,
            MemoryError: _failed,
            OSError: _failed,
            ValueError: _failed,
        },
    )


async def _failed(request: Request, error: Exception) -> Response:
    """The answer for an error that users can correct."""
    del request
    more = {"conflict": error.class_id} if isinstance(error, ConflictError) else {}
    return JSONResponse({"error": program.sentence(error), **more}, _status(error))


async def _gone(request: Request, error: Exception) -> Response:
    """The answer for nobody, such as for an upload that was cancelled."""
    del request, error
    return Response(status_code=499)


def _status(error: Exception) -> int:
    if isinstance(error, (ConflictError, BusyError, NoClassesError)):
        return 409
    if isinstance(error, TooLargeError):
        return 413
    if isinstance(error, BadImageError):
        return 422
    if isinstance(error, ValueError):
        return 400
    if isinstance(error, FileNotFoundError):
        return 404
    return 507 if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) else 500


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol, asyncio sends small answers at once (TCP_NODELAY); without it, each takes
    # 40 ms more.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            # Otherwise the port could not be used for a minute after the server ends.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(
                f"expected a free port, got {port}, which another program uses (or this one, "
                "already running); take another with --port, or any free one with --port=0"
            ) from error
        raise OSError(f"expected an address of this machine, got {host}: {error}") from error
    found.setblocking(False)
    return found


def _token(folder: str) -> str:
    """The token of a project, which stays the same, so that open pages find a new server."""
    path = os.path.join(folder, "token")
    with contextlib.suppress(OSError):
        with open(path) as file:
            token = file.read().strip()
        is_private = os.name != "posix" or not os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if len(token) >= _LEAST_TOKEN and token.isascii() and is_private:
            return token
    token = secrets.token_urlsafe(_LEAST_TOKEN)
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    return token
