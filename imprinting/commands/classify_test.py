"""Tests of classify.py: what it prints, and how it fails, with the small classifier."""

import functools
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
from unittest import mock

from absl.testing import absltest
from PIL import Image

from imprinting.base import program, program_testing
from imprinting.commands import classify
from imprinting.inference import default_model
from imprinting.inference.photo_classifier import PhotoClassifier
from imprinting.photos import unrelated_photos
from imprinting.tflite import metadata, model_file
from tests import runfiles
from transforms.conversion import testing

_LINE = re.compile(r"  (>\.99|<\.01| \.\d\d)  (\S.*)")
_NOT_AN_IMAGE = "it is not a JPEG, PNG, BMP, WebP or GIF image"


def run(*arguments: str) -> tuple[int | str | None, str, str]:
    return program_testing.run(
        classify.main, *arguments, runner=functools.partial(program.run, takes_arguments=True)
    )


class ClassifyTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = os.path.realpath(self.create_tempdir().full_path)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root)
        self.data = metadata.attach(model_file.parse(testing.small().model), testing.LABELS)
        pathlib.Path("small.tflite").write_bytes(self.data)

    def add(self, *names: str) -> None:
        """Adds photos, which are all different."""
        for name, pixels in zip(names, testing.images(len(names)), strict=True):
            pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(name)

    def classify(self, *arguments: str) -> str:
        status, out, err = run("--model=small.tflite", *arguments)
        self.assertEqual((status, err), (None, ""), msg=out)
        return out

    def assert_fails(self, expected: str, *arguments: str) -> None:
        status, out, err = run("--model=small.tflite", *arguments)
        self.assertEqual((status, out), (1, ""), msg=err)
        self.assertRegex(err, "^prog: .*" + expected)
        self.assertLen(err.splitlines(), 1)

    def check_block(self, block: str, photo: str, *, top: int = 5) -> None:
        """Checks what was printed about a photo."""
        first, *lines = block.rstrip("\n").split("\n")
        self.assertEqual(first, photo)
        (expected,), _ = PhotoClassifier(self.data).classify([photo], top=top)
        self.assertLen(lines, top)
        for line, answer in zip(lines, expected, strict=True):
            match = _LINE.fullmatch(line)
            assert match is not None, line
            self.assertEqual(match[2], answer.label)
            self.assertAlmostEqual(float(match[1].strip(" <>")), answer.probability, delta=0.01)

    def test_photos_and_folders(self):
        self.add("b.png", "photos/2.jpg", "photos/1.png", "photos/more/3.webp")
        out = self.classify("b.png", f"{self.root}/photos")
        photos = ("1.png", "2.jpg", "more/3.webp")
        for block, photo in zip(
            out.split("\n\n"), ["b.png", *(f"{self.root}/photos/{p}" for p in photos)], strict=True
        ):
            self.check_block(block, photo)
        self.assertEndsWith(out, "\n")
        self.assertFalse(out.endswith("\n\n"))
        self.assertLen(set(out.split("\n\n")), 4)

    def test_ignored_files(self):
        self.add("photos/1.png")
        pathlib.Path("photos/notes.txt").touch()
        pathlib.Path("photos/.hidden.jpg").touch()
        block, ignored = self.classify("photos").split("\n\n")
        self.check_block(block, "photos/1.png")
        self.assertEqual(
            ignored,
            "Ignored because they are hidden, left by a system or not images by name: 2 "
            "(photos/.hidden.jpg, photos/notes.txt).\n",
        )

    def test_top(self):
        self.add("a.png")
        for top in (1, 3, testing.CLASSES):
            self.check_block(self.classify("a.png", "--top", str(top)), "a.png", top=top)
        self.assertEqual(self.classify("--top=99", "a.png"), self.classify("--top=7", "a.png"))

    def test_threshold(self):
        self.add("a.png", "b.png")
        answers, _ = PhotoClassifier(self.data).classify(["a.png", "b.png"], top=1)
        (a,), (b,) = sorted(answers, key=lambda each: each[0].probability)
        self.assertLess(a.probability, b.probability)
        blocks = self.classify(f"--threshold={b.probability}", "a.png", "b.png").split("\n\n")
        known = self.classify("a.png", "b.png").split("\n\n")
        for block, same, (best,) in zip(blocks, known, answers, strict=True):
            if best is b:
                self.assertEqual(block.rstrip(), same.rstrip())
            else:
                name, unknown = block.rstrip().splitlines()
                self.assertEqual(name, same.splitlines()[0])
                self.assertStartsWith(unknown, f"  unknown (the best class is {a.label}, .")
        out = self.classify("--threshold=0.999", "a.png", "b.png")
        self.assertEqual(out.count("unknown"), 2)

    def test_json_and_csv(self):
        self.add("b.png", "photos/1.png")
        lines = self.classify("--json", "--top=2", "b.png", "photos").splitlines()
        self.assertEqual([json.loads(line)["photo"] for line in lines], ["b.png", "photos/1.png"])
        self.assertEqual(self.classify("--json", "--top=2", "b.png", "b.png"), f"{lines[0]}\n" * 2)
        self.assertLen(json.loads(lines[0])["answers"], 2)
        lines = self.classify("--csv", "--top=2", "b.png", "photos").splitlines()
        self.assertEqual(lines[0], "photo,known,rank,label,probability")
        self.assertEqual(
            [line.split(",")[0] for line in lines[1:]], ["b.png"] * 2 + ["photos/1.png"] * 2
        )

    def test_standard_input(self):
        self.add("b.png", "photos/1.png")
        with mock.patch("sys.stdin", io.StringIO("b.png\nphotos\n")):
            self.assertEqual(self.classify("-"), self.classify("b.png", "photos"))
        with mock.patch("sys.stdin", io.StringIO("b.png\0photos\0")):
            self.assert_fails("expected a path, got one with a zero byte after 'b.png'", "-")
        with mock.patch("sys.stdin", None):
            self.assert_fails("on standard input, which is closed", "-")

    def test_accuracy_of_class_folders(self):
        photos = [f"photos/{testing.LABELS[i % 2]}/{i}.png" for i in range(6)]
        self.add(*photos)
        answers, _ = PhotoClassifier(self.data).classify(photos, top=1)
        right = sum(f"/{a.label}/" in path for path, (a,) in zip(photos, answers, strict=True))
        out = self.classify("photos")
        self.assertIn(f"\n{right} of 6 photos are recognised: ", out)
        # Not for folders with other names.
        self.add("photos/others/1.png")
        self.assertNotIn("are recognised", self.classify("photos"))
        self.assertNotIn("are recognised", self.classify(*photos))

    def test_photos_that_cannot_be_read(self):
        self.add("a.png", "photos/2.png")
        for name in ("photos/1.jpg", "photos/3.jpg", "text.jpg"):
            pathlib.Path(name).write_text("text")
        pathlib.Path("photos/3.jpg").write_bytes(b"")
        os.mkfifo("pipe.jpg")
        status, out, err = run("--model=small.tflite", "text.jpg", "a.png", "photos", "pipe.jpg")
        self.assertEqual(status, 1)
        for block, photo in zip(out.split("\n\n"), ["a.png", "photos/2.png"], strict=True):
            self.check_block(block, photo)
        self.assertEqual(
            err.splitlines(),
            [
                f"text.jpg: {_NOT_AN_IMAGE}",
                f"photos/1.jpg: {_NOT_AN_IMAGE}",
                "photos/3.jpg: it is empty",
                "pipe.jpg: it is not a regular file",
                "prog: expected photos that can be read, got 4 of 6 that cannot, named above; "
                "repair or leave them out",
            ],
        )
        status, out, err = run("--model=small.tflite", "text.jpg")
        self.assertEqual((status, out), (1, ""))
        self.assertStartsWith(err, f"text.jpg: {_NOT_AN_IMAGE}\nprog: expected photos that can")

    def test_damaged_photo_with_all_pixels(self):
        self.add("a.jpg")
        expected = self.classify("a.jpg")
        photo = pathlib.Path("a.jpg")
        photo.write_bytes(photo.read_bytes()[:-2])
        status, out, err = run("--model=small.tflite", "a.jpg")
        self.assertEqual((status, out), (None, expected))
        self.assertStartsWith(err, "prog: warning: a.jpg is damaged, though all its pixels are")

    def test_refuses_bad_arguments(self):
        self.add("a.png")
        self.assert_fails("expected photos, or folders of photos, got none; name at least one")
        self.assert_fails("got gone.png: No such file or directory; correct", "a.png", "gone.png")
        os.mkdir("empty.jpg")
        self.assert_fails("expected photos in the folder empty.jpg, got none", "empty.jpg")
        self.assert_fails("expected --top to be at least 1, got 0", "--top=0", "a.png")
        for threshold in ("-0.1", "1", "nan"):
            self.assert_fails(
                "expected --threshold to be at least 0 and below 1, got ",
                f"--threshold={threshold}",
                "a.png",
            )
        self.assert_fails("expected --json or --csv, got both", "--json", "--csv", "a.png")
        self.assert_fails("expected --camera without photos", "--camera=0", "a.png")
        self.assert_fails("there is no home folder ~nobody-at-all", "~nobody-at-all/a.png")

    def test_home_folder(self):
        self.add("home/a.png")
        self.enter_context(mock.patch.dict(os.environ, {"HOME": f"{self.root}/home"}))
        self.check_block(self.classify("~/a.png"), f"{self.root}/home/a.png")

    def test_refuses_models(self):
        self.add("a.png")
        os.mkdir("folder")
        small = testing.small()
        for name, contents, expected in (
            ("cut", self.data[:2000], "cut.tflite: expected a complete .tflite"),
            ("noise", b"noise" * 100, "noise.tflite: expected a .tflite"),
            ("empty", b"", "empty.tflite: expected a .tflite"),
            ("extractor", small.extractor, "extractor.tflite: expected a complete classifier, "),
            ("head", small.head, "head.tflite: expected a complete classifier, "),
            ("edgetpu", testing.compiled(small.model, kept=1), "edgetpu.tflite: .*the Edge TPU"),
        ):
            pathlib.Path(f"{name}.tflite").write_bytes(contents)
            self.assert_fails(expected, f"--model={name}.tflite", "a.png")
        self.assert_fails("gone.tflite: No such file or directory", "--model=gone.tflite", "a.png")
        self.assert_fails("expected a file, got the folder folder", "--model=folder", "a.png")

    def test_default_model(self):
        self.add("a.png")
        expected = self.classify("a.png")
        found = mock.Mock(return_value="small.tflite")
        with mock.patch.object(default_model, "path", found):
            self.assertEqual(run("a.png"), (None, expected, ""))


class ProgramTest(absltest.TestCase):
    def test_default_model_and_photographs_of_the_build(self):
        folder = self.create_tempdir().full_path
        photo = unrelated_photos.paths()[0]
        shutil.copy(photo, os.path.join(folder, "china.jpg"))
        done = subprocess.run(
            [runfiles.path("imprinting/commands/classify"), "china.jpg", "--top", "5", "."],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, msg=done.stdout + done.stderr)
        first, second = done.stdout.rstrip("\n").split("\n\n")
        name, *lines = first.split("\n")
        self.assertEqual(name, "china.jpg")
        self.assertLen(lines, 5)
        for line in lines:
            self.assertRegex(line, _LINE)
        self.assertEqual(second, f"./{first}")


if __name__ == "__main__":
    absltest.main()
