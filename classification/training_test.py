"""Trains small networks on the digits, and looks at what comes of it."""

import contextlib
import dataclasses
import functools
import glob
import io
import os
import shutil
import signal
import tempfile
import time

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification import checkpoints, folder_lock, model_config, network, training
from classification.data.dataset import Dataset, open_dataset
from classification.model_config import ModelConfig
from classification.progress import Display, Step
from classification.training_config import TrainingConfig

_FLOAT = ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=10)
_QUANT = dataclasses.replace(_FLOAT, quantize=True)
_FAST = TrainingConfig(number_of_steps=2, batch_size=8, save_summaries_secs=0)
_EMBEDDING_MAX = "MobilenetV1/Logits/Normalize_1a/activation_Mul_quant/max"
_TAGS = {"total_loss", "learning_rate", "MobilenetV1/Logits/scale_factor"}


class TrainingTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.digits, cls.held_out = (open_dataset("", split) for split in ("train", "validation"))
        cls.folders = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folders.cleanup)
        cls.start = _write_checkpoint(os.path.join(cls.folders.name, "start.ckpt"))

    @classmethod
    def _train(
        cls, folder: str, model: ModelConfig = _FLOAT, config: TrainingConfig = _FAST, **changes
    ) -> tuple[dict[str, np.ndarray], str]:
        """Trains; returns the newest checkpoint's variables, and what was printed."""
        config = dataclasses.replace(config, **changes)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            training.train(model=model, config=config, dataset=cls.digits, checkpoint_dir=folder)
        return _variables(tf.train.latest_checkpoint(folder)), printed.getvalue()

    def _folder(self) -> str:
        return os.path.join(self.create_tempdir().full_path, "model")

    @classmethod
    @functools.cache
    def _frozen(cls) -> tuple[str, dict[str, np.ndarray], str]:
        """A quantised training with its base frozen, which tests share: they leave it as it is.

        Returns:
          Its folder, the newest checkpoint's variables, and what was printed.
        """
        folder = os.path.join(cls.folders.name, "frozen")
        variables, printed = cls._train(
            folder,
            _QUANT,
            fine_tune_checkpoint=cls.start,
            freeze_base=True,
            batch_size=16,
            save_summaries_secs=1,
        )
        return folder, variables, printed

    def test_loss_falls_and_files_are_left(self) -> None:
        folder = self._folder()
        losses = _Losses(last_step=60, every_n_steps=1, batch_size=32)
        training.train(
            model=_FLOAT,
            config=dataclasses.replace(
                _FAST, number_of_steps=60, batch_size=32, learning_rate=0.1, save_summaries_secs=1
            ),
            dataset=self.digits,
            checkpoint_dir=folder,
            display=losses,
        )
        self.assertEqual(model_config.read(folder), _FLOAT)
        self.assertContainsSubset({"images_per_second", *_TAGS}, _summaries(folder))
        self.assertLen(losses.seen, 60)
        self.assertLess(np.mean(losses.seen[-10:]), 0.8 * np.mean(losses.seen[:10]))

    def test_summaries_hold_the_ranges(self) -> None:
        folder, _, _ = self._frozen()
        ranges = {
            "MobilenetV1/MobilenetV1/Conv2d_0/weights_quant/min",
            "MobilenetV1/MobilenetV1/Conv2d_0/act_quant/max",
        }
        self.assertContainsSubset({*_TAGS, *ranges}, _summaries(folder))

    def test_same_seed_gives_the_same_bytes(self) -> None:
        data = []
        for _ in range(2):
            folder = self._folder()
            self._train(folder, _QUANT, seed=3, number_of_steps=3)
            with open(tf.train.latest_checkpoint(folder) + ".data-00000-of-00001", "rb") as file:
                data.append(file.read())
        self.assertEqual(data[0], data[1])

    def test_another_seed_gives_other_weights(self) -> None:
        name = "MobilenetV1/Conv2d_0/weights"
        weights = [self._train(self._folder(), seed=seed)[0][name] for seed in (3, 4)]
        self.assertTrue(np.all(weights[0] != weights[1]))

    def test_goes_on_where_it_stopped_in_a_folder_that_was_moved(self) -> None:
        folder = self._folder()
        self._train(folder)
        moved = shutil.move(folder, folder + "-moved")
        variables, printed = self._train(moved, number_of_steps=5)
        self.assertIn(f"Going on from {moved}/model.ckpt-2, step 2", printed)
        self.assertEqual(variables["global_step"], 5)
        after, printed = self._train(moved, number_of_steps=5)
        self.assertIn("all of the 5 steps", printed)
        np.testing.assert_equal(after, variables)

    def test_a_stop_changes_nothing(self) -> None:
        whole, part = self._folder(), self._folder()
        # Quantisation starts at step 3.
        config = dataclasses.replace(
            _FAST,
            seed=3,
            quant_delay=3,
            optimizer="momentum",
            moving_average_decay=0.9,
            number_of_steps=6,
            save_interval_secs=1,
        )
        training.train(
            model=_QUANT,
            config=config,
            dataset=self.digits,
            checkpoint_dir=whole,
            display=_Pause(last_step=6, every_n_steps=1, batch_size=8),
        )
        saved = checkpoints.by_step(whole)[1]
        os.makedirs(part)
        for path in glob.glob(f"{saved}.*"):
            shutil.copy(path, part)
        variables, printed = self._train(part, _QUANT, config)
        self.assertRegex(printed, "model.ckpt-[45], step [45]")
        for name, value in _variables(tf.train.latest_checkpoint(whole)).items():
            np.testing.assert_array_equal(variables[name], value, err_msg=name)

    def test_goes_on_from_the_last_whole_checkpoint(self) -> None:
        folder = self._folder()
        self._train(folder, save_interval_secs=1, number_of_steps=2)
        expected, _ = self._train(folder, number_of_steps=4)
        # As a machine that loses its power in the middle of a write leaves it.
        path = os.path.join(folder, "model.ckpt-4.data-00000-of-00001")
        os.truncate(path, os.path.getsize(path) // 2)
        variables, printed = self._train(folder, number_of_steps=4)
        self.assertIn("model.ckpt-4 is not whole, and left aside", printed)
        self.assertIn("model.ckpt-2, step 2", printed)
        np.testing.assert_equal(variables, expected)

    def test_two_trainings_in_a_folder_are_one_too_many(self) -> None:
        folder = self._folder()
        os.makedirs(folder)
        with (
            folder_lock.hold(folder),
            self.assertRaisesRegex(BlockingIOError, "nobody else trains in"),
        ):
            self._train(folder)
        self.assertEqual(os.listdir(folder), [folder_lock.FILE_NAME])

    def test_cached_features_train_the_head(self) -> None:
        options = {"fine_tune_checkpoint": self.start, "freeze_base": True}
        before = _variables(self.start)
        whole, parts = self._folder(), self._folder()
        config = dataclasses.replace(_FAST, cache_features=self._folder(), **options)
        expected, printed = self._train(whole, _QUANT, config, number_of_steps=4)
        self.assertRegex(printed, "Features of 1,437 images: computed in")
        self.assertIn("32 images were trained on; for these, the base would have taken", printed)
        for steps in (2, 4):
            variables, printed = self._train(parts, _QUANT, config, number_of_steps=steps)
            self.assertIn("by an earlier run", printed)
        np.testing.assert_equal(variables, expected)
        for name in before:
            if "/Logits/" not in name:
                np.testing.assert_array_equal(variables[name], before[name], err_msg=name)
        weights = "MobilenetV1/Logits/Conv2d_1c_1x1_negative/weights"
        self.assertTrue(np.any(variables[weights] != before[weights]))

    def test_cached_features_learn_as_the_images_do(self) -> None:
        """The first step's loss is that of the whole network on the same, undistorted images."""
        losses = {}
        for cache in ("", "memory"):
            seen = _Losses(last_step=1, every_n_steps=1, batch_size=1437)
            images = dataclasses.replace(
                self.digits, _make_batches=functools.partial(_undistorted, self.digits)
            )
            training.train(
                model=_FLOAT,
                config=dataclasses.replace(
                    _FAST,
                    number_of_steps=1,
                    batch_size=1437,
                    fine_tune_checkpoint=self.start,
                    freeze_base=True,
                    cache_features=cache,
                ),
                dataset=images,
                checkpoint_dir=self._folder(),
                display=seen,
            )
            losses[cache] = seen.seen[0]
        self.assertAlmostEqual(losses[""], losses["memory"], places=4)

    def test_an_evaluation_that_was_stopped_is_made_up(self) -> None:
        folder = self._folder()
        config = dataclasses.replace(_FAST, eval_every=2)
        stopping = dataclasses.replace(
            self.held_out, _make_batches=functools.partial(_stop, self.held_out)
        )
        outcome, _ = self._evaluated(folder, config, stopping)
        self.assertEqual(outcome, training.Outcome(2, signal.SIGTERM))
        self.assertFalse(os.path.exists(os.path.join(folder, "best")))
        outcome, printed = self._evaluated(folder, config, self.held_out)
        self.assertEqual(outcome, training.Outcome(2, None))
        self.assertRegex(printed, r"all of the 2 steps.*\nstep 2  accuracy .*kept in best/")
        _, printed = self._evaluated(folder, config, self.held_out)
        self.assertNotIn("accuracy", printed)

    def _evaluated(
        self, folder: str, config: TrainingConfig, validation: Dataset
    ) -> tuple[training.Outcome, str]:
        """Trains, with evaluations; returns how it ended, and what was printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            outcome = training.train(
                model=_FLOAT,
                config=config,
                dataset=self.digits,
                checkpoint_dir=folder,
                validation=validation,
            )
        return outcome, printed.getvalue()

    def test_evaluates_and_keeps_the_best(self) -> None:
        folder = self._folder()
        config = dataclasses.replace(_FAST, eval_every=2, number_of_steps=3)
        _, printed = self._evaluated(folder, config, self.held_out)
        self.assertRegex(printed, r"step 2  accuracy .* of 360 images.*kept in best/")
        self.assertRegex(printed, r"step 3  accuracy")
        self.assertEqual(model_config.read(os.path.join(folder, "best")), _FLOAT)
        with self.assertRaisesRegex(ValueError, "images to evaluate on"):
            self._train(self._folder(), config=config)

    def test_refuses_a_folder_with_another_network(self) -> None:
        folder = self._folder()
        os.makedirs(folder)
        _FLOAT.write(folder)
        with self.assertRaisesRegex(ValueError, "describes another network"):
            self._train(folder, _QUANT)

    def test_goes_on_only_with_training_of_the_same_kind(self) -> None:
        folder, _, _ = self._frozen()
        with self.assertRaisesRegex(ValueError, "flags that it was started with"):
            self._train(folder, _QUANT, number_of_steps=4)

    def test_does_not_drop_what_a_training_held(self) -> None:
        folder = self._folder()
        self._train(folder, moving_average_decay=0.9)
        with self.assertRaisesRegex(ValueError, r"averages or none(?s:.*)\d+ more are in it"):
            self._train(folder, number_of_steps=4)

    def test_frozen_base_is_left_as_it_was(self) -> None:
        before = _variables(self.start)
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

    def test_frozen_base_can_adapt_its_statistics(self) -> None:
        before = _variables(self.start)
        variables, _ = self._train(
            self._folder(),
            _QUANT,
            fine_tune_checkpoint=self.start,
            freeze_base=True,
            update_base_statistics=True,
        )
        layer = "MobilenetV1/Conv2d_5_pointwise/"
        np.testing.assert_array_equal(variables[layer + "weights"], before[layer + "weights"])
        name = layer + "BatchNorm/moving_mean"
        self.assertTrue(np.any(variables[name] != before[name]))
        name = "MobilenetV1/MobilenetV1/Conv2d_5_pointwise/act_quant/max"
        self.assertNotEqual(variables[name], before[name])

    def test_freezing_needs_a_whole_base(self) -> None:
        with self.assertRaisesRegex(ValueError, "expected --fine_tune_checkpoint"):
            self._train(self._folder(), freeze_base=True)
        floats = _write_checkpoint(os.path.join(self.folders.name, "float.ckpt"), _FLOAT)
        with self.assertRaisesRegex(ValueError, "whole base.*--update_base_statistics"):
            self._train(self._folder(), _QUANT, fine_tune_checkpoint=floats, freeze_base=True)

    def test_known_embedding_range_is_not_the_checkpoints(self) -> None:
        name = _EMBEDDING_MAX
        self.assertEqual(_variables(self.start)[name], 0.25)
        _, variables, _ = self._frozen()
        self.assertEqual(variables[name], np.float32(127 / 128))

    def test_refuses_fewer_classes_than_the_data_has(self) -> None:
        with self.assertRaisesRegex(ValueError, "--num_classes of at least 10"):
            self._train(self._folder(), dataclasses.replace(_FLOAT, num_classes=9))

    def test_stops_when_the_loss_is_no_number(self) -> None:
        folder = self._folder()
        with self.assertRaisesRegex(ArithmeticError, "no longer a number.*model.ckpt-0"):
            self._train(folder, learning_rate=1e30, number_of_steps=20)
        # Of what came after, nothing was saved.
        self.assertEqual(checkpoints.by_step(folder), [os.path.join(folder, "model.ckpt-0")])
        start = _variables(os.path.join(folder, "model.ckpt-0"))
        self.assertTrue(all(np.all(np.isfinite(value)) for value in start.values()))

    def test_starts_from_a_base_alone_with_its_features_as_the_embedding(self) -> None:
        name = "MobilenetV1/Logits/Conv2d_1c_1x1_negative/weights"
        prefix = os.path.join(self.folders.name, "base.ckpt")
        _write_checkpoint(prefix, _FLOAT, without=name)
        folder = self._folder()
        self._train(folder, fine_tune_checkpoint=prefix, number_of_steps=1)
        start = _variables(os.path.join(folder, "model.ckpt-0"))
        np.testing.assert_array_equal(start[name][0, 0], np.eye(256, 1024))

    def test_refuses_to_start_from_what_is_no_number(self) -> None:
        prefix = os.path.join(self.folders.name, "nan.ckpt")
        _write_checkpoint(prefix, _FLOAT, base=float("nan"))
        folder = self._folder()
        with self.assertRaisesRegex(ValueError, "nan.ckpt, in which 1 variables hold NaN"):
            self._train(folder, fine_tune_checkpoint=prefix)
        self.assertFalse(os.path.exists(folder))


class _Losses(Display):
    """Keeps every step's loss."""

    def __init__(self, **options: int):
        super().__init__(**options)
        self.seen: list[float] = []

    def show(self, step: Step) -> None:
        self.seen.append(step.loss)


class _Pause(Display):
    """Lets so much time go by at step 4 that this or the next one is saved."""

    def show(self, step: Step) -> None:
        if step.number == 4:
            time.sleep(1.1)


def _undistorted(digits: Dataset, *, start: int, **options: object) -> tf.data.Dataset:
    """All images, as evaluation sees them, as if they were a batch for training."""
    del start
    options["is_training"] = False
    return digits._make_batches(start=0, **options).repeat()


def _stop(digits: Dataset, **options: object) -> tf.data.Dataset:
    """The images; meanwhile, this process is asked to end."""
    os.kill(os.getpid(), signal.SIGTERM)
    return digits._make_batches(**options)


def _write_checkpoint(
    prefix: str, config: ModelConfig = _QUANT, base: float | None = None, without: str = ""
) -> str:
    """A network's eval variables, of random values; its embedding's range is learned.

    The first layer's beta is `base`, where that is given; the variable `without` is left out.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        config = dataclasses.replace(config, learned_embedding_range=config.quantize)
        network.build(tf.placeholder(tf.float32, [1, 32, 32, 3]), config)
        session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():
            if variable.op.name == _EMBEDDING_MAX:
                variable.load(0.25, session)
            if variable.op.name == "MobilenetV1/Conv2d_0/BatchNorm/beta" and base is not None:
                variable.load(np.full(variable.shape, base), session)
        kept = [v for v in tf.global_variables() if v.op.name != without]
        return tf.train.Saver(kept).save(session, prefix, write_meta_graph=False)


def _summaries(folder: str) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for path in glob.glob(os.path.join(folder, "events*")):
        for event in tf.train.summary_iterator(path):
            for value in event.summary.value:
                values.setdefault(value.tag, []).append(value.simple_value)
    return values


def _variables(prefix: str) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(prefix)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


if __name__ == "__main__":
    absltest.main()
