"""Pictures of the page in all states, each of which is also checked for accessibility.

The pictures are in the test's outputs: .bazel/testlogs/tests/browser/screenshots_test.
"""

import io
import os
import pathlib
from collections.abc import Callable

import numpy as np
from absl.testing import absltest
from PIL import Image
from playwright.sync_api import Page, expect

from imprinting.photos import unrelated_photos
from imprinting.project import project_testing
from tests import runfiles
from tests.browser.browser_testing import PHONE, WIDE, BrowserTestCase, card, until

_NAMES = (
    *("我的杯子和盘子", "コーヒーカップ", '<b>bold</b> & "quotes"', "Überraschungsei"),
    ("a name of many words that goes on and on until it is as long as it can be " * 3)[
        :200
    ].strip(),
    "W" * 200,
)
_LOOKS = [(size, theme) for size in (WIDE, PHONE) for theme in ("light", "dark")]
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def part(photo: int, number: int, size: int = 320) -> bytes:
    """A part of one of the project's two photographs, as a JPEG file."""
    random = np.random.default_rng(100 * photo + number)
    with Image.open(unrelated_photos.paths()[photo]) as image:
        side = int(random.uniform(0.5, 0.8) * min(image.size))
        left, top = (int(random.uniform(0.3, 0.7) * (length - side)) for length in image.size)
        found = image.crop((left, top, left + side, top + side)).resize((size, size))
    output = io.BytesIO()
    found.save(output, "JPEG", quality=90)
    return output.getvalue()


