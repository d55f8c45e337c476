"""What stays after a reload, a crash and a download, in a browser."""

import json
import os
import subprocess
import sys

from absl.testing import absltest
from playwright.sync_api import Route, expect

from imprinting.app.app_testing import RunningApp
from tests import runfiles
from tests.browser.browser_testing import BrowserTestCase, answers, card, download, drop, until


class KeepingTest(BrowserTestCase):
    def test_a_reload(self):
        page = self.open()
        drop(page, page.get_by_test_id("add-area"), [self.folder("photos", mug=3, cup=2)])
        until(lambda: self.classes() == {"cup": 2, "mug": 3}, "all photos")
        page.get_by_test_id("fit-button").click()
        expect(page.get_by_test_id("fit-result")).to_be_visible()
        page.reload()
        expect(card(page, "mug").get_by_test_id("photo-count")).to_have_text("3 photos")
        expect(card(page, "cup").get_by_test_id("photo-count")).to_have_text("2 photos")
        expect(page.get_by_test_id("fit-result")).to_be_visible()
        page.get_by_test_id("undo").click()
        page.get_by_test_id("undo").click()
        expect(page.get_by_test_id("class-card")).to_have_count(0)

    def test_the_file_gives_the_same_answers_on_the_command_line(self):
        page = self.open()
        drop(page, page.get_by_test_id("add-area"), [self.folder("photos", mug=2, cup=2)])
        until(lambda: self.classes() == {"cup": 2, "mug": 2}, "all photos")
        photo = self.photo(1, 9)
        for fits in (False, True):
            if fits:
                page.get_by_test_id("fit-button").click()
                expect(page.get_by_test_id("fit-result")).to_be_visible()
            with page.expect_response("**/api/classify"):
                page.get_by_test_id("try-photo-input").set_input_files(photo)
            expect(page.get_by_test_id("best-answer")).to_have_text("cup")
            with open(photo, "rb") as file:
                mine = self.app.post("/api/classify", file.read())["answers"]
            shown = answers(page)
            self.assertEqual([*shown], [each["label"] for each in mine])
            page.get_by_test_id("model-name").fill("my_cups")
            model = download(page, page.get_by_test_id("export-tflite"), self.root)
            self.assertEqual(model.name, "my_cups.tflite")
            done = subprocess.run(
                [
                    *(str(runfiles.path("imprinting/commands/classify")), "--json"),
                    *(f"--model={model}", photo),
                ],
                capture_output=True,
                text=True,
                check=True,
            )
            theirs = json.loads(done.stdout)["answers"]
            self.assertEqual(
                [(each["label"], each["probability"]) for each in theirs],
                [(each["label"], each["probability"]) for each in mine],
            )

    def test_the_lines_of_python(self):
        page = self.open()
        drop(page, page.get_by_test_id("add-area"), [self.folder("photos", mug=2)])
        until(lambda: self.classes() == {"mug": 2}, "all photos")
        page.get_by_test_id("model-name").fill("my_mugs")
        download(page, page.get_by_test_id("export-tflite"), self.root)
        lines = page.get_by_test_id("python-lines")
        expect(lines).to_contain_text("my_mugs.tflite")
        (self.root / "example.py").write_text(lines.inner_text())
        done = subprocess.run(
            [sys.executable, "example.py", self.photo(0, 9)],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertRegex(done.stdout, r"photo_0_9.jpg: mug \(\d+%\)\n$")

    def test_exports_and_opening_again(self):
        page = self.open()
        drop(page, page.get_by_test_id("add-area"), [self.folder("photos", mug=2, cup=2)])
        until(lambda: self.classes() == {"cup": 2, "mug": 2}, "all photos")
        for name in ("edge-tpu", "labels", "photos", "report"):
            path = download(page, page.get_by_test_id(f"export-{name}"), self.root)
            self.assertGreater(path.stat().st_size, 100, msg=name)
        project = download(page, page.get_by_test_id("export-project"), self.root)
        page.get_by_test_id("new-project").click()
        expect(page.get_by_test_id("class-card")).to_have_count(0)
        page.get_by_test_id("open-input").set_input_files(str(project))
        expect(card(page, "mug").get_by_test_id("photo-count")).to_have_text("2 photos")
        model = download(page, page.get_by_test_id("export-tflite"), self.root)
        page.get_by_test_id("open-input").set_input_files(str(model))
        expect(page.get_by_test_id("kept-count")).to_contain_text("1,001")
        page.get_by_test_id("undo").click()
        expect(card(page, "mug")).to_be_visible()

    def test_the_server_is_killed_during_an_upload(self):
        page = self.open()
        sent = []

        def send(route: Route) -> None:
            # The rest waits until the server is gone.
            sent.append(route.request.url)
            if len(sent) <= 20 or self.app.process.poll() is not None:
                route.continue_()
            else:
                waiting.append(route)

        waiting: list[Route] = []
        page.route("**/api/photos?*", send)
        drop(page, page.get_by_test_id("add-area"), [self.folder("photos", mug=60, cup=60)])
        until(lambda: page.wait_for_timeout(50) or waiting, "photos that wait")
        until(lambda: sum(self.classes().values()) >= 20, "some photos")
        self.app.kill()
        for route in waiting:
            route.continue_()
        expect(page.get_by_test_id("banner")).to_contain_text("The program has stopped")
        expect(page.get_by_test_id("upload-retry")).to_be_visible()
        again = RunningApp(self, folder=self.app.folder, port=self.app.port)
        before = sum(self.classes(again).values())
        self.assertEqual(before, 20)
        expect(page.get_by_test_id("banner")).to_be_hidden()
        page.unroute("**/api/photos?*", send)
        page.get_by_test_id("upload-retry").click()
        until(lambda: self.classes(again) == {"cup": 60, "mug": 60}, "all photos")
        expect(card(page, "mug").get_by_test_id("photo-count")).to_have_text("60 photos")


if __name__ == "__main__":
    absltest.main()
