"""Lets only the project's own page, and programs that know its token, use the server.

A page of another site in the same browser can send requests to a server on loopback, and, once it
has made its own name mean 127.0.0.1 (DNS rebinding), also read the answers. Therefore each request
must name the server by an address that no other site can have, those that change something must
come from the page itself, and all need the token.
"""

import asyncio
import contextlib
import http.cookies
import ipaddress
import secrets
import socket
import urllib.parse

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_YEAR = 365 * 24 * 3600


class Guard:
    """Checks requests before an application sees them, and adds headers to its answers."""

    def __init__(self, app: ASGIApp, *, token: str, is_loopback: bool = True) -> None:
        """Guards an application.

        Args:
          app: the application.
          token: what a request must know.
          is_loopback: whether the server listens on loopback only. Otherwise requests may also name
            it by any IP address, or by the machine's name.
        """
        self._app = app
        self._token = token
        self._is_loopback = is_loopback
        self._codes: set[str] = set()

    def new_code(self) -> str:
        """A code that can be used once instead of the token.

        Other users of the machine see the command that starts a browser, with its arguments.
        """
        code = secrets.token_urlsafe(24)
        self._codes.add(code)
        return code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a connection, as ASGI says."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(scope)
        # A request is cancelled when the server stops; nobody waits for its answer.
        with contextlib.suppress(asyncio.CancelledError):
            await (answer or self._app)(scope, receive, send_with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """The answer to a request that the application must not see; None for others."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        host = headers.get("host", "")
        if not self._is_own(host):
            return _refused(
                "expected an address of this machine, such as http://127.0.0.1, got "
                f"{host[:200] or 'none'}; open the address that the program printed"
            )
        is_arrival = method == "GET" and path == "/"
        site = headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") and not (
            is_arrival and headers.get("sec-fetch-mode") == "navigate"
        ):
            return _refused("expected a request of the program's own page, got one of another site")
        if self._knows_token(headers.get("authorization", "").removeprefix("Bearer ")):
            # No page of another site can know the token.
            return None
        if method not in ("GET", "HEAD") and headers.get("origin") != f"http://{host}":
            return _refused(
                f"expected a request of the page http://{host}, got one of "
                f"{headers.get('origin', 'an unknown origin')[:200]}"
            )
        if is_arrival and scope["query_string"]:
            return self._arrival(scope["query_string"].decode("latin-1"), host)
        if self._knows_token(_cookie(headers.get("cookie", ""), _cookie_name(host))):
            return None
        return _refused(
            "expected the token that the program printed, got none or an old one; open the whole "
            "address that the program printed, with ?token=",
            401,
        )

    def _arrival(self, query: str, host: str) -> Response:
        given = urllib.parse.parse_qs(query)
        code = given.get("code", [""])[0]
        if not self._knows_token(given.get("token", [""])[0]) and code not in self._codes:
            return _refused(
                "expected the token that the program printed, got another; open the whole address "
                "that the program printed",
                401,
            )
        self._codes.discard(code)
        # Without the token, which would stay in the browser's history.
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(
            _cookie_name(host), self._token, max_age=_YEAR, httponly=True, samesite="strict"
        )
        return answer

    def _knows_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())

    def _is_own(self, host: str) -> bool:
        try:
            name = urllib.parse.urlsplit(f"http://{host}").hostname or ""
        except ValueError:
            return False
        if name in _LOOPBACK:
            return True
        if self._is_loopback:
            return False
        if name == socket.gethostname().lower():
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _cookie_name(host: str) -> str:
    """Servers on different ports of a machine share their cookies."""
    return f"imprinting-{host.rpartition(':')[2] if ':' in host else 80}"


def _cookie(header: str, name: str) -> str:
    try:
        found = http.cookies.SimpleCookie(header).get(name)
    except http.cookies.CookieError:
        return ""
    return found.value if found else ""


def _refused(text: str, status: int = 403) -> Response:
    return PlainTextResponse(text + "\n", status)
