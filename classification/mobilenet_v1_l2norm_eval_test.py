"""Tests of the program `eval`: its flags, what it prints, and how it fails."""

import dataclasses
import glob
import json
import os
import re
import shutil
import subprocess

import numpy as np
from absl.testing import absltest

from classification import mobilenet_v1_l2norm_eval
from classification.base import program_testing
from classification.data import testing as data_testing
from classification.data.dataset import open_dataset
from classification.evaluation import report_files
from classification.nets.model_config import ModelConfig
from classification.testing import digits_networks
from tests import runfiles

_PROGRAM = runfiles.path("classification/mobilenet_v1_l2norm_eval")


def run(*arguments: str) -> tuple[int | str | None, str, str]:
    return program_testing.run_program(mobilenet_v1_l2norm_eval.main, *arguments)


class EvalTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        # Models are looked for below the folder where the user stands.
        self.root = os.path.realpath(self.create_tempdir().full_path)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root)

    def write_network(
        self, folder: str, model: ModelConfig = digits_networks.DIGITS, *, describe: bool = True
    ) -> str:
        prefix = digits_networks.write_network(folder, model)
        if describe:
            model.write(folder)
        return prefix

    def assert_fails(self, expected: str, *arguments: str) -> None:
        status, out, err = run("--output_dir=report", *arguments)
        self.assertEqual(status, 1, msg=out + err)
        self.assertRegex(err, "^prog: .*" + expected)
        self.assertNotIn("Traceback", err)
        self.assertNotIn("Accuracy", out)
        self.assertEmpty(glob.glob("report*"))

    def test_newest_network_on_the_digits_held_out(self):
        digits_networks.write_network(
            "models/a", digits_networks.DIGITS, dataset=open_dataset("", "validation")
        )
        digits_networks.DIGITS.write("models/a")
        status, out, err = run("--batch_size=7", "--eval_dir=summaries/new")
        self.assertEqual((status, err), (None, ""))
        first, accuracy, recall, balanced, title, *rows = out.splitlines()
        self.assertEqual(
            first,
            "Evaluating models/a/model.ckpt-1234 (step 1,234), mobilenet_v1, on digits: of 1,797 "
            "handwritten digits, the 360 that are held out from training.",
        )
        counts = []
        for line, name in ((accuracy, "Accuracy"), (recall, "Recall at 5")):
            match = re.fullmatch(rf"{name}: (\d+\.\d\d) % \((\d+) of 360 images\)", line)
            assert match is not None, line
            self.assertAlmostEqual(float(match[1]), int(match[2]) / 3.6, delta=0.006)
            counts.append(int(match[2]))
        self.assertLess(100, counts[0])
        self.assertLess(*counts)
        self.assertRegex(balanced, r"Balanced accuracy: .* % \(mean recall of 10 classes\)")
        self.assertEqual(title, "Lowest recall")
        self.assertLen(rows, 6)
        for row in rows[1:]:
            self.assertRegex(row, r"\d +36 +\d+\.\d\d % +(\d+\.\d\d %|-) +\d+ x \d")
        self.assertLen(glob.glob("summaries/new/events*"), 1)

    def test_report(self):
        self.write_network("models/a")
        status, out, err = run("--output_dir=report", "--num_examples=40")
        self.assertEqual((status, err), (None, ""))
        self.assertEqual(
            out.splitlines()[-1],
            "Wrote classes.csv, confused_pairs.png, confusion_matrix.csv, confusion_matrix.png, "
            "evaluation.json in report.",
        )
        self.assertCountEqual(os.listdir("report"), report_files.FILES)
        with open("report/evaluation.json", encoding="utf-8") as file:
            values = json.load(file)
        self.assertIn(f"Accuracy: {100 * values['accuracy']:.2f} % (", out)
        self.assertEqual(values["checkpoint"], "model.ckpt-1234")
        self.assertEqual(values["num_examples"], 40)
        # An earlier report is replaced, and nothing else is.
        self.assertIsNone(run("--output_dir=report", "--num_examples=41")[0])
        with open("report/evaluation.json", encoding="utf-8") as file:
            self.assertEqual(json.load(file)["num_examples"], 41)
        status, out, err = run("--output_dir=models/a")
        self.assertEqual(status, 1)
        self.assertIn("models/a, which holds checkpoint", err)
        self.assertNotIn("Evaluating", err)
        status, out, err = run("--output_dir=missing/report")
        self.assertEqual(status, 1)
        self.assertIn("missing to write report in, got none", err)

    def test_split(self):
        self.write_network("models/a")
        _, out, _ = run("--dataset_split_name=train", "--num_examples=9")
        self.assertIn("digits, the first 9 of 1,437 that are trained on.\n", out)
        os.mkdir("data")
        data_testing.write_grey_images("data", "train", [2, 3])
        self.write_network("models/b", dataclasses.replace(digits_networks.DIGITS, labels=None))
        flags = ("--checkpoint_dir=models/b", "--dataset_dir=data")
        _, out, _ = run(*flags, "--dataset_split_name=train")
        self.assertIn(f"on the 5 images of the split 'train' in {self.root}/data.\n", out)
        self.assert_fails("validation-", *flags)
        self.assert_fails("as the split, got 'mine'", *flags, "--dataset_split_name=mine")

    def test_prefix_and_folder_and_num_examples(self):
        prefix = self.write_network("here")
        outputs = [
            run(f"--checkpoint_dir={path}", "--num_examples=50", "--quantize=false")[1]
            for path in ("here", "here/", prefix, prefix + ".index")
        ]
        for out in outputs:
            self.assertRegex(out, r"Accuracy: .* of 50 images\)\nRecall .* of 50 images\)\n")
            self.assertIn("digits, the first 50 of 360 that are held out", out.splitlines()[0])

    def test_folder_that_the_network_was_trained_on(self):
        os.mkdir("data")
        data_testing.write_grey_images("data", "validation", [3, 4])
        model = dataclasses.replace(digits_networks.DIGITS, labels=None, dataset="data")
        self.write_network("models/grey", model)
        _, out, _ = run()
        self.assertRegex(
            out, rf"on the 7 images in {self.root}/data\.\n(.*of 7 images\)\n){{2}}Balanced"
        )
        _, out, _ = run("--num_examples=3")
        self.assertIn(f"on the first 3 of 7 images in {self.root}/data.\n", out)
        # What is given by hand wins: here, the digits.
        _, out, _ = run("--dataset_dir=")
        self.assertIn("on digits: ", out)
        self.assertIn(" of 360 images", out)
        shutil.rmtree("data")
        self.assert_fails("data, which does not exist")

    def test_flags_describe_a_network_without_model_json(self):
        self.write_network("bare", describe=False)
        flags = ["--checkpoint_dir=bare", "--image_size=32", "--depth_multiplier=0.25"]
        status, out, _ = run(*flags, "--num_classes=10", "--num_examples=20")
        self.assertIsNone(status)
        self.assertIn("of 20 images", out)
        self.assert_fails("data of 1001 classes, .* 10 classes in digits", *flags)
        flags.append("--num_classes=10")
        self.assert_fails("leave --quantize out", *flags, "--quantize")

    def test_flag_that_contradicts_model_json(self):
        self.write_network("models/a")
        for flag, says in {
            "image_size=224": "32",
            "num_classes=12": "10",
            "depth_multiplier=0.5": "0.25",
            "quantize=True": "False",
        }.items():
            self.assert_fails(
                f"--{flag} contradicts models/a/model.json, which says {says}", f"--{flag}"
            )

    def test_flag_that_contradicts_the_checkpoint(self):
        self.write_network("bare", describe=False)
        flags = {"image_size": 32, "depth_multiplier": 0.25, "num_classes": 10}
        for name, value in (("depth_multiplier", 0.5), ("num_classes", 11)):
            arguments = [f"--{flag}={x}" for flag, x in (flags | {name: value}).items()]
            data = [] if name != "num_classes" else self.unnamed_data()
            self.assert_fails("number of classes", "--checkpoint_dir=bare", *arguments, *data)

    def unnamed_data(self) -> list[str]:
        os.mkdir("unnamed")
        data_testing.write_grey_images("unnamed", "validation", [3])
        return ["--dataset_dir=unnamed"]

    def test_nothing_to_evaluate(self):
        self.assert_fails(f"a folder below {self.root}/models; .* train one first")
        self.assert_fails("got missing: there is no such", "--checkpoint_dir=missing")
        os.mkdir("empty")
        self.assert_fails("in the folder empty; there is none", "--checkpoint_dir=empty")

    def test_bad_values(self):
        self.write_network("models/a")
        self.assert_fails("batch_size to be at least 1, got 0", "--batch_size=0")
        self.assert_fails("num_examples to be at least 1, got -1", "--num_examples=-1")
        self.assert_fails("nowhere, which does not exist", "--dataset_dir=nowhere")
        self.assert_fails("models/a/checkpoint: ", "--eval_dir=models/a/checkpoint")
        for path in glob.glob("models/a/*.index"):
            with open(path, "wb") as file:
                file.write(b"noise" * 50)
        self.assert_fails("model.ckpt-1234 cannot be read as a checkpoint: ")
        with open("models/a/model.json", "w") as file:
            file.write("{")
        self.assert_fails("models/a/model.json does not describe a network: ")

    def test_bad_data(self):
        model = dataclasses.replace(digits_networks.DIGITS, num_classes=8, labels=None)
        self.write_network("models/a", model)
        os.mkdir("data")
        self.assert_fails("validation-", "--dataset_dir=data")
        path = "data/validation-00000-of-00001"
        data_testing.write_records(path, [])
        self.assert_fails("got 1 empty files", "--dataset_dir=data")
        good = data_testing.encode_png(np.zeros([12, 10, 3], np.uint8))

        def write(bad: bytes, label: int) -> None:
            examples = [data_testing.make_image_example(good, 1)] * 5
            examples[3] = data_testing.make_image_example(bad, label)
            data_testing.write_records(path, examples)

        write(good, 8)
        self.assert_fails(r"labels in 0\.\.7, which the network has, got 8", "--dataset_dir=data")
        write(good, 2000)
        self.assert_fails(r"in 0\.\.1000, got .*2000", "--dataset_dir=data")
        write(b"\xff\xd8\xff\xe0 no more of a JPEG", 1)
        self.assert_fails(f"cannot be decoded in record 3 of {path}", "--dataset_dir=data")


class ProcessTest(absltest.TestCase):
    def run_process(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [_PROGRAM, *arguments],
            cwd=self.create_tempdir().full_path,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_evaluates(self):
        folder = self.create_tempdir().full_path
        digits_networks.write_network(folder, digits_networks.DIGITS)
        digits_networks.DIGITS.write(folder)
        done = self.run_process(f"--checkpoint_dir={folder}", "--num_examples=10")
        self.assertEqual(done.returncode, 0, msg=done.stderr)
        self.assertRegex(done.stdout, r"^Evaluating .*\nAccuracy: .*\nRecall at 5: .*\nBalanced ")

    def test_fails_in_one_line(self):
        done = self.run_process()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        # TensorFlow may have said something while it was imported.
        self.assertNotIn("Traceback", done.stderr)
        self.assertRegex(done.stderr, r"(?m)^eval: expected a trained network .*\n\Z")


if __name__ == "__main__":
    absltest.main()
