"""What the tests of training share: small networks, and training runs of them on the digits."""

import dataclasses
import glob
import os
import tempfile
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.data.dataset import Dataset, open_dataset
from classification.nets import factory
from classification.nets.model_config import ModelConfig
from classification.training import trainer
from classification.training.step_display import Display, Step
from classification.training.training_config import TrainingConfig

FLOAT = ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=10)
QUANT = dataclasses.replace(FLOAT, quantize=True)
FAST = TrainingConfig(number_of_steps=2, batch_size=8, save_summaries_secs=0)
TAGS = {"total_loss", "learning_rate", "MobilenetV1/Logits/scale_factor"}
EMBEDDING_MAX = "MobilenetV1/Logits/Normalize_1a/activation_Mul_quant/max"


class TrainingTestCase(absltest.TestCase):
    """Trains on the digits.

    Attributes:
      digits: the images to train on.
      held_out: those to evaluate on.
      folders: a folder for what tests of a class share.
    """

    digits: Dataset
    held_out: Dataset
    folders: tempfile.TemporaryDirectory[str]

    @classmethod
    def setUpClass(cls) -> None:
        """Opens the digits."""
        super().setUpClass()
        cls.digits, cls.held_out = (open_dataset("", split) for split in ("train", "validation"))
        cls.folders = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folders.cleanup)

    @classmethod
    def train(
        cls, folder: str, model: ModelConfig = FLOAT, config: TrainingConfig = FAST, **changes: Any
    ) -> tuple[dict[str, np.ndarray], str]:
        """Trains; returns the newest checkpoint's variables, and the messages."""
        config = dataclasses.replace(config, **changes)
        display = Messages()
        trainer.train(
            model=model,
            config=config,
            dataset=cls.digits,
            checkpoint_dir=folder,
            display=display,
        )
        return read_variables(tf.train.latest_checkpoint(folder)), "\n".join(display.said)

    def folder(self) -> str:
        """The path of a folder that is not there yet."""
        return os.path.join(self.create_tempdir().full_path, "model")


def write_checkpoint(
    prefix: str, config: ModelConfig = QUANT, base: float | None = None, without: str = ""
) -> str:
    """Writes a network's eval variables with random values; its embedding's range is learned.

    The first layer's beta is `base` if that is given; the variable `without` is left out.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        config = dataclasses.replace(config, learned_embedding_range=config.quantize)
        factory.build(tf.placeholder(tf.float32, [1, 32, 32, 3]), config)
        session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():
            if variable.op.name == EMBEDDING_MAX:
                variable.load(0.25, session)
            if variable.op.name == "MobilenetV1/Conv2d_0/BatchNorm/beta" and base is not None:
                variable.load(np.full(variable.shape, base), session)
        kept = [v for v in tf.global_variables() if v.op.name != without]
        return tf.train.Saver(kept).save(session, prefix, write_meta_graph=False)


def summaries(folder: str) -> dict[str, list[float]]:
    """The values of all summaries that a training run left in its folder, by their tags."""
    values: dict[str, list[float]] = {}
    for path in glob.glob(os.path.join(folder, "events*")):
        for event in tf.train.summary_iterator(path):
            for value in event.summary.value:
                values.setdefault(value.tag, []).append(value.simple_value)
    return values


def read_variables(prefix: str) -> dict[str, np.ndarray]:
    """The values of a checkpoint, by name."""
    reader = tf.train.load_checkpoint(prefix)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


class Messages(Display):
    """Collects messages and the loss of every step."""

    def __init__(self) -> None:
        """Creates it, with nothing in it."""
        self.said: list[str] = []
        self.losses: list[float] = []

    def show(self, step: Step) -> None:
        """Appends the loss."""
        self.losses.append(step.loss)

    def say(self, text: str) -> None:
        """Appends the message."""
        self.said.append(text)
