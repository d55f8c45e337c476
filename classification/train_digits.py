"""Trains the network of handwritten digits that the build uses if no other is named.

  ./bazelw build //classification:digits_network

runs this in an action. It trains as `./bazelw run train` does without flags, and writes only the
network for deployment (see deployment/deployable.py), with the same bytes each time.
"""

import dataclasses
import tempfile

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from classification.base import runner
from classification.data.dataset import open_dataset
from classification.deployment import deployable
from classification.nets import checkpoints
from classification.nets.model_config import ModelConfig
from classification.training import flag_defaults, trainer
from classification.training.training_config import TrainingConfig
from imprinting.base import path_flags, program

FLAGS = flags.FLAGS

path_flags.define("output_dir", "", "Folder to write: new, empty, or an earlier result.")
flags.DEFINE_integer(
    "number_of_steps", None, "Number of steps. Default: that of ./bazelw run train."
)
flags.DEFINE_float(
    "depth_multiplier", None, "Factor of the channels of the base's layers. Default: likewise."
)
flags.DEFINE_integer(
    "image_size", None, "Height and width of the input in pixels. Default: likewise."
)
flags.DEFINE_bool("quantize", None, "Whether the network is a quantised one. Default: likewise.")

_GIVEN = ("number_of_steps", "depth_multiplier", "image_size", "quantize")
# Only the checkpoint at the end is written.
_NEVER = 10**9


def configs() -> tuple[ModelConfig, TrainingConfig]:
    """The network and how it is trained: the defaults for the digits, and the flags."""
    data = open_dataset("", "train")
    model = ModelConfig(num_classes=data.num_classes, labels=data.labels, dataset=data.source)
    config = TrainingConfig(
        log_every_n_steps=_NEVER, save_summaries_secs=0, save_interval_secs=_NEVER
    )
    values = flag_defaults.choose(
        dataclasses.asdict(model) | dataclasses.asdict(config),
        program.given(_GIVEN),
        digits=True,
        fine_tuning=False,
        new_head=False,
    )
    model_names, config_names = (
        {field.name for field in dataclasses.fields(kind)} for kind in (ModelConfig, TrainingConfig)
    )
    return (
        ModelConfig(**{name: values[name] for name in values if name in model_names}),
        TrainingConfig(**{name: values[name] for name in values if name in config_names}),
    )


def main() -> None:
    """Trains in a temporary folder, and writes the network for deployment."""
    program.require("output_dir")
    model, config = configs()
    with tempfile.TemporaryDirectory() as scratch:
        trainer.train(
            model=model, config=config, dataset=open_dataset("", "train"), checkpoint_dir=scratch
        )
        values = deployable.read_values(checkpoints.find(scratch), model)
    deployable.write(FLAGS.output_dir, model, values)


if __name__ == "__main__":
    runner.run(main)
