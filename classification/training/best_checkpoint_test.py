"""Tests of best_checkpoint.py, with networks of different accuracy on the digits."""

import json
import os
import pathlib
import shutil
import tempfile

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.data.dataset import open_dataset
from classification.evaluation import evaluator
from classification.nets import checkpoints, model_config
from classification.nets.checkpoint import Checkpoint
from classification.testing.digits_networks import DIGITS, write_network
from classification.training.best_checkpoint import BestCheckpoint


class BestCheckpointTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.digits = open_dataset("", "validation")
        written = tempfile.TemporaryDirectory()
        cls.addClassCleanup(written.cleanup)
        cls.written = written.name
        write_network(cls.written, DIGITS, step=1)
        write_network(cls.written, DIGITS, step=2, dataset=cls.digits)

    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        shutil.copytree(self.written, self.folder, dirs_exist_ok=True)
        self.bad, self.good = (os.path.join(self.folder, f"model.ckpt-{i}") for i in (1, 2))

    def _open(self, *, start: int = 2) -> BestCheckpoint:
        return BestCheckpoint(
            self.folder, model=DIGITS, validation=self.digits, batch_size=64, start=start
        )

    def _kept(self) -> str:
        return os.path.basename(checkpoints.find(os.path.join(self.folder, "best")).prefix)

    def test_keeps_the_best(self):
        best = self._open()
        self.assertRegex(
            best.evaluate(Checkpoint(self.bad)), r"^step 1  accuracy \d+\.\d\d % .*best so far"
        )
        self.assertEqual(self._kept(), "model.ckpt-1")
        self.assertRegex(
            best.evaluate(Checkpoint(self.good)), "^step 2 .* best so far, kept in best/"
        )
        self.assertEqual(self._kept(), "model.ckpt-2")
        self.assertRegex(best.evaluate(Checkpoint(self.bad)), r"^step 1 .*\(best: \d+\.\d\d %\)$")
        self.assertEqual(self._kept(), "model.ckpt-2")
        kept = pathlib.Path(self.folder, "best")
        self.assertEqual(model_config.read(str(kept)), DIGITS)
        self.assertEmpty([p for p in kept.iterdir() if "ckpt-1" in p.name])
        result = evaluator.evaluate(
            checkpoint=checkpoints.find(str(kept)),
            model=DIGITS,
            dataset=self.digits,
            batch_size=64,
        )
        known = json.loads((kept / "evaluation.json").read_text())
        self.assertEqual(known["accuracy"], result.accuracy)
        self.assertEqual(known["global_step"], 2)

    def test_knows_the_best_of_an_earlier_run(self):
        self._open().evaluate(Checkpoint(self.good))
        best = self._open()
        self.assertEqual(best.evaluated, 2)
        best.evaluate(Checkpoint(self.bad))
        self.assertEqual(self._kept(), "model.ckpt-2")
        history = json.loads(pathlib.Path(self.folder, "evaluations.json").read_text())
        self.assertEqual([result["global_step"] for result in history], [2, 1])
        self.assertGreater(history[0]["accuracy"], history[1]["accuracy"])

    def test_what_was_found_of_later_steps_does_not_count_where_training_begins_before(
        self,
    ):
        self._open().evaluate(Checkpoint(self.good))
        best = self._open(start=1)
        self.assertEqual(best.evaluated, 0)
        self.assertRegex(best.evaluate(Checkpoint(self.bad)), "^step 1 .* best so far")
        self.assertEqual(self._kept(), "model.ckpt-1")
        history = json.loads(pathlib.Path(self.folder, "evaluations.json").read_text())
        self.assertEqual([result["global_step"] for result in history], [1])

    def test_outlives_the_checkpoint_that_it_is_a_copy_of(self):
        self._open().evaluate(Checkpoint(self.good))
        for path in pathlib.Path(self.folder).glob("model.ckpt-2.*"):
            path.unlink()
        self.assertIsNone(Checkpoint(os.path.join(self.folder, "best", "model.ckpt-2")).damage)

    def test_writes_summaries(self):
        self._open().evaluate(Checkpoint(self.good))
        (events,) = pathlib.Path(self.folder, "eval").iterdir()
        tags = {v.tag for e in tf.train.summary_iterator(str(events)) for v in e.summary.value}
        self.assertContainsSubset({"accuracy", "recall_at_5"}, tags)

    def test_a_result_that_cannot_be_read_is_named(self):
        self._open().evaluate(Checkpoint(self.good))
        for name in ("best/evaluation.json", "evaluations.json"):
            path = pathlib.Path(self.folder, name)
            text = path.read_text()
            for damaged in ("{}", "[{}]", text[:-9]):
                path.write_text(damaged)
                with self.assertRaisesRegex(ValueError, f"accuracy in {path}"):
                    self._open()
            path.write_text(text)
        self._open()


if __name__ == "__main__":
    absltest.main()