class ScreenshotsTest(BrowserTestCase):
    def setUp(self):
        super().setUp()
        self.outputs = pathlib.Path(
            os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR") or self.create_tempdir().full_path
        )

    def look(self, page: Page, name: str) -> None:
        """Takes a picture, and checks the accessibility of what it shows."""
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=str(self.outputs / f"{name}.png"), full_page=True)
        # Scripts of a test are not bound by the page's policy.
        page.evaluate(runfiles.path("../axe/axe.min.js").read_text())
        found = page.evaluate(
            "rules => axe.run(document, {runOnly: rules}).then((r) => r.violations.map("
            "(v) => v.id + ': ' + v.help + ' ' + v.nodes.map((n) => n.html).join(' ')))",
            _RULES,
        )
        self.assertEqual(found, [], msg=name)
        width = page.evaluate("document.documentElement.scrollWidth")
        self.assertLessEqual(width, page.viewport_size["width"], msg=name)

    def each_look(self, name: str, show: Callable[[Page], None] = lambda _: None) -> None:
        for size, theme in _LOOKS:
            page = self.open(size, theme=theme)
            show(page)
            self.look(page, f"{name}_{size[0]}_{theme}")
            page.context.close()

    def add(self, name: str, photos: list[bytes]) -> None:
        for number, photo in enumerate(photos):
            self.app.post("/api/photos", photo, name=f"{number}.jpg", class_name=name)

    def two_classes(self) -> None:
        self.add("flower", [part(1, number) for number in range(5)])
        self.add("temple", [part(0, number) for number in range(6)])

    def test_empty(self):
        self.each_look("empty")

    def test_two_classes(self):
        self.two_classes()
        path = self.root / "photo.jpg"
        path.write_bytes(part(1, 50))

        def show(page: Page) -> None:
            page.get_by_test_id("try-photo-input").set_input_files(str(path))
            expect(page.get_by_test_id("best-answer")).to_have_text("flower")

        self.each_look("two_classes", show)

    def test_results(self):
        self.two_classes()
        self.add("flower", [part(0, 70)])
        self.app.post("/api/fit")

        def show(page: Page) -> None:
            page.get_by_test_id("kept-details").locator("summary").click()
            page.get_by_test_id("quality-open").click()
            expect(page.get_by_test_id("class-accuracy")).to_have_count(2)
            page.get_by_test_id("map-pca").click()
            expect(page.get_by_test_id("map")).to_be_visible()
            picture = page.get_by_test_id("confusion")
            until(lambda: picture.evaluate("image => image.naturalWidth"), "the picture")
            page.get_by_test_id("edge-tpu").locator("summary").click()
            expect(page.get_by_test_id("edge-tpu-command")).to_contain_text("edgetpu_compiler")

        self.each_look("results", show)

    def test_the_report(self):
        self.two_classes()
        self.add("<b>我的</b> " + "W" * 100, [part(1, 95), part(1, 96)])
        self.add("flower", [part(0, 70)])
        report = self.root / "report.html"
        report.write_bytes(self.app.request("GET", "/api/export/report.html").body)
        for size, theme in _LOOKS:
            page = self.browser.new_page(
                viewport={"width": size[0], "height": size[1]}, color_scheme=theme
            )
            page.goto(report.as_uri())
            self.look(page, f"report_{size[0]}_{theme}")
            page.close()

    def test_dialogs_and_menus(self):
        self.two_classes()
        photo = self.photo(1, 0)

        def ask(page: Page) -> None:
            page.get_by_test_id("loose-photos-input").set_input_files(photo)
            expect(page.get_by_test_id("dialog-class")).to_be_visible()

        def open_menu(page: Page) -> None:
            card(page, "flower").get_by_test_id("class-menu").click()
            expect(page.get_by_test_id("delete-class")).to_be_visible()

        def enlarge(page: Page) -> None:
            card(page, "temple").get_by_test_id("photo").first.get_by_role("button").first.click()
            expect(page.get_by_test_id("move-to")).to_be_visible()

        def rename(page: Page) -> None:
            card(page, "temple").get_by_test_id("class-name").click()
            expect(page.get_by_test_id("class-name-input")).to_be_visible()

        for name, show in (
            ("ask", ask),
            ("menu", open_menu),
            ("photo", enlarge),
            ("rename", rename),
        ):
            self.each_look(name, show)

    def test_camera(self):
        self.two_classes()

        def show(page: Page) -> None:
            page.get_by_test_id("camera-start").click()
            expect(page.get_by_test_id("best-answer")).to_be_visible()
            card(page, "flower").get_by_test_id("camera-button").click()
            expect(page.get_by_test_id("record")).to_be_enabled()

        self.each_look("camera", show)

    def test_upload_with_errors(self):
        self.two_classes()
        bad = self.root / "not a photo.jpg"
        bad.write_bytes(b"nonsense")

        def show(page: Page) -> None:
            card(page, "flower").get_by_test_id("add-photos-input").set_input_files(str(bad))
            expect(page.get_by_test_id("upload-failures")).to_contain_text("not a JPEG")

        self.each_look("upload_with_errors", show)

    def test_a_test_folder(self):
        self.two_classes()
        for number, name in enumerate(("temple", "flower")):
            (self.root / "test" / name).mkdir(parents=True)
            for which in range(80, 84):
                (self.root / "test" / name / f"{which}.jpg").write_bytes(part(number, which))
        (self.root / "test" / "temple" / "wrong.jpg").write_bytes(part(1, 90))

        def show(page: Page) -> None:
            page.get_by_test_id("test-folder-input").set_input_files(str(self.root / "test"))
            expect(page.get_by_test_id("test-accuracy")).to_contain_text("%")
            expect(page.get_by_test_id("test-again")).to_be_visible()

        self.each_look("test_folder", show)

    def test_names(self):
        for number, name in enumerate(_NAMES):
            self.add(name, [project_testing.photo(number, each) for each in range(number + 1)])

        def show(page: Page) -> None:
            page.get_by_test_id("try-photo-input").set_input_files(self.photo(0, 20))
            expect(page.get_by_test_id("best-answer")).to_be_visible()
            page.get_by_test_id("quality-open").click()
            picture = page.get_by_test_id("confusion")
            until(lambda: picture.evaluate("image => image.naturalWidth"), "the picture")

        self.each_look("names", show)

    def test_sixty_classes(self):
        for kind in range(60):
            self.add(f"class {kind + 1}", [project_testing.photo(kind, each) for each in range(3)])

        def show(page: Page) -> None:
            page.get_by_test_id("quality-open").click()
            expect(page.get_by_test_id("class-accuracy")).to_have_count(60)
            picture = page.get_by_test_id("confusion")
            until(lambda: picture.evaluate("image => image.naturalWidth"), "the picture")
            page.get_by_test_id("map-tsne").click()
            expect(page.get_by_test_id("map")).to_be_visible()

        self.each_look("sixty_classes", show)

    def test_without_a_server(self):
        self.two_classes()
        page = self.open()
        self.app.kill()
        expect(page.get_by_test_id("banner")).to_be_visible()
        self.look(page, "without_a_server_1280_light")

    def test_the_picture_of_the_readme(self):
        self.two_classes()
        path = self.root / "photo.jpg"
        path.write_bytes(part(1, 50))
        page = self.open((1280, 720))
        page.get_by_test_id("try-photo-input").set_input_files(str(path))
        expect(page.get_by_test_id("best-answer")).to_have_text("flower")
        for picture in page.get_by_test_id("photo").locator("img").all():
            until(lambda picture=picture: picture.evaluate("i => i.naturalWidth"), "a thumbnail")
        page.get_by_test_id("toast").evaluate("toast => toast.remove()")
        page.mouse.move(0, 0)
        file = self.outputs / "readme.png"
        page.screenshot(path=str(file), animations="disabled")
        with Image.open(file) as image:
            self.assertEqual(image.size, (1280, 720))
            small = image.convert("RGB").quantize(256)
        small.save(file, optimize=True)
        self.assertLess(file.stat().st_size, 1 << 20)


if __name__ == "__main__":
    absltest.main()
