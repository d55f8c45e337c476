"""Tests of the program imprint with photos, models and flags that will not do."""

import os
import pathlib
import shutil

from absl.testing import absltest
from PIL import Image

from imprinting.commands.imprint_testing import ImprintTestCase, run
from transforms.conversion import testing


class BadInputTest(ImprintTestCase):
    def test_photos_that_cannot_be_read(self):
        self.add("blue", "red")
        pathlib.Path("photos/blue/bad.jpg").write_bytes(b"bad")
        bad = r"\(blue/bad.jpg: it is not a JPEG, PNG, BMP, WebP or GIF image\)"
        self.assert_fails(f"got 1 that cannot {bad} among 11; .* --skip_bad_images")
        out = self.imprint("--skip_bad_images")
        self.assertRegex(
            out, f"2 new, from 10 photos.\nSkipped because they cannot be read: 1 {bad}."
        )
        self.check(["blue", "red"], first=0)
        shutil.rmtree("photos/red")
        os.mkdir("photos/red")
        pathlib.Path("photos/red/bad.jpg").write_bytes(b"")
        os.remove("out.tflite")
        self.assert_fails(
            "can be read in each class folder of photos, got none in red", "--skip_bad_images"
        )

    def test_damaged_photos_of_which_all_pixels_are_there(self):
        self.add("blue", "red", count=2)
        for path in pathlib.Path("photos").glob("*/*.png"):
            Image.open(path).save(path.with_suffix(".jpg"))
            path.unlink()
        self.imprint()
        expected = pathlib.Path("out.tflite").read_bytes()
        path = pathlib.Path("photos/blue/0.jpg")
        whole = path.read_bytes()
        path.write_bytes(whole[:-2])
        warning = "prog: warning: photos/blue/0.jpg is damaged, though all its pixels are there: no"
        flags = ("--model=in.tflite", "--images_dir=photos", "--output=out.tflite")
        for _ in range(2):
            status, _, err = run(*flags)
            self.assertIsNone(status, err)
            self.assertStartsWith(err, warning)
            self.assertLen(err.splitlines(), 1)
            self.assertEqual(pathlib.Path("out.tflite").read_bytes(), expected)
        path.write_bytes(whole[:-40])
        self.assert_fails(r"got 1 that cannot \(blue/0.jpg: it cannot be decoded: pixels are miss")

    def test_folders_that_cannot_become_new_classes(self):
        self.assert_fails("expected a folder of class folders of images, got photos")
        os.mkdir("photos")
        self.assert_fails("expected a folder for each class in photos")
        os.mkdir("photos/red")
        self.assert_fails("expected images in each class folder of photos, got none in red")
        self.add("red")
        os.rename("photos/red", "photos/six")
        self.assert_fails("class 6 of that name was trained", "--keep_classes")
        os.rename("photos/six", "photos/crane")
        self.assert_fails("folder crane, and classes 1, 2 have that name", "--keep_classes")
        os.rename("photos/crane", "photos/A\u0308pfel")
        self.assert_fails("class 3 of that name was trained", "--keep_classes")
        shutil.copytree("photos/A\u0308pfel", "photos/\u00c4pfel")
        self.assert_fails("got two named")

    def test_models_that_will_not_do(self):
        self.add("red")
        self.assert_fails("No such file", "--model=gone.tflite")
        data = testing.small().model
        for name, contents, expected in (
            ("cut", data[: len(data) // 2], "cut.tflite: expected a complete .tflite"),
            ("noise", b"noise" * 100, "noise.tflite: expected a .tflite"),
            (
                "head",
                testing.small().head,
                "head.tflite: expected --embedder with a head,",
            ),
            (
                "small_edgetpu",
                testing.compiled(data, kept=1),
                "small_edgetpu.tflite: expected a file whose last operators, .*, are not compiled",
            ),
            ("float", testing.small(quantise=False).model, "quantised: expected each tensor"),
        ):
            pathlib.Path(f"{name}.tflite").write_bytes(contents)
            self.assert_fails(expected, f"--model={name}.tflite")

    def test_output_and_flags(self):
        self.add("red")
        os.mkdir("folder")
        self.assert_fails(
            "expected the name of a file to write, got the folder folder", "--output=folder"
        )
        self.assert_fails("expected a folder no/where to write", "--output=no/where/out.tflite")
        self.assert_fails("got --model without a name; leave it out", "--model=")
        self.assert_fails(
            "got in.tflite, which is read", "--embedder=in.tflite", "--output=in.tflite"
        )
        missing = ("--images_dir=", "--model=", "--output=")
        self.assert_fails("expected --images_dir, --output; ", *missing)
        for views in (0, 101):
            self.assert_fails(f"expected --views to be 1 to 100, got {views}", f"--views={views}")
        self.assert_fails("expected --keep_classes with --labels", "--labels=gone")
        self.assert_fails("expected --keep_classes with --allow_lost", "--allow_lost_classes")


if __name__ == "__main__":
    absltest.main()
