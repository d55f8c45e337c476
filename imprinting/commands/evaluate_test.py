"""Tests of the program evaluate."""

import json
import os
import pathlib

from absl.testing import absltest
from PIL import Image

from imprinting.base import program_testing
from imprinting.commands import evaluate
from imprinting.inference.photo_classifier import PhotoClassifier
from imprinting.tflite import metadata, model_file
from transforms.conversion import testing


def run(*arguments: str) -> tuple[int | str | None, str, str]:
    return program_testing.run(
        evaluate.main, "--model=in.tflite", "--images_dir=photos", *arguments
    )


class EvaluateTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)
        model = model_file.parse(testing.small().model)
        data = metadata.attach(model, testing.LABELS)
        pathlib.Path("in.tflite").write_bytes(data)
        paths = []
        for index, pixels in enumerate(testing.images(8)):
            paths.append(f"photos/{testing.LABELS[index % 2]}/{index}.png")
            pathlib.Path(paths[-1]).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(paths[-1])
        answers, _ = PhotoClassifier(data).classify(paths, top=1)
        self.right = sum(f"/{a.label}/" in path for path, (a,) in zip(paths, answers, strict=True))

    def test_figures(self):
        status, out, err = run("--json")
        self.assertEqual((status, err), (None, ""))
        figures = json.loads(out)
        self.assertEqual((figures["right"], figures["total"]), (self.right, 8))
        self.assertEqual(figures["accuracy"], self.right / 8)
        self.assertEqual(
            [(c["label"], c["total"]) for c in figures["classes"]],
            [(name, 4) for name in sorted(testing.LABELS[:2])],
        )
        self.assertEqual(sum(c["photos"] for c in figures["confusions"]), 8 - self.right)

    def test_text(self):
        status, out, err = run()
        self.assertEqual((status, err), (None, ""))
        self.assertIn(f"\n{self.right} of 8 photos are recognised: {self.right / 8:.1%}.\n", out)
        self.assertRegex(
            out.splitlines()[0], rf"^ *\d+\.\d%  \d of 4  {sorted(testing.LABELS[:2])[0]}$"
        )

    def test_errors(self):
        pathlib.Path(f"photos/{testing.LABELS[0]}/bad.jpg").write_text("text")
        status, out, err = run()
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, "got 1 that cannot .*bad.jpg: it is not a JPEG")
        status, out, err = run("--skip_bad_images")
        self.assertEqual((status, err), (None, ""))
        self.assertRegex(out, "Skipped: .*bad.jpg: it is not a JPEG")
        os.rename(f"photos/{testing.LABELS[0]}", "photos/unheard of")
        status, out, err = run("--skip_bad_images")
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, "expected folders with names of classes .* got unheard of; `labels`")


if __name__ == "__main__":
    absltest.main()
