"""Tests of trainer.py: trains small networks on the digits."""

import contextlib
import dataclasses
import functools
import glob
import io
import os
import shutil
import signal
import time

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.data.dataset import Dataset
from classification.nets import checkpoints, model_config
from classification.nets.checkpoint import Checkpoint
from classification.training import run_folder, trainer
from classification.training.step_display import Display, Step
from classification.training.training_config import TrainingConfig
from classification.training.training_testing import (
    FAST,
    FLOAT,
    QUANT,
    TAGS,
    Messages,
    TrainingTestCase,
    read_variables,
    summaries,
)


class TrainingTest(TrainingTestCase):
    def test_loss_falls_and_files_are_left(self):
        folder = self.folder()
        display = Messages()
        trainer.train(
            model=FLOAT,
            config=dataclasses.replace(
                FAST, number_of_steps=60, batch_size=32, learning_rate=0.1, save_summaries_secs=1
            ),
            dataset=self.digits,
            checkpoint_dir=folder,
            display=display,
        )
        self.assertEqual(model_config.read(folder), FLOAT)
        self.assertContainsSubset({"images_per_second", *TAGS}, summaries(folder))
        self.assertLen(display.losses, 60)
        self.assertLess(np.mean(display.losses[-10:]), 0.8 * np.mean(display.losses[:10]))

    def test_a_short_run_leaves_curves(self):
        folder = self.folder()
        config = dataclasses.replace(
            FAST, number_of_steps=9, save_summaries_secs=100, save_summaries_steps=2
        )
        trainer.train(model=FLOAT, config=config, dataset=self.digits, checkpoint_dir=folder)
        found = summaries(folder)
        self.assertLen(found["total_loss"], 5)
        self.assertGreaterEqual(len(found["images_per_second"]), 3)

    def test_same_seed_gives_the_same_bytes(self):
        data = []
        for _ in range(2):
            folder = self.folder()
            self.train(folder, QUANT, seed=3, number_of_steps=3)
            with open(tf.train.latest_checkpoint(folder) + ".data-00000-of-00001", "rb") as file:
                data.append(file.read())
        self.assertEqual(data[0], data[1])

    def test_another_seed_gives_other_weights(self):
        name = "MobilenetV1/Conv2d_0/weights"
        weights = [self.train(self.folder(), seed=seed)[0][name] for seed in (3, 4)]
        self.assertTrue(np.all(weights[0] != weights[1]))

    def test_continues_in_a_folder_that_was_moved(self):
        folder = self.folder()
        self.train(folder)
        moved = shutil.move(folder, folder + "-moved")
        variables, printed = self.train(moved, number_of_steps=5)
        self.assertIn(f"Continuing from {moved}/model.ckpt-2, step 2", printed)
        self.assertEqual(variables["global_step"], 5)
        after, printed = self.train(moved, number_of_steps=5)
        self.assertIn("All of the 5 steps", printed)
        np.testing.assert_equal(after, variables)

    def test_a_stop_changes_nothing(self):
        whole, part = self.folder(), self.folder()
        # Quantisation starts at step 3.
        config = dataclasses.replace(
            FAST,
            seed=3,
            quant_delay=3,
            optimizer="momentum",
            moving_average_decay=0.9,
            number_of_steps=6,
            save_interval_secs=1,
        )
        trainer.train(
            model=QUANT,
            config=config,
            dataset=self.digits,
            checkpoint_dir=whole,
            display=_Pause(),
        )
        saved = checkpoints.by_step(whole)[1]
        os.makedirs(part)
        for path in glob.glob(f"{saved}.*"):
            shutil.copy(path, part)
        variables, printed = self.train(part, QUANT, config)
        self.assertRegex(printed, "model.ckpt-[45], step [45]")
        for name, value in read_variables(tf.train.latest_checkpoint(whole)).items():
            np.testing.assert_array_equal(variables[name], value, err_msg=name)

    def test_continues_from_the_last_complete_checkpoint(self):
        folder = self.folder()
        self.train(folder, save_interval_secs=1, number_of_steps=2)
        expected, _ = self.train(folder, number_of_steps=4)
        # The file as it is after a power failure in the middle of a write.
        path = os.path.join(folder, "model.ckpt-4.data-00000-of-00001")
        os.truncate(path, os.path.getsize(path) // 2)
        variables, printed = self.train(folder, number_of_steps=4)
        self.assertIn("model.ckpt-4 is not complete and is skipped", printed)
        self.assertIn("model.ckpt-2, step 2", printed)
        np.testing.assert_equal(variables, expected)

    def test_two_trainings_in_a_folder_are_one_too_many(self):
        folder = self.folder()
        os.makedirs(folder)
        with (
            run_folder.lock(folder, print),
            self.assertRaisesRegex(BlockingIOError, "no other training runs"),
        ):
            self.train(folder)
        self.assertEqual(os.listdir(folder), [run_folder.LOCK_FILE])

    def test_an_evaluation_that_was_stopped_is_made_up(self):
        folder = self.folder()
        config = dataclasses.replace(FAST, eval_every=2)
        stopping = dataclasses.replace(
            self.held_out, _make_batches=functools.partial(_stop, self.held_out)
        )
        outcome, _ = self._evaluated(folder, config, stopping)
        self.assertEqual(outcome, trainer.Outcome(2, signal.SIGTERM))
        self.assertFalse(os.path.exists(os.path.join(folder, "best")))
        outcome, printed = self._evaluated(folder, config, self.held_out)
        self.assertEqual(outcome, trainer.Outcome(2, None))
        self.assertRegex(printed, r"All of the 2 steps.*\nstep 2  accuracy .*kept in best/")
        _, printed = self._evaluated(folder, config, self.held_out)
        self.assertNotIn("accuracy", printed)

    def _evaluated(
        self, folder: str, config: TrainingConfig, validation: Dataset
    ) -> tuple[trainer.Outcome, str]:
        """Trains, with evaluations; returns how it ended, and the messages."""
        display = Messages()
        outcome = trainer.train(
            model=FLOAT,
            config=config,
            dataset=self.digits,
            checkpoint_dir=folder,
            validation=validation,
            display=display,
        )
        return outcome, "\n".join(display.said)

    def test_is_silent_without_a_display(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            trainer.train(
                model=FLOAT, config=FAST, dataset=self.digits, checkpoint_dir=self.folder()
            )
        self.assertEqual(out.getvalue(), "")

    def test_evaluates_and_keeps_the_best(self):
        folder = self.folder()
        config = dataclasses.replace(FAST, eval_every=2, number_of_steps=3)
        _, printed = self._evaluated(folder, config, self.held_out)
        self.assertRegex(printed, r"step 2  accuracy .* of 360 images.*kept in best/")
        self.assertRegex(printed, r"step 3  accuracy")
        self.assertEqual(model_config.read(os.path.join(folder, "best")), FLOAT)
        with self.assertRaisesRegex(ValueError, "images to evaluate on"):
            self.train(self.folder(), config=config)

    def test_refuses_a_folder_with_another_network(self):
        folder = self.folder()
        os.makedirs(folder)
        FLOAT.write(folder)
        with self.assertRaisesRegex(ValueError, "got another: quantize False, not True"):
            self.train(folder, QUANT)

    def test_does_not_drop_what_a_training_held(self):
        folder = self.folder()
        self.train(folder, moving_average_decay=0.9)
        with self.assertRaisesRegex(ValueError, r"averages or none(?s:.*)\d+ more are in it"):
            self.train(folder, number_of_steps=4)

    def test_refuses_fewer_classes_than_the_data_has(self):
        with self.assertRaisesRegex(ValueError, "--num_classes of at least 10"):
            self.train(self.folder(), dataclasses.replace(FLOAT, num_classes=9))

    def test_stops_when_the_loss_is_nan(self):
        folder = self.folder()
        with self.assertRaisesRegex(ArithmeticError, "expected a finite loss.*model.ckpt-0"):
            self.train(folder, learning_rate=1e30, number_of_steps=20)
        # Nothing after that was saved.
        self.assertEqual(
            checkpoints.by_step(folder), [Checkpoint(os.path.join(folder, "model.ckpt-0"))]
        )
        start = read_variables(os.path.join(folder, "model.ckpt-0"))
        self.assertTrue(all(np.all(np.isfinite(value)) for value in start.values()))

    def test_never_saves_nan_weights(self):
        folder = self.folder()
        # One step is so large that the next step's loss is the first that shows it; each step is
        # saved.
        with self.assertRaisesRegex(ArithmeticError, "expected a finite loss"):
            self.train(folder, learning_rate=1e38, number_of_steps=20, weight_decay=1e30)
        for checkpoint in checkpoints.by_step(folder):
            for name, value in read_variables(checkpoint.prefix).items():
                self.assertTrue(np.all(np.isfinite(value)), f"{checkpoint} {name}")


class _Pause(Display):
    """Lets enough time pass at step 4 that this step or the next one is saved."""

    def show(self, step: Step) -> None:
        if step.number == 4:
            time.sleep(1.1)


def _stop(digits: Dataset, **options: object) -> tf.data.Dataset:
    """Returns the images; meanwhile, this process gets a signal to end."""
    os.kill(os.getpid(), signal.SIGTERM)
    return digits._make_batches(**options)


if __name__ == "__main__":
    absltest.main()
