"""Tests of fine-tuning: trains small networks from a checkpoint, with and without a frozen base."""

import dataclasses
import functools
import os

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.data.dataset import Dataset
from classification.training import trainer
from classification.training.training_testing import (
    EMBEDDING_MAX,
    FAST,
    FLOAT,
    QUANT,
    TAGS,
    Messages,
    TrainingTestCase,
    read_variables,
    summaries,
    write_checkpoint,
)


class FineTuningTest(TrainingTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start = write_checkpoint(os.path.join(cls.folders.name, "start.ckpt"))

    @classmethod
    @functools.cache
    def _frozen(cls) -> tuple[str, dict[str, np.ndarray], str]:
        """A quantised training run with a frozen base, which tests share and do not change.

        Returns:
          Its folder, the newest checkpoint's variables, and what was printed.
        """
        folder = os.path.join(cls.folders.name, "frozen")
        variables, printed = cls.train(
            folder,
            QUANT,
            fine_tune_checkpoint=cls.start,
            freeze_base_model=True,
            batch_size=16,
            save_summaries_secs=1,
        )
        return folder, variables, printed

    def test_summaries_hold_the_ranges(self):
        folder, _, _ = self._frozen()
        ranges = {
            "MobilenetV1/MobilenetV1/Conv2d_0/weights_quant/min",
            "MobilenetV1/MobilenetV1/Conv2d_0/act_quant/max",
        }
        self.assertContainsSubset({*TAGS, *ranges}, summaries(folder))

    def test_cached_features_train_the_head(self):
        options = {"fine_tune_checkpoint": self.start, "freeze_base_model": True}
        before = read_variables(self.start)
        whole, parts = self.folder(), self.folder()
        config = dataclasses.replace(FAST, cache_features=self.folder(), **options)
        expected, printed = self.train(whole, QUANT, config, number_of_steps=4)
        self.assertRegex(printed, "Features of 1,437 images: computed in")
        self.assertIn("32 images were trained on; for these, the base would have taken", printed)
        for steps in (2, 4):
            variables, printed = self.train(parts, QUANT, config, number_of_steps=steps)
            self.assertIn("by an earlier run", printed)
        np.testing.assert_equal(variables, expected)
        for name in before:
            if "/Logits/" not in name:
                np.testing.assert_array_equal(variables[name], before[name], err_msg=name)
        weights = "MobilenetV1/Logits/Conv2d_1c_1x1_negative/weights"
        self.assertTrue(np.any(variables[weights] != before[weights]))

    def test_cached_features_learn_as_the_images_do(self):
        """The first step's loss is that of the whole network on the same, undistorted images."""
        losses = {}
        for cache in ("", "memory"):
            display = Messages()
            images = dataclasses.replace(
                self.digits, _make_batches=functools.partial(_undistorted, self.digits)
            )
            trainer.train(
                model=FLOAT,
                config=dataclasses.replace(
                    FAST,
                    number_of_steps=1,
                    batch_size=1437,
                    fine_tune_checkpoint=self.start,
                    freeze_base_model=True,
                    cache_features=cache,
                ),
                dataset=images,
                checkpoint_dir=self.folder(),
                display=display,
            )
            losses[cache] = display.losses[0]
        self.assertAlmostEqual(losses[""], losses["memory"], places=4)

    def test_continues_only_with_training_of_the_same_kind(self):
        folder, _, _ = self._frozen()
        with self.assertRaisesRegex(ValueError, "flags that it was started with"):
            self.train(folder, QUANT, number_of_steps=4)

    def test_frozen_base_is_left_as_it_was(self):
        before = read_variables(self.start)
        _, variables, printed = self._frozen()
        base = [name for name in before if "/Logits/" not in name]
        # 27 layers, each with a kernel, four of batch norm's, and four ends of ranges.
        self.assertLen(base, 27 * 9)
        for name in base:
            np.testing.assert_array_equal(variables[name], before[name], err_msg=name)
        weights = "MobilenetV1/Logits/Conv2d_1c_1x1_negative/weights"
        self.assertTrue(np.any(variables[weights] != before[weights]))
        self.assertEqual(variables["global_step"], 2)
        self.assertRegex(printed, r"\d+ of \d+ variables restored")

    def test_frozen_base_can_adapt_its_statistics(self):
        before = read_variables(self.start)
        variables, _ = self.train(
            self.folder(),
            QUANT,
            fine_tune_checkpoint=self.start,
            freeze_base_model=True,
            update_base_statistics=True,
        )
        layer = "MobilenetV1/Conv2d_5_pointwise/"
        np.testing.assert_array_equal(variables[layer + "weights"], before[layer + "weights"])
        name = layer + "BatchNorm/moving_mean"
        self.assertTrue(np.any(variables[name] != before[name]))
        name = "MobilenetV1/MobilenetV1/Conv2d_5_pointwise/act_quant/max"
        self.assertNotEqual(variables[name], before[name])

    def test_all_layers_with_batch_norm_frozen(self):
        before = read_variables(self.start)
        variables, _ = self.train(
            self.folder(), QUANT, fine_tune_checkpoint=self.start, freeze_batch_norm=True
        )
        layer = "MobilenetV1/Conv2d_5_pointwise/"
        for name in ("BatchNorm/moving_mean", "BatchNorm/moving_variance"):
            np.testing.assert_array_equal(variables[layer + name], before[layer + name])
        self.assertTrue(np.any(variables[layer + "weights"] != before[layer + "weights"]))
        floats = write_checkpoint(
            os.path.join(self.folders.name, "unnormalised.ckpt"),
            FLOAT,
            without=layer + "BatchNorm/moving_mean",
        )
        with self.assertRaisesRegex(ValueError, "statistics of the complete base"):
            self.train(self.folder(), fine_tune_checkpoint=floats, freeze_batch_norm=True)

    def test_freezing_needs_a_complete_base(self):
        with self.assertRaisesRegex(ValueError, "expected --fine_tune_checkpoint"):
            self.train(self.folder(), freeze_base_model=True)
        floats = write_checkpoint(os.path.join(self.folders.name, "float.ckpt"), FLOAT)
        with self.assertRaisesRegex(ValueError, "complete base.*--update_base_statistics"):
            self.train(self.folder(), QUANT, fine_tune_checkpoint=floats, freeze_base_model=True)

    def test_known_embedding_range_is_not_the_checkpoints(self):
        name = EMBEDDING_MAX
        self.assertEqual(read_variables(self.start)[name], 0.25)
        _, variables, _ = self._frozen()
        self.assertEqual(variables[name], np.float32(127 / 128))

    def test_starts_from_a_base_alone_with_its_features_as_the_embedding(self):
        name = "MobilenetV1/Logits/Conv2d_1c_1x1_negative/weights"
        prefix = os.path.join(self.folders.name, "base.ckpt")
        write_checkpoint(prefix, FLOAT, without=name)
        folder = self.folder()
        self.train(folder, fine_tune_checkpoint=prefix, number_of_steps=1)
        start = read_variables(os.path.join(folder, "model.ckpt-0"))
        np.testing.assert_array_equal(start[name][0, 0], np.eye(256, 1024))

    def test_refuses_to_start_from_nan(self):
        prefix = os.path.join(self.folders.name, "nan.ckpt")
        write_checkpoint(prefix, FLOAT, base=float("nan"))
        folder = self.folder()
        with self.assertRaisesRegex(ValueError, "nan.ckpt, in which 1 variables hold NaN"):
            self.train(folder, fine_tune_checkpoint=prefix)
        self.assertFalse(os.path.exists(folder))


def _undistorted(digits: Dataset, *, start: int, **options: object) -> tf.data.Dataset:
    """All images, preprocessed as in evaluation, as one batch for training."""
    del start
    options["is_training"] = False
    return digits._make_batches(start=0, **options).repeat()


if __name__ == "__main__":
    absltest.main()
