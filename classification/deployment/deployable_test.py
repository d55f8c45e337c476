"""Tests of deployable.py: a folder holds the network and nothing else, in the same bytes."""

import dataclasses
import functools
import os
import shutil

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.deployment import deployable
from classification.nets import checkpoints, model_config
from classification.nets.checkpoint import Checkpoint
from classification.testing import digits_networks

_FLOAT = digits_networks.DIGITS
_QUANTISED = dataclasses.replace(_FLOAT, quantize=True)
_SCALE = "MobilenetV1/Logits/scale_factor"


def values_of(prefix: str) -> dict[str, np.ndarray]:
    checkpoint = Checkpoint(prefix)
    return checkpoint.read(checkpoint.shapes)


def write_v1(prefix: str, values: dict[str, np.ndarray]) -> str:
    """Writes a checkpoint as TensorFlow did before version 1.0: one file."""
    with tf.Graph().as_default(), tf.Session() as session:
        for name, value in values.items():
            tf.get_variable(name, initializer=value)
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver(write_version=tf.train.SaverDef.V1)
        return saver.save(session, prefix, write_meta_graph=False)


def contents(folder: str) -> dict[str, bytes]:
    found = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read()
    return found


class ValuesTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path

    @parameterized.parameters(_FLOAT, _QUANTISED)
    def test_what_the_network_computes_with_and_no_more(self, model):
        prefix = digits_networks.write_network(self.folder, model)
        values = deployable.read_values(Checkpoint(prefix), model)
        there = values_of(prefix)
        self.assertEqual(set(there) - set(values), {"global_step"})
        for name, value in values.items():
            np.testing.assert_array_equal(value, there[name])
        ranges = [name for name in values if name.endswith("_quant/min")]
        self.assertLen(ranges, (2 * 29 + 1) * model.quantize)

    def test_v1_format(self):
        values = values_of(digits_networks.write_network(self.folder, _FLOAT))
        prefix = write_v1(os.path.join(self.folder, "old.ckpt"), values)
        self.assertTrue(os.path.isfile(prefix))
        read = deployable.read_values(checkpoints.find(prefix), _FLOAT)
        for name, value in read.items():
            np.testing.assert_array_equal(value, values[name])

    def test_incomplete_network(self):
        prefix = digits_networks.write_network(self.folder, _FLOAT)
        cases = {
            "it has no quantisation ranges": _QUANTISED,
            "2 have another shape in it: .*Conv2d_1d_1x1_normalize/weights": dataclasses.replace(
                _FLOAT, num_classes=9, labels=None
            ),
            "have another shape in it: .*Conv2d_0": dataclasses.replace(
                _FLOAT, depth_multiplier=0.5
            ),
        }
        for expected, model in cases.items():
            with self.subTest(expected), self.assertRaisesRegex(ValueError, f"(?s){expected}"):
                deployable.read_values(Checkpoint(prefix), model)

    def test_values_that_are_not_finite(self):
        values = values_of(digits_networks.write_network(self.folder, _FLOAT))
        for bad, expected in (
            (np.float32("nan"), f"finite values in {_SCALE}, got NaN or infinity in .*earlier"),
            (np.float64(1), f"{_SCALE} to be float32, got float64 in "),
        ):
            prefix = write_v1(os.path.join(self.folder, "bad"), values | {_SCALE: bad})
            with self.assertRaisesRegex(ValueError, expected):
                deployable.read_values(Checkpoint(prefix), _FLOAT)


class RoomTest(parameterized.TestCase):
    _RANGE = "MobilenetV1/Logits/Conv2d_1d_1x1_normalize/weights_quant/"

    @parameterized.parameters(
        ((-0.1, 0.2), (-0.5, 0.5)),
        ((0.0, 0.8), (-0.5, 0.8)),
        ((-1.0, 0.0), (-1.0, 0.5)),
    )
    def test_widens_the_last_kernels_range(self, before, after):
        others = {_SCALE: np.float32(7)}
        values = dict(zip((self._RANGE + "min", self._RANGE + "max"), before, strict=True))
        room = deployable.with_room({**values, **others}, _QUANTISED)
        self.assertEqual({**others}, {_SCALE: room.pop(_SCALE)})
        np.testing.assert_array_equal(list(room.values()), np.array(after, np.float32))
        self.assertEqual({value.dtype for value in room.values()}, {np.dtype(np.float32)})

    def test_a_float_network_has_none(self):
        self.assertEqual(deployable.with_room({_SCALE: 7}, _FLOAT), {_SCALE: 7})


class WriteTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.create_tempdir().full_path, "prepared")
        self.values = {
            "b/w": np.arange(6, dtype=np.float32).reshape(2, 3),
            "a": np.float32(2.5),
        }

    def test_the_four_files(self):
        deployable.write(self.folder, _QUANTISED, self.values)
        self.assertCountEqual(os.listdir(self.folder), deployable.FILE_NAMES)
        self.assertEqual(model_config.read(self.folder), _QUANTISED)
        self.assertEqual(contents(self.folder)["labels.txt"], b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")
        prefix = checkpoints.find(self.folder).prefix
        self.assertEqual(os.path.basename(prefix), "model.ckpt")
        there = values_of(prefix)
        self.assertCountEqual(there, self.values)
        for name, value in self.values.items():
            np.testing.assert_array_equal(there[name], value)

    def test_equal_values_give_equal_bytes(self):
        deployable.write(self.folder, _FLOAT, self.values)
        first = contents(self.folder)
        shutil.rmtree(self.folder)
        other = os.path.join(self.create_tempdir().full_path, "elsewhere")
        deployable.write(other, _FLOAT, dict(reversed(self.values.items())))
        self.assertEqual(contents(other), first)

    def test_what_cannot_be_written_changes_nothing(self):
        os.mkdir(self.folder)
        with open(os.path.join(self.folder, "mine"), "w"):
            pass
        with self.assertRaisesRegex(FileExistsError, "which holds mine;"):
            deployable.write(self.folder, _FLOAT, self.values)
        self.assertEqual(os.listdir(self.folder), ["mine"])


class LabelsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.config = dataclasses.replace(_FLOAT, num_classes=2, labels=("a", "b"))
        self.nameless = dataclasses.replace(self.config, labels=None)

    def write(self, name: str, text: str) -> str:
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_in_the_order_of_preference(self):
        find = functools.partial(deployable.find_labels, flag="names_of")
        numbers = find("", self.folder, self.nameless)
        self.assertEqual(numbers[0], ("0", "1"))
        self.assertIn("numbers, since no file names them (--names_of)", numbers[1])
        path = self.write("labels.txt", "c\nd\n")
        self.assertEqual(find("", self.folder, self.nameless), (("c", "d"), f"as in {path}"))
        self.assertEqual(find("", self.folder, self.config), (("a", "b"), "as in its model.json"))
        path = self.write("named", "é\nf\n")
        for model in (self.config, self.nameless):
            self.assertEqual(find(path, self.folder, model), (("é", "f"), f"as in {path}"))

    def test_another_number(self):
        path = self.write("named", "a\nb\nc\n")
        expected = f"2 classes, got 3 names in {path}; .*--names_of.*--num_classes"
        with self.assertRaisesRegex(ValueError, expected):
            deployable.find_labels(path, self.folder, self.config, flag="names_of")
        self.write("labels.txt", "a\n")
        with self.assertRaisesRegex(ValueError, "2 classes, got 1 names in .*labels.txt; .*backg"):
            deployable.find_labels("", self.folder, self.nameless, flag="names_of")

    def test_missing_file(self):
        with self.assertRaises(FileNotFoundError):
            path = os.path.join(self.folder, "x")
            deployable.find_labels(path, self.folder, self.config, flag="names_of")

    def test_labels_of_several_lines_or_none(self):
        for bad in ("", " ", "a\nb", "a\n"):
            model = dataclasses.replace(self.config, labels=("a", bad))
            with self.subTest(bad), self.assertRaisesRegex(ValueError, "labels of one line each"):
                deployable.find_labels("", self.folder, model, flag="names_of")


class PortableTest(parameterized.TestCase):
    @parameterized.parameters(
        ("digits", "digits"),
        ("", ""),
        ("/some/where/flowers", "flowers"),
        ("/some/where/flowers/", "flowers"),
        ("/some/where/digits", "digits/"),
        ("digits/", "digits/"),
        ("flowers", "flowers"),
    )
    def test_no_path_is_kept(self, dataset, expected):
        model = dataclasses.replace(_FLOAT, dataset=dataset, labels=None)
        labels = tuple("abcdefghij")
        prepared = deployable.portable(model, labels)
        self.assertEqual(prepared, dataclasses.replace(_FLOAT, dataset=expected, labels=labels))
        self.assertEqual(deployable.portable(prepared, labels), prepared)


if __name__ == "__main__":
    absltest.main()
