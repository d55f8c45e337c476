"""Gives the program `train` what it cannot use, and looks at what it says and leaves."""

import os
import pathlib
import resource
import shutil

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification import mobilenet_v1_l2norm_train
from classification.base import program_testing
from classification.data import testing as data_testing
from classification.nets import checkpoints, model_config
from classification.testing import digits_networks
from classification.training import run_folder

_SMALL = (
    "--network=mobilenet_v1",
    "--image_size=32",
    "--depth_multiplier=0.25",
    "--batch_size=8",
    "--save_summaries_secs=0",
    "--batch_norm_decay=0.9",
)
_RECORDS = 24
_BAD = 13


class TrainBadInputTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        # Paths in messages are as the user gives them, below where he stands.
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)

    def _run(self, *arguments: str) -> tuple[int | str | None, str, str]:
        flags = ("--checkpoint_dir=out", *arguments)
        return program_testing.run_program(mobilenet_v1_l2norm_train.main, *flags)

    def _assert_fails(self, expected: str, *arguments: str) -> None:
        status, out, err = self._run(*arguments)
        self.assertEqual(status, 1, out + err)
        self.assertRegex(err, expected)
        self.assertNotIn("Traceback", err)

    def _assert_leaves_nothing(self, expected: str, *arguments: str) -> None:
        self._assert_fails(expected, *arguments)
        self.assertFalse(os.path.exists("out"))

    def _write_data(self, *, index: int = _BAD, damaged: bytes | None = None) -> str:
        """Writes a training split of three classes, a record of it damaged; returns its file."""
        os.makedirs("data", exist_ok=True)
        pathlib.Path("data/labels.txt").write_text("a\nb\nc\n")
        examples = []
        for number in range(_RECORDS):
            image = np.full([12, 10, 3], 10 * number, np.uint8)
            encoded = data_testing.encode_png(image)
            examples.append(data_testing.make_image_example(encoded, number % 3))
        if damaged is not None:
            examples[index] = damaged
        path = "data/train-00000-of-00001"
        data_testing.write_records(path, examples)
        return path

    def test_values_out_of_range(self):
        for flag, expected in {
            "--batch_size=0": "--batch_size to be at least 1, got 0",
            "--number_of_steps=-5": "--number_of_steps to be at least 1, got -5",
            "--image_size=-1": "image_size to be above 0, got -1",
            "--image_size=16": "at least 32 x 32 pixels, got 16 x 16",
            "--depth_multiplier=-1": "depth_multiplier to be above 0, got -1",
            "--num_classes=9": "--num_classes of at least 10, which digits has, got 9",
            "--learning_rate=nan": "--learning_rate to be above 0, got nan",
            "--label_smoothing=1": r"--label_smoothing in \[0, 1\), got 1",
            "--moving_average_decay=1": r"--moving_average_decay in \[0, 1\), got 1",
            "--save_interval_secs=0": "--save_interval_secs to be at least 1, got 0",
            "--optimizer=lion": "--optimizer=lion: value should be one of <.*adam",
            "--batch_size=many": "--batch_size=many: invalid literal",
        }.items():
            with self.subTest(flag):
                self._assert_leaves_nothing(expected, flag)

    def test_a_bad_flag_leaves_nothing_where_models_go_by_default(self):
        status, out, err = program_testing.run_program(
            mobilenet_v1_l2norm_train.main, "--batch_size=0"
        )
        self.assertEqual(status, 1, out + err)
        self.assertRegex(err, "^prog: .*--batch_size to be at least 1, got 0")
        self.assertEmpty(os.listdir())

    def test_flags_that_do_not_go_together(self):
        for flag, expected in {
            "--cache_features=memory": "--freeze_base_model with --cache_features",
            "--update_base_statistics": "--freeze_base_model with --update_base_statistics",
            "--freeze_batch_norm": "--fine_tune_checkpoint with --freeze_batch_norm",
            "--freeze_base_model": "--fine_tune_checkpoint with --freeze_base_model",
            "--sync_replicas": "several workers with --sync_replicas, got only one",
            "--ps_tasks=1": "--master=grpc://HOST:PORT with --task",
        }.items():
            with self.subTest(flag):
                self._assert_leaves_nothing(expected, flag)
        self._assert_leaves_nothing(
            "--quantize with --quant_delay", "--quantize=false", "--quant_delay=3"
        )
        self._assert_leaves_nothing(
            "--checkpoint_dir with --task",
            "--checkpoint_dir=",
            "--ps_tasks=1",
            "--task=1",
            "--master=grpc://localhost:1",
        )
        self._write_data()
        self._assert_leaves_nothing(
            "files named validation-.* in data, got ",
            "--dataset_dir=data",
            "--eval_every=2",
            *_SMALL,
        )

    def test_bad_tf_config(self):
        self.addCleanup(os.environ.pop, "TF_CONFIG", None)
        for text, expected in {
            "{": "expected JSON in TF_CONFIG, got '{'",
            '{"cluster": {"worker": ["a"]}}': "expected a list of HOST:PORT as 'worker'",
            '{"cluster": {"worker": ["a:1"]}}': 'expected a "task" with "type" and "index"',
        }.items():
            os.environ["TF_CONFIG"] = text
            self._assert_leaves_nothing(expected)

    def test_no_data(self):
        os.mkdir("empty")
        pathlib.Path("file").touch()
        # Not even root can read it.
        os.symlink("loop", "loop")
        for path, expected in {
            "gone": "got gone, which does not exist",
            "empty": r"named train-\* in empty, got an empty folder",
            "file": "got the file file; name the folder",
            "file/data": "file/data cannot be read",
            "loop": "loop cannot be read: .*Too many levels",
        }.items():
            with self.subTest(path):
                self._assert_leaves_nothing(expected, f"--dataset_dir={path}")

    def test_photos_are_to_be_converted_first(self):
        for photo in (
            "my photos/a/1.JPG",
            "splits/train/a/1.png",
            "flat/1.heic",
            "up/x/train/a/1.png",
        ):
            path = pathlib.Path(photo)
            path.parent.mkdir(parents=True)
            path.touch()
            folder = path.parts[0]
            self._assert_leaves_nothing(
                f"in {folder}, got .*run convert_images -- --images_dir='?{folder}'? ",
                f"--dataset_dir={folder}",
            )
        os.makedirs("none/folder")
        self._assert_leaves_nothing("none, got folder; rename", "--dataset_dir=none")

    def test_bad_files_of_records(self):
        path = pathlib.Path(self._write_data())
        whole = path.read_bytes()
        path.write_bytes(whole[:-100])
        self._assert_leaves_nothing(
            f"at offset [0-9]+ of {path}, got a file that ends", "--dataset_dir=data"
        )
        path.write_bytes(b"noise" * 100)
        self._assert_leaves_nothing("got a length with a wrong checksum", "--dataset_dir=data")
        path.write_bytes(b"")
        self._assert_leaves_nothing("got 1 empty files", "--dataset_dir=data")
        image = data_testing.encode_png(np.zeros([12, 10, 3], np.uint8))
        for name, value in {"image/encoded": image, "image/class/label": 1}.items():
            lacking = {"image/encoded": "image/class/label"}.get(name, "image/encoded")
            self._write_data(index=0, damaged=data_testing.make_example({name: value}))
            self._assert_leaves_nothing(
                f"of {lacking} in each record, got 0 in the first record of ",
                "--dataset_dir=data",
            )

    def test_a_bad_record_in_the_middle_costs_no_steps(self):
        flags = ("--dataset_dir=data", "--number_of_steps=9", *_SMALL)
        path = self._write_data()
        image = data_testing.encode_png(np.zeros([12, 10, 3], np.uint8))
        self.assertIsNone(self._run(*flags)[0])
        os.rename("out", "expected")
        with tf.Session() as session:
            jpeg = session.run(tf.io.encode_jpeg(np.zeros([12, 10, 3], np.uint8)))
        self._write_data(damaged=data_testing.make_image_example(jpeg[: len(jpeg) // 2], 1))
        goes_on = "Training stopped after step {}, with a checkpoint: the same command continues"
        self._assert_fails(
            f"image/encoded, got one that cannot be decoded in record {_BAD} of {path}.*"
            + goes_on.format("[1-9]"),
            *flags,
        )
        step = checkpoints.newest_step("out")
        self._write_data(damaged=data_testing.make_image_example(image, 3))
        self._assert_fails(
            f"label in 0..2, got 3 in record {_BAD} of {path}; if the records count classes from "
            "1, put a name for class 0, .*" + goes_on.format(step),
            *flags,
        )
        data = bytearray(pathlib.Path(self._write_data()).read_bytes())
        data[-5] ^= 1  # The last byte before the checksum.
        pathlib.Path(path).write_bytes(data)
        self._assert_fails(
            f"number {_RECORDS - 1} of {path}, got one with a wrong.*" + goes_on.format(step),
            *flags,
        )
        self._write_data()
        status, out, err = self._run(*flags)
        self.assertIsNone(status, err)
        self.assertIn(f"Continuing from out/model.ckpt-{step}, step {step}.", out)
        np.testing.assert_equal(_variables("out"), _variables("expected"))

    def test_a_bad_record_among_those_whose_features_are_kept(self):
        digits_networks.write_network("start", digits_networks.DIGITS)
        path = self._write_data()
        data = bytearray(pathlib.Path(path).read_bytes())
        data[-5] ^= 1
        pathlib.Path(path).write_bytes(data)
        self._assert_leaves_nothing(
            f"number {_RECORDS - 1} of {path}, got one with a wrong checksum",
            "--dataset_dir=data",
            "--fine_tune_checkpoint=start",
            "--freeze_base_model",
            "--cache_features=features",
            *_SMALL,
        )
        self.assertEmpty(os.listdir("features"))

    def test_no_checkpoint_to_start_from(self):
        os.mkdir("empty")
        pathlib.Path("noise.index").write_bytes(b"noise" * 100)
        os.symlink("loop", "loop.index")
        for path, expected in {
            "gone": "got gone: there is no such folder, and no such checkpoint",
            "empty": "expected a checkpoint in the folder empty; there is none",
            "noise": "noise cannot be read as a checkpoint: ",
            "loop": "got loop: there is no such|loop cannot be read as a checkpoint",
        }.items():
            with self.subTest(path):
                self._assert_leaves_nothing(expected, f"--fine_tune_checkpoint={path}")

    def test_a_checkpoint_to_start_from_that_does_not_fit(self):
        prefix = digits_networks.write_network("start", digits_networks.DIGITS)
        start = ("--fine_tune_checkpoint=start", "--quantize=false", "--batch_size=8")
        self._assert_leaves_nothing(
            "holds nothing of its base; is it one of this network, and is the depth",
            *start,
            "--depth_multiplier=0.5",
        )
        path = f"{prefix}.data-00000-of-00001"
        os.truncate(path, os.path.getsize(path) // 2)
        self._assert_leaves_nothing(f"{prefix} cannot be read as a checkpoint", *start)

    def test_another_number_of_classes_keeps_the_base(self):
        self._write_data()
        digits_networks.write_network("start", digits_networks.DIGITS)
        status, out, err = self._run(
            "--fine_tune_checkpoint=start",
            "--freeze_base_model",
            "--dataset_dir=data",
            "--number_of_steps=1",
            *_SMALL,
        )
        self.assertIsNone(status, err)
        self.assertIn(
            "The checkpoint has 10 classes, and this network 3: base and embedding are kept, and "
            "the last layer starts with random values.",
            out,
        )
        before, after = _variables("start"), _variables("out")
        name = "MobilenetV1/Conv2d_5_pointwise/weights"
        np.testing.assert_array_equal(after[name], before[name])
        name = "MobilenetV1/Logits/Conv2d_1d_1x1_normalize/weights"
        self.assertEqual(after[name].shape, (1, 1, 1024, 3))

    def test_flags_that_contradict_the_folder(self):
        digits_networks.DIGITS.write(self._out())
        before = os.listdir("out")
        for flag, expected in {
            "--image_size=64": "image_size 32, not 64",
            "--depth_multiplier=0.5": "depth_multiplier 0.25, not 0.5",
            "--num_classes=12": "num_classes 10, not 12",
            "--quantize=true": "quantize False, not True",
        }.items():
            with self.subTest(flag):
                self._assert_fails(
                    f"out/model.json, got another: .*{expected}",
                    "--quantize=false",
                    flag,
                )
        self.assertEqual(os.listdir("out"), before)

    def test_folders_that_cannot_be_trained_in(self):
        pathlib.Path("file").touch()
        os.symlink("loop", "loop")
        for path, expected in {
            "file": "got the file file; name another",
            "file/out": "got file/out, and .*/file is not a folder; name another",
            "loop": "got loop, and .*/loop is not a folder",
        }.items():
            self._assert_fails(expected, f"--checkpoint_dir={path}")
        out = self._out()
        pathlib.Path(out, model_config.FILE_NAME).write_text("{")
        self._assert_fails("out/model.json does not describe a network")
        os.remove(os.path.join(out, model_config.FILE_NAME))
        for name in ("model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001"):
            pathlib.Path(out, name).write_bytes(b"noise" * 100)
        self._assert_fails("readable checkpoint to continue from in out, got 1 that cannot be read")

    def test_a_second_training_in_a_folder(self):
        with run_folder.lock(self._out(), print):
            self._assert_fails(
                "no other training runs, got out, in which process [0-9]+ on .* trains"
            )
        self.assertEqual(os.listdir("out"), [run_folder.LOCK_FILE])

    def test_a_nan_loss_leaves_the_last_checkpoint(self):
        self._assert_fails(
            r"prog: expected a finite loss, .*--learning_rate below 1e\+30 may help. The "
            "newest checkpoint is out/model.ckpt-0\n$",
            "--quantize=false",
            "--learning_rate=1e30",
            *_SMALL,
        )
        for name, value in _variables("out").items():
            self.assertTrue(np.all(np.isfinite(value)), name)

    def test_a_full_disk_leaves_the_last_checkpoint(self):
        flags = ("--quantize=false", "--batch_norm_decay=0.5", *_SMALL)
        self.assertIsNone(self._run(*flags, "--number_of_steps=2")[0])
        before = {name: os.path.getsize(f"out/{name}") for name in os.listdir("out")}
        # Stands for a full disk: no file may grow beyond this.
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
        try:
            self._assert_fails(
                "checkpoint of step 4 cannot be written in out: .*File too large; free disk "
                "space.*: "
                "training continues from out/model.ckpt-2\n$",
                *flags,
                "--number_of_steps=4",
            )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        after = {name: os.path.getsize(f"out/{name}") for name in os.listdir("out")}
        self.assertEqual(after, before)
        status, out, err = self._run(*flags, "--number_of_steps=4")
        self.assertIsNone(status, err)
        self.assertIn("Continuing from out/model.ckpt-2, step 2.", out)
        self.assertIn("Trained to step 4.", out)

    def _out(self) -> str:
        shutil.rmtree("out", ignore_errors=True)
        os.mkdir("out")
        return "out"


def _variables(folder: str) -> dict[str, np.ndarray]:
    checkpoint = checkpoints.find(folder)
    return checkpoint.read(checkpoint.shapes)


if __name__ == "__main__":
    absltest.main()
