"""Tests of finding checkpoints, and of telling what they hold."""

import os
import shutil

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import checkpoints
from third_party.tf_slim.slim import slim  # noqa: F401


def save(prefix: str, shapes: dict[str, list[int]], *, step: int | None = None) -> str:
    """Writes a checkpoint whose values count from 0; returns its prefix."""
    with tf.Graph().as_default(), tf.Session() as session:
        for name, shape in shapes.items():
            values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
            tf.get_variable(name, initializer=values)
        session.run(tf.global_variables_initializer())
        return tf.train.Saver().save(session, prefix, global_step=step, write_meta_graph=False)


def variables(shapes: dict[str, list[int]]) -> list[tf.Variable]:
    return [tf.get_variable(name, shape) for name, shape in shapes.items()]


class FindTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.create_tempdir().full_path, "model")
        os.mkdir(self.folder)
        self.prefix = os.path.join(self.folder, "model.ckpt")
        for step in (9, 10):
            self.newest = save(self.prefix, {"v": [2]}, step=step)

    def test_folder_means_its_newest(self):
        self.assertEqual(checkpoints.find(self.folder), self.newest)
        self.assertEqual(checkpoints.find(self.folder + "/"), self.newest)
        self.assertEndsWith(self.newest, "model.ckpt-10")

    @parameterized.parameters("", ".index", ".meta", ".data-00000-of-00001")
    def test_prefix_and_files_mean_the_checkpoint(self, ending):
        self.assertEqual(checkpoints.find(f"{self.prefix}-9{ending}"), f"{self.prefix}-9")

    def test_the_state_file_means_its_folder(self):
        path = os.path.join(self.folder, "checkpoint")
        self.assertEqual(checkpoints.find(path), self.newest)

    def test_relative_paths(self):
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            self.assertEqual(os.path.normpath(checkpoints.find(".")), "model.ckpt-10")
            self.assertEqual(checkpoints.find("checkpoint"), "./model.ckpt-10")
            self.assertEqual(checkpoints.find("model.ckpt-9"), "model.ckpt-9")
            self.assertEqual(checkpoints.folder("model.ckpt-9"), ".")
        finally:
            os.chdir(before)

    @parameterized.parameters(True, False)
    def test_moved_or_copied_folder(self, absolute):
        with open(os.path.join(self.folder, "checkpoint"), "w") as file:
            named = f"{self.prefix}-9" if absolute else "model.ckpt-9"
            file.write(f'model_checkpoint_path: "{named}"\n')
        copy = self.folder + "-copy"
        shutil.copytree(self.folder, copy)
        self.assertEqual(checkpoints.find(copy), os.path.join(copy, "model.ckpt-9"))
        shutil.rmtree(self.folder)
        self.assertEqual(checkpoints.find(copy), os.path.join(copy, "model.ckpt-9"))

    @parameterized.parameters(
        # As TensorFlow writes them on Windows, and as people edit them.
        "C:\\\\work\\\\my net\\\\model.ckpt-9",
        "C:\\work\\my net\\model.ckpt-9",
        "D:\\net\\2024\\model.ckpt-9",
        "C:/networks/model.ckpt-9",
        "net\\\\model.ckpt-9",
        "\\\\\\\\server\\\\share\\\\model.ckpt-9",
    )
    def test_a_state_file_that_windows_wrote(self, named):
        for ending in ("\n", "\r\n"):
            with open(os.path.join(self.folder, "checkpoint"), "w", newline="") as file:
                for key in ("model_checkpoint_path", "all_model_checkpoint_paths"):
                    file.write(f'{key}: "{named}"{ending}')
            self.assertEqual(checkpoints.find(self.folder), f"{self.prefix}-9")

    def test_a_state_file_that_tells_of_another_folders(self):
        with open(os.path.join(self.folder, "checkpoint"), "w") as file:
            file.write('model_checkpoint_path: "model.ckpt-11"\n')
        with self.assertRaisesRegex(
            ValueError, "the newest, got one that tells of .*ckpt-11; name"
        ):
            checkpoints.find(self.folder)
        with open(os.path.join(self.folder, "checkpoint"), "w") as file:
            file.write("nothing\n")
        with self.assertRaisesRegex(ValueError, "the newest, got one that tells of none; name the"):
            checkpoints.find(self.folder)
        with open(os.path.join(self.folder, "checkpoint"), "w") as file:
            file.write('model_checkpoint_path: "model.ckpt-11"\n')
        for name in os.listdir(self.folder):
            if name.startswith("model"):
                os.remove(os.path.join(self.folder, name))
        with self.assertRaisesRegex(
            FileNotFoundError, "none .the file named .* tells of .*ckpt-11"
        ):
            checkpoints.find(self.folder)

    def test_without_a_state_file_the_only_one_is_meant(self):
        os.remove(os.path.join(self.folder, "checkpoint"))
        with self.assertRaisesRegex(ValueError, "which of its 2 .* model.ckpt-9, model.ckpt-10"):
            checkpoints.find(self.folder)
        for ending in (".index", ".data-00000-of-00001"):
            os.remove(f"{self.prefix}-9{ending}")
        self.assertEqual(checkpoints.find(self.folder), self.newest)

    def test_nothing_there(self):
        empty = self.create_tempdir().full_path
        with self.assertRaisesRegex(FileNotFoundError, f"in the folder {empty}; there is none"):
            checkpoints.find(empty)
        missing = os.path.join(empty, "missing")
        with self.assertRaisesRegex(FileNotFoundError, f"got {missing}: there is no such folder"):
            checkpoints.find(missing)

    def test_folder_of_a_path(self):
        for path in (self.folder, self.prefix + "-9", self.prefix + "-9.index"):
            self.assertEqual(checkpoints.folder(path), self.folder)


