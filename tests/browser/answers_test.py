"""Answers, the fit and results in a browser."""

import re

from absl.testing import absltest
from playwright.sync_api import Page, expect

from tests.browser import browser_testing
from tests.browser.browser_testing import BrowserTestCase, card, drop, until


class AnswersTest(BrowserTestCase):
    def open_with(self, **classes: int) -> Page:
        page = self.open()
        drop(page, page.get_by_test_id("add-area"), [self.folder("photos", **classes)])
        until(lambda: self.classes() == dict(sorted(classes.items())), "all photos")
        return page

    def test_a_photo(self):
        page = self.open_with(mug=2, cup=2)
        page.get_by_test_id("try-photo-input").set_input_files(self.photo(0, 9))
        expect(page.get_by_test_id("best-answer")).to_have_text("mug")
        expect(page.get_by_test_id("answer")).to_have_count(5)
        expect(page.get_by_test_id("answer-note")).to_contain_text("ms a photo")
        # The answer changes at once when the classes do.
        card(page, "mug").get_by_test_id("class-menu").click()
        page.get_by_test_id("delete-class").click()
        expect(page.get_by_test_id("best-answer")).not_to_have_text("mug")
        page.get_by_test_id("undo").click()
        expect(page.get_by_test_id("best-answer")).to_have_text("mug")
        drop(page, page.get_by_test_id("try-zone"), [self.photo(1, 9)])
        expect(page.get_by_test_id("best-answer")).to_have_text("cup")

    def test_the_threshold(self):
        page = self.open_with(mug=1)
        page.get_by_test_id("try-photo-input").set_input_files(self.photo(5, 0))
        expect(page.get_by_test_id("answer")).to_have_count(5)
        page.get_by_test_id("threshold").fill("1")
        expect(page.get_by_test_id("best-answer")).to_have_text("unknown")
        until(lambda: self.app.get("/api/project")["threshold"] == 1, "the threshold")
        page.reload()
        expect(page.get_by_test_id("threshold")).to_have_value("1")

    def test_keeping_the_classes_of_the_network(self):
        page = self.open_with(mug=2, cup=2)
        expect(page.get_by_test_id("kept-count")).to_contain_text("1,000")
        page.get_by_test_id("kept-details").locator("summary").click()
        page.get_by_test_id("kept-search").fill("lemon")
        expect(page.get_by_test_id("kept-names")).to_have_text(re.compile("lemon"))
        page.get_by_test_id("try-photo-input").set_input_files(self.photo(0, 9))
        expect(page.get_by_test_id("answer")).to_have_count(5)
        page.get_by_test_id("keep-switch").click()
        expect(page.get_by_test_id("answer")).to_have_count(2)
        self.assertFalse(self.app.get("/api/project")["keepClasses"])
        page.get_by_test_id("undo").click()
        expect(page.get_by_test_id("answer")).to_have_count(5)

    def test_a_fit(self):
        page = self.open_with(mug=4, cup=4, glass=4)
        page.get_by_test_id("fit-button").click()
        expect(page.get_by_test_id("fit-sentence")).to_contain_text("photos that were left out")
        expect(page.get_by_test_id("fit-result")).to_be_visible()
        fit = self.app.get("/api/project")["fit"]
        text = page.get_by_test_id("fit-result").inner_text()
        self.assertIn(f"{fit['before'] * 100:.0f}", text)
        self.assertIn(f"{fit['after'] * 100:.0f}", text)
        page.get_by_test_id("fit-undo").click()
        expect(page.get_by_test_id("fit-result")).to_be_hidden()

    def test_how_good_it_is(self):
        page = self.open_with(mug=4, cup=4)
        # A cup among the mugs, and a mug among the cups.
        drop(page, card(page, "mug"), [self.photo(1, 50)])
        drop(page, card(page, "cup"), [self.photo(0, 60)])
        until(lambda: self.classes() == {"cup": 5, "mug": 5}, "both photos")
        page.get_by_test_id("quality-open").click()
        expect(page.get_by_test_id("quality-accuracy")).to_contain_text("of 10 photos")
        expect(page.get_by_test_id("class-accuracy")).to_have_count(2)
        picture = page.get_by_test_id("confusion")
        until(lambda: picture.evaluate("image => image.naturalWidth"), "the picture")
        for method in ("pca", "tsne"):
            with page.expect_response(f"**/api/map?method={method}") as answer:
                page.get_by_test_id(f"map-{method}").click()
            self.assertLen(answer.value.json()["points"], 10)
        expect(page.get_by_test_id("suspect")).to_have_count(2)
        for left in (1, 0):
            page.get_by_test_id("move-suspect").first.click()
            expect(page.get_by_test_id("suspect")).to_have_count(left)
        self.assertEqual(self.classes(), {"cup": 5, "mug": 5})
        # Without a change of the classes, nothing is computed again.
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        page.get_by_test_id("threshold").fill("0.5")
        until(lambda: self.app.get("/api/project")["threshold"] == 0.5, "the threshold")
        page.wait_for_timeout(4000)
        self.assertLess(sum("/api/quality" in url for url in requests), 3)

    def test_a_test_folder(self):
        page = self.open_with(mug=2, cup=2)
        folder = self.root / "test"
        for kind, name in enumerate(("mug", "cup")):
            (folder / name).mkdir(parents=True)
            for number in range(5, 8):
                path = self.photo(kind, number)
                (folder / name / f"{number}.jpg").write_bytes(open(path, "rb").read())
        page.get_by_test_id("test-folder-input").set_input_files(str(folder))
        expect(page.get_by_test_id("test-accuracy")).to_contain_text("100")
        self.assertEqual(self.classes(), {"cup": 2, "mug": 2})

    def test_the_camera(self):
        page = self.open()
        page.get_by_test_id("new-class-name").fill("camera")
        page.get_by_test_id("new-class-name").press("Enter")
        opener = card(page, "camera")
        opener.get_by_test_id("camera-button").click()
        record = page.get_by_test_id("record")
        expect(record).to_be_enabled()
        record.hover()
        page.mouse.down()
        until(lambda: self.classes().get("camera", 0) >= 3, "three frames")
        page.mouse.up()
        page.get_by_test_id("record-close").click()
        page.get_by_test_id("camera-start").click()
        expect(page.get_by_test_id("best-answer")).to_have_text("camera")
        expect(page.get_by_test_id("answer-note")).to_contain_text("ms a photo")
        page.get_by_test_id("camera-start").click()

    def test_on_a_phone(self):
        page = self.open(browser_testing.PHONE)
        drop(page, page.get_by_test_id("add-area"), [self.folder("photos", mug=2, cup=2)])
        until(lambda: len(self.classes()) == 2, "both classes")
        page.get_by_test_id("try-photo-input").set_input_files(self.photo(1, 9))
        expect(page.get_by_test_id("best-answer")).to_have_text("cup")
        self.assertLessEqual(
            page.evaluate("document.documentElement.scrollWidth"), browser_testing.PHONE[0]
        )


if __name__ == "__main__":
    absltest.main()
