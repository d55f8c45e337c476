"""Writes images to check a network on, in the form that a deployed network takes.

  ./bazelw run //classification/deployment:sample_images -- --checkpoint_dir=DIR --output=FILE.npy

The images are those of --images. Without --images, they are digits that are held out from training
if the network was trained on the digits, and otherwise parts of the two photographs that come with
the build.
"""

import io

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl import flags

from classification.base import runner
from classification.deployment import check_images
from classification.deployment.check_images import Sample
from classification.nets import checkpoints, model_config, networks
from classification.nets.model_config import ModelConfig
from imprinting.base import atomic_files, path_flags, program

FLAGS = flags.FLAGS

path_flags.define(
    "checkpoint_dir",
    "",
    "Folder with the model.json that gives the size of images and the name of the training data.",
)
path_flags.define_multi(
    "images",
    "A JPEG or PNG file, or a TFRecord file in slim's form; may be repeated.",
)
flags.DEFINE_integer(
    "num_images",
    128,
    "How many. If there are more images, some are used, evenly spread; if fewer, parts of each.",
)
path_flags.define(
    "output", "", "File to write: uint8 [n, size, size, 3], in NumPy's format (.npy)."
)


def _take(model: ModelConfig) -> Sample:
    size, crop = model.image_size, networks.get(model.network).crop
    if FLAGS["images"].present:
        return check_images.of_files(FLAGS.images, FLAGS.num_images, image_size=size, crop=crop)
    if model.dataset == "digits":
        return check_images.of_digits(FLAGS.num_images, image_size=size)
    return check_images.of_photographs(FLAGS.num_images, image_size=size, crop=crop)


def main() -> None:
    """Reads the images, writes them, and prints which they are."""
    program.require("checkpoint_dir", "output")
    folder = checkpoints.folder(FLAGS.checkpoint_dir)
    model = model_config.read(folder)
    if model is None:
        raise FileNotFoundError(
            f"expected a {model_config.FILE_NAME} in {folder}, which gives the size of the images, "
            "got none; prepare_checkpoint makes one for a checkpoint that has none"
        )
    images, description = _take(model)
    data = io.BytesIO()
    np.save(data, images)
    atomic_files.write_atomically(FLAGS.output, data.getvalue())
    print(f"Images: {description}, {model.image_size} x {model.image_size} pixels.")
    print(f"Written to {FLAGS.output}")


if __name__ == "__main__":
    runner.run(main)
