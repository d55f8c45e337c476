"""Adding photos in a browser, and changing classes."""

import base64
import zipfile

from absl.testing import absltest
from playwright.sync_api import expect

from imprinting.project import project_testing
from tests.browser import browser_testing
from tests.browser.browser_testing import BrowserTestCase, card, drop, until

# Puts a photo on the clipboard's event, as pasting does.
_PASTE = """
([data, selector]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
  document.querySelector(selector).dispatchEvent(
    new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
}
"""


class AddingTest(BrowserTestCase):
    def test_a_folder_of_class_folders(self):
        page = self.open()
        drop(page, page.get_by_test_id("add-area"), [self.folder("photos", mug=5, cup=3)])
        expect(card(page, "mug").get_by_test_id("photo-count")).to_have_text("5 photos")
        expect(card(page, "cup").get_by_test_id("photo-count")).to_have_text("3 photos")
        until(lambda: self.classes() == {"cup": 3, "mug": 5}, "both classes")
        expect(card(page, "mug").get_by_test_id("photo")).to_have_count(5)
        picture = card(page, "mug").get_by_test_id("photo").first.locator("img")
        until(lambda: picture.evaluate("image => image.naturalWidth"), "a thumbnail")

    def test_more_than_a_hundred_files_in_a_folder(self):
        # A browser lists a folder in parts of a hundred.
        page = self.open()
        drop(page, page.get_by_test_id("add-area"), [self.folder("photos", mug=130)])
        expect(card(page, "mug").get_by_test_id("photo-count")).to_have_text("130 photos")
        expect(card(page, "mug").get_by_test_id("photo")).to_have_count(12)
        card(page, "mug").get_by_test_id("show-all").click()
        expect(card(page, "mug").get_by_test_id("photo")).to_have_count(130)

    def test_folder_and_zip_inputs(self):
        page = self.open()
        folder = self.folder("photos", mug=2, cup=2)
        page.get_by_test_id("add-folder-input").set_input_files(str(folder))
        expect(card(page, "mug").get_by_test_id("photo-count")).to_have_text("2 photos")
        path = self.root / "more.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/glass/1.jpg", project_testing.photo(7))
            archive.writestr("../evil/1.jpg", project_testing.photo(8))
        page.get_by_test_id("add-zip-input").set_input_files(str(path))
        expect(card(page, "glass").get_by_test_id("photo-count")).to_have_text("1 photo")
        self.assertEqual({*self.classes()}, {"mug", "cup", "glass"})

    def test_photos_on_a_card(self):
        page = self.open()
        page.get_by_test_id("new-class-name").fill("mug")
        page.get_by_test_id("new-class-name").press("Enter")
        mug = card(page, "mug")
        drop(page, mug, [self.photo(1, 0), self.photo(1, 1)])
        expect(mug.get_by_test_id("photo-count")).to_have_text("2 photos")
        mug.get_by_test_id("add-photos-input").set_input_files(self.photo(1, 2))
        expect(mug.get_by_test_id("photo-count")).to_have_text("3 photos")
        mug.get_by_test_id("photo").first.hover()
        mug.get_by_test_id("remove-photo").first.click()
        expect(mug.get_by_test_id("photo-count")).to_have_text("2 photos")

    def test_loose_photos_ask_for_a_class(self):
        page = self.open()
        drop(page, page.get_by_test_id("add-area"), [self.photo(1, 0), self.photo(1, 1)])
        page.get_by_test_id("dialog-name").fill("mug")
        page.get_by_test_id("dialog-name").press("Enter")
        expect(card(page, "mug").get_by_test_id("photo-count")).to_have_text("2 photos")

    def test_paste(self):
        page = self.open()
        page.get_by_test_id("new-class-name").fill("mug")
        page.get_by_test_id("new-class-name").press("Enter")
        card(page, "mug").click(position={"x": 5, "y": 60})
        data = base64.b64encode(project_testing.photo(1, form="PNG")).decode()
        page.evaluate(_PASTE, [data, "[data-testid=class-card]"])
        expect(card(page, "mug").get_by_test_id("photo-count")).to_have_text("1 photo")

    def test_rename_merge_undo_and_redo(self):
        page = self.open()
        drop(page, page.get_by_test_id("add-area"), [self.folder("photos", mug=2, cup=1)])
        expect(card(page, "cup").get_by_test_id("photo-count")).to_have_text("1 photo")
        card(page, "cup").get_by_test_id("class-name").click()
        page.get_by_test_id("class-name-input").fill("glass")
        page.get_by_test_id("class-name-input").press("Enter")
        expect(card(page, "glass")).to_be_visible()
        until(lambda: self.classes() == {"glass": 1, "mug": 2}, "the new name")
        page.keyboard.press("Control+z")
        expect(card(page, "cup")).to_be_visible()
        page.get_by_test_id("redo").click()
        expect(card(page, "glass")).to_be_visible()
        # The name of another class: the two can be merged.
        card(page, "glass").get_by_test_id("class-name").click()
        page.get_by_test_id("class-name-input").fill("mug")
        page.get_by_test_id("class-name-input").press("Enter")
        page.get_by_role("dialog").get_by_role("button", name="Merge").click()
        expect(card(page, "mug")).to_have_count(1)
        expect(card(page, "mug").get_by_test_id("photo-count")).to_have_text("3 photos")
        page.get_by_test_id("undo").click()
        expect(card(page, "glass")).to_be_visible()
        card(page, "glass").get_by_test_id("class-menu").click()
        page.get_by_test_id("delete-class").click()
        expect(card(page, "glass")).to_have_count(0)
        page.get_by_test_id("undo").click()
        expect(card(page, "glass")).to_be_visible()
        self.assertEqual(self.classes(), {"glass": 1, "mug": 2})

    def test_photos_that_cannot_be_read(self):
        page = self.open()
        folder = self.folder("photos", mug=2)
        (folder / "mug" / "bad.jpg").write_bytes(b"nonsense")
        (folder / "mug" / "notes.txt").write_text("not a photo")
        (folder / "mug" / ".hidden.jpg").write_bytes(b"nonsense")
        drop(page, page.get_by_test_id("add-area"), [folder])
        failures = page.get_by_test_id("upload-failures")
        expect(failures).to_contain_text("bad.jpg")
        expect(failures).to_contain_text("not a JPEG")
        expect(failures.get_by_role("listitem")).to_have_count(1)
        self.assertEqual(self.classes(), {"mug": 2})

    def test_names_are_only_text(self):
        page = self.open()
        for name in ("<img src=x onerror=alert(1)>", "我的杯子", "x" * 200):
            page.get_by_test_id("new-class-name").fill(name)
            page.get_by_test_id("new-class-name").press("Enter")
            expect(card(page, name)).to_be_visible()
        self.assertEqual(page.locator("img[src=x]").count(), 0)
        width = page.evaluate("document.documentElement.scrollWidth")
        self.assertLessEqual(width, browser_testing.WIDE[0])

    def test_two_tabs(self):
        page = self.open()
        other = self.open(context=page.context)
        other.get_by_test_id("new-class-name").fill("mug")
        other.get_by_test_id("new-class-name").press("Enter")
        expect(card(page, "mug")).to_be_visible()
        drop(page, card(page, "mug"), [self.photo(1, 0)])
        expect(card(other, "mug").get_by_test_id("photo-count")).to_have_text("1 photo")
        other.get_by_test_id("undo").click()
        expect(card(page, "mug").get_by_test_id("photo-count")).to_have_text("0 photos")


if __name__ == "__main__":
    absltest.main()