class NewestModelTest(absltest.TestCase):
    def test_is_the_one_saved_last(self):
        root = self.create_tempdir().full_path
        for name, seconds in (("b", 100), ("a", 300), ("c", 200)):
            os.mkdir(os.path.join(root, name))
            save(os.path.join(root, name, "model.ckpt"), {"v": [1]})
            os.utime(os.path.join(root, name, "checkpoint"), (seconds, seconds))
        os.mkdir(os.path.join(root, "nothing saved yet"))
        self.assertEqual(checkpoints.newest_model(root), os.path.join(root, "a"))

    def test_none(self):
        root = self.create_tempdir().full_path
        for path in (root, os.path.join(root, "missing")):
            with self.assertRaisesRegex(FileNotFoundError, f"below {path}; .* train one first"):
                checkpoints.newest_model(path)


class PlanTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.prefix = os.path.join(self.create_tempdir().full_path, "model.ckpt")
        self.enter_context(tf.Graph().as_default())

    def test_tells_restored_missing_and_mismatched(self):
        save(self.prefix, {"a": [2, 3], "b": [4], "unused": [1]})
        with tf.Session() as session:
            a, *_ = variables({"a": [2, 3], "b": [5], "c": []})
            plan = checkpoints.plan(self.prefix, tf.global_variables())
            tf.train.Saver(plan.variables).restore(session, plan.prefix)
            np.testing.assert_array_equal(session.run(a), [[0, 1, 2], [3, 4, 5]])
        self.assertEqual(plan.restored, ("a",))
        self.assertEqual(plan.variables, (a,))
        self.assertEqual(plan.missing, ("c",))
        self.assertEqual(plan.mismatched, ("b [4], not [5]",))
        self.assertEqual(
            plan.summary(),
            f"{self.prefix}: 1 of 3 variables restored\n"
            "  1 are not in it: c\n"
            "  1 have another shape in it: b [4], not [5]",
        )

    def test_many_names_are_cut_short(self):
        save(self.prefix, {"x": []})
        plan = checkpoints.plan(self.prefix, variables({f"v{i}": [] for i in range(8)}))
        self.assertIn("8 are not in it: v0, v1, v2, v3, v4 and 3 more", plan.summary())

    @parameterized.parameters("", ".index")
    def test_noise(self, ending):
        with open(self.prefix + ending, "wb") as file:
            file.write(b"noise" * 50)
        prefix = checkpoints.find(self.prefix)
        with self.assertRaisesRegex(
            ValueError, f"{prefix} cannot be read as a checkpoint: .*no sst"
        ):
            checkpoints.plan(prefix, [])

    def test_cut_short(self):
        prefix = save(os.path.join(self.create_tempdir().full_path, "cut"), {"v": [1000]})
        os.truncate(f"{prefix}.data-00000-of-00001", 3000)
        with self.assertRaisesRegex(ValueError, "cannot be read as a checkpoint to its end: .*;"):
            checkpoints.plan(prefix, [])

    def test_require_all(self):
        save(self.prefix, {"a": [2], "b": [3]})
        complete = checkpoints.plan(self.prefix, variables({"a": [2]}))
        checkpoints.require_all(complete)
        cases: list[tuple[dict[str, list[int]], str]] = [
            ({"a": [2], "c": []}, "number of classes .*\n.*\n  1 are not in it: c"),
            ({"a": [2], "b": [4]}, "number of classes .*\n.*\n  1 have another .*: b "),
            ({"a": [2], "x/weights_quant/min": []}, "float network's: leave --quantize out"),
            ({"b": [4], "x/act_quant/max": []}, "float network's: leave --quantize out"),
            ({"c": [], "x/act_quant/max": []}, "number of classes and quantisation right"),
        ]
        for shapes, expected in cases:
            with self.subTest(shapes=shapes), tf.Graph().as_default():
                plan = checkpoints.plan(self.prefix, variables(shapes))
                with self.assertRaisesRegex(ValueError, expected):
                    checkpoints.require_all(plan)

    @parameterized.parameters(
        ("MobilenetV1/Conv2d_0/weights", True),
        ("MobilenetV1/Conv2d_13_depthwise/depthwise_weights", True),
        ("MobilenetV1/Conv2d_7_pointwise/weights", True),
        ("MobilenetV1/Conv2d_0/BatchNorm/beta", False),
        ("MobilenetV1/MobilenetV1/Conv2d_0/weights_quant/min", False),
        ("MobilenetV1/Logits/Conv2d_1c_1x1_negative/weights", False),
        ("MobilenetV1/Logits/scale_factor", False),
    )
    def test_require_base(self, name, is_of_the_base):
        save(self.prefix, {name: [2]})
        plan = checkpoints.plan(self.prefix, variables({name: [2], "else": [1]}))
        if is_of_the_base:
            checkpoints.require_base(plan)
        else:
            with self.assertRaisesRegex(ValueError, "nothing of this network's base"):
                checkpoints.require_base(plan)


class ReadTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.prefix = save(self.create_tempdir().full_path + "/c", {"v": [2, 3], "w": []})

    def test_values_and_shapes(self):
        values = checkpoints.read(self.prefix, ["v", "w"])
        np.testing.assert_array_equal(values["v"], [[0, 1, 2], [3, 4, 5]])
        self.assertEqual(values["w"].shape, ())
        self.assertEqual(values["w"].dtype, np.float32)
        self.assertEqual(checkpoints.shapes(self.prefix), {"v": [2, 3], "w": []})
        self.assertEqual(checkpoints.read(self.prefix, []), {})

    def test_missing_variable(self):
        with self.assertRaisesRegex(ValueError, "cannot be read as a checkpoint: .*gone"):
            checkpoints.read(self.prefix, ["v", "gone"])

    def test_damaged_data(self):
        path = self.prefix + ".data-00000-of-00001"
        with open(path, "r+b") as file:
            file.write(b"\xff")
        with self.assertRaisesRegex(ValueError, f"{self.prefix} cannot be read as a checkpoint: "):
            checkpoints.read(self.prefix, ["v", "w"])
        os.truncate(path, 10)
        with self.assertRaisesRegex(ValueError, f"{self.prefix} cannot be read as a checkpoint: "):
            checkpoints.read(self.prefix, ["v", "w"])


if __name__ == "__main__":
    absltest.main()
