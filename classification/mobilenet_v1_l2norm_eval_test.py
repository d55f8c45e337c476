"""Tests of the program `eval`: its flags, what it prints, and how it fails."""

import dataclasses
import glob
import os
import re
import shutil
import subprocess

from absl.testing import absltest

from classification import mobilenet_v1_l2norm_eval, program_testing
from classification.data import testing as data_testing
from classification.data.dataset import open_dataset
from classification.model_config import ModelConfig

_PROGRAM = os.path.join(os.path.dirname(__file__), "mobilenet_v1_l2norm_eval")


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
        self, folder: str, config: ModelConfig = program_testing.DIGITS, *, describe: bool = True
    ) -> str:
        prefix = program_testing.write_network(folder, config)
        if describe:
            config.write(folder)
        return prefix

    def assert_fails(self, expected: str, *arguments: str) -> None:
        status, out, err = run(*arguments)
        self.assertEqual(status, 1, msg=out + err)
        self.assertRegex(err, "^prog: .*" + expected)
        self.assertNotIn("Traceback", err)
        self.assertNotIn("Accuracy", out)

    def test_newest_network_on_the_digits_held_out(self):
        program_testing.write_network(
            "models/a", program_testing.DIGITS, dataset=open_dataset("", "validation")
        )
        program_testing.DIGITS.write("models/a")
        status, out, err = run("--batch_size=7", "--eval_dir=summaries/new")
        self.assertEqual((status, err), (None, ""))
        first, accuracy, recall = out.splitlines()
        self.assertEqual(
            first,
            "Evaluating models/a/model.ckpt-1234 (step 1,234) on digits: of 1,797 handwritten "
            "digits, the 360 that are held out from training.",
        )
        counts = []
        for line, name in ((accuracy, "Accuracy"), (recall, "Recall at 5")):
            match = re.fullmatch(rf"{name}: (\d+\.\d\d) % \((\d+) of 360 images\)", line)
            assert match is not None, line
            self.assertAlmostEqual(float(match[1]), int(match[2]) / 3.6, delta=0.006)
            counts.append(int(match[2]))
        self.assertLess(100, counts[0])
        self.assertLess(*counts)
        self.assertLen(glob.glob("summaries/new/events*"), 1)

    def test_prefix_and_folder_and_num_examples(self):
        prefix = self.write_network("here")
        outputs = [
            run(f"--checkpoint_dir={path}", "--num_examples=50", "--quantize=false")[1]
            for path in ("here", "here/", prefix, prefix + ".index")
        ]
        for out in outputs:
            self.assertRegex(out, r"Accuracy: .* of 50 images\)\nRecall .* of 50 images\)\n$")
            self.assertIn("digits, the first 50 of 360 that are held out", out.splitlines()[0])

    def test_folder_that_the_network_was_trained_on(self):
        os.mkdir("data")
        data_testing.write_grey_images("data", "validation", [3, 4])
        config = dataclasses.replace(program_testing.DIGITS, labels=None, dataset="data")
        self.write_network("models/grey", config)
        _, out, _ = run()
        self.assertRegex(out, rf"on the 7 images in {self.root}/data\.\n(.*of 7 images\)\n){{2}}$")
        _, out, _ = run("--num_examples=3")
        self.assertIn(f"on the first 3 of 7 images in {self.root}/data.\n", out)
        # What is given by hand wins: here, the digits.
        _, out, _ = run("--dataset_dir=")
        self.assertIn("on digits: ", out)
        self.assertIn(" of 360 images", out)
        shutil.rmtree("data")
        self.assert_fails("data does not exist")

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
        self.assert_fails(
            "--image_size=224 contradicts models/a/model.json, which says 32", "--image_size=224"
        )
        self.assert_fails("--quantize=True contradicts models/a/model.json", "--quantize")

    def test_nothing_to_evaluate(self):
        self.assert_fails(f"a folder below {self.root}/models; .* train one first")
        self.assert_fails("got missing: there is no such", "--checkpoint_dir=missing")
        os.mkdir("empty")
        self.assert_fails("in the folder empty; there is none", "--checkpoint_dir=empty")

    def test_bad_values(self):
        self.write_network("models/a")
        self.assert_fails("batch_size to be at least 1, got 0", "--batch_size=0")
        self.assert_fails("num_examples to be at least 1, got -1", "--num_examples=-1")
        self.assert_fails("nowhere does not exist", "--dataset_dir=nowhere")
        self.assert_fails("models/a/checkpoint: ", "--eval_dir=models/a/checkpoint")
        for path in glob.glob("models/a/*.index"):
            with open(path, "wb") as file:
                file.write(b"noise" * 50)
        self.assert_fails("model.ckpt-1234 cannot be read as a checkpoint: ")
        with open("models/a/model.json", "w") as file:
            file.write("{")
        self.assert_fails("models/a/model.json does not describe a network: ")


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
        program_testing.write_network(folder, program_testing.DIGITS)
        program_testing.DIGITS.write(folder)
        done = self.run_process(f"--checkpoint_dir={folder}", "--num_examples=10")
        self.assertEqual(done.returncode, 0, msg=done.stderr)
        self.assertRegex(done.stdout, r"^Evaluating .*\nAccuracy: .*\nRecall at 5: .*\n$")

    def test_fails_in_one_line(self):
        done = self.run_process()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        # TensorFlow may have said something while it was imported.
        self.assertNotIn("Traceback", done.stderr)
        self.assertRegex(
            done.stderr, r"(?m)^mobilenet_v1_l2norm_eval: expected a trained network .*\n\Z"
        )


if __name__ == "__main__":
    absltest.main()
