"""The page in Chromium, for tests."""

import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from absl.testing import absltest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from imprinting.app.app_testing import RunningApp
from imprinting.project import project_testing
from tests import runfiles

_FLAGS = (
    *("--disable-background-networking", "--disable-component-update", "--disable-gpu"),
    *("--disable-quic", "--disable-sync", "--no-first-run", "--no-sandbox"),
    # A camera without a person: a green picture with a moving circle.
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
WIDE, PHONE = (1280, 900), (390, 844)
_MILLISECONDS = 60_000


def chromium() -> str:
    """The path of Debian's Chromium.

    Raises:
      unittest.SkipTest: if there is none.
    """
    found = os.environ.get("CHROMIUM") or shutil.which("chromium", path="/usr/bin:/usr/local/bin")
    if not found:
        raise absltest.unittest.SkipTest(
            "there is no Chromium; install Debian's package: apt-get install chromium"
        )
    return found


def until(is_true: Callable[[], Any], what: str) -> Any:
    """Waits until a function returns something that is true, and returns that."""
    deadline = time.monotonic() + _MILLISECONDS / 1000
    while not (found := is_true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"expected {what} within a minute, got nothing")
        time.sleep(0.02)
    return found


class BrowserTestCase(absltest.TestCase):
    """A test with a browser, which all tests of a class share, and a server of its own.

    Attributes:
      browser: the browser.
      app: the server.
      root: an empty folder.
    """

    browser: Browser

    @classmethod
    def setUpClass(cls) -> None:
        """Starts the browser."""
        super().setUpClass()
        path = chromium()
        # Chromium writes to its home folder, which may be someone else's, or not be there.
        _use_fonts(cls.enterClassContext(tempfile.TemporaryDirectory()))
        os.environ["HOME"] = cls.enterClassContext(tempfile.TemporaryDirectory())
        playwright = cls.enterClassContext(sync_playwright())
        cls.browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        cls.addClassCleanup(cls.browser.close)

    def setUp(self) -> None:
        """Starts the server."""
        super().setUp()
        self.root = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.app = RunningApp(self)

    def open(
        self,
        size: tuple[int, int] = WIDE,
        *,
        theme: Literal["light", "dark"] = "light",
        app: RunningApp | None = None,
        context: BrowserContext | None = None,
        watch_requests: bool = True,
    ) -> Page:
        """Opens the page; errors of its scripts, and requests to other hosts, fail the test.

        Args:
          size: width and height, in pixels.
          theme: "light" or "dark".
          app: another server.
          context: that of another tab.
          watch_requests: whether requests are looked at, which takes time.
        """
        app = app or self.app
        if context is None:
            context = self.browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme=theme,
                has_touch=size == PHONE,
                accept_downloads=True,
                permissions=["camera", "clipboard-read", "clipboard-write"],
            )
            context.set_default_timeout(_MILLISECONDS)
            self.addCleanup(context.close)
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: _note(message, problems))
        if watch_requests:
            page.on("request", lambda request: _check_host(request.url, app.origin, problems))
        self.addCleanup(lambda: self.assertEqual(problems, []))
        page.goto(app.address)
        page.get_by_text("Saved in").wait_for()
        return page

    def folder(self, name: str, **classes: int) -> pathlib.Path:
        """A folder of class folders with photos.

        Args:
          name: its name.
          **classes: the number of photos of each class, by its name.
        """
        for kind, (label, count) in enumerate(classes.items()):
            place = self.root / name / label
            place.mkdir(parents=True)
            for number in range(count):
                (place / f"{label}_{number}.jpg").write_bytes(project_testing.photo(kind, number))
        return self.root / name

    def photo(self, kind: int, number: int) -> str:
        """The path of a file with a photo."""
        path = self.root / f"photo_{kind}_{number}.jpg"
        path.write_bytes(project_testing.photo(kind, number))
        return str(path)

    def classes(self, app: RunningApp | None = None) -> dict[str, int]:
        """The number of photos of each class, as the server knows them."""
        project = (app or self.app).get("/api/project")
        return {each["name"]: len(each["photos"]) for each in project["classes"]}


def drop(page: Page, target: Locator, paths: Sequence[str | os.PathLike[str]]) -> None:
    """Drops files and folders on an element, as a user does from a file manager."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [os.fspath(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send(
            "Input.dispatchDragEvent",
            {
                "type": kind,
                "x": box["x"] + box["width"] / 2,
                "y": box["y"] + min(box["height"] / 2, 20),
                "data": data,
            },
        )
    session.detach()


def card(page: Page, name: str) -> Locator:
    """The card of a class."""
    title = page.get_by_test_id("class-name").get_by_text(name, exact=True)
    return page.get_by_test_id("class-card").filter(has=title)


def answers(page: Page) -> dict[str, str]:
    """The probabilities that the page shows, by the names of the classes."""
    rows = page.get_by_test_id("answers").get_by_test_id("answer").all()
    return {
        row.get_by_test_id("answer-label").inner_text(): (
            row.get_by_test_id("answer-probability").inner_text()
        )
        for row in rows
    }


def download(page: Page, link: Locator, folder: pathlib.Path) -> pathlib.Path:
    """Clicks a link; returns the path of the file that is downloaded into a folder."""
    with page.expect_download() as event:
        link.click()
    path = folder / event.value.suggested_filename
    event.value.save_as(path)
    return path


def _use_fonts(folder: str) -> None:
    """Lets the browser find a font with the characters of Chinese, Japanese and Korean."""
    own = runfiles.path("../fonts/wqy-microhei.ttc").resolve().parent
    path = pathlib.Path(folder, "fonts.conf")
    path.write_text(
        f"<fontconfig><dir>{own}</dir><dir>/usr/share/fonts</dir><cachedir>{folder}</cachedir>"
        '<include ignore_missing="yes">/etc/fonts/conf.d</include></fontconfig>'
    )
    os.environ["FONTCONFIG_FILE"] = str(path)


def _note(message: Any, problems: list[str]) -> None:
    # A request that the server refuses is also an error in the console.
    if message.type == "error" and "Failed to load resource" not in message.text:
        problems.append(message.text)


def _check_host(url: str, origin: str, problems: list[str]) -> None:
    if not url.startswith((origin, "blob:")):
        problems.append(f"a request to {url}")
