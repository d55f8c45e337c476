"""Makes a checkpoint ready for deployment: with the variables of inference and a description.

  ./bazelw run //classification/deployment:prepare_checkpoint -- \
      --checkpoint_dir=DIR --output_dir=DIR

This writes model.ckpt.index, model.ckpt.data-00000-of-00001, model.json and labels.txt. Equal
networks give equal bytes, whatever else their checkpoints hold.

The `model.json` beside the checkpoint describes the network. If there is none, --network,
--image_size, --num_classes, --depth_multiplier and --quantize describe it. A classifier of tf-slim,
with the last layer MobilenetV1/Logits/Conv2d_1c_1x1, and Google's published EfficientNet-Lite
become networks of this project without training.
"""

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl import flags

from classification.base import runner
from classification.deployment import check_images, deployable, published_head
from classification.nets import checkpoints, model_flags, networks
from classification.nets.model_config import ModelConfig
from imprinting.base import path_flags, program

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(model_flags)

path_flags.define(
    "checkpoint_dir",
    "",
    "Folder of checkpoints, whose newest is used, or a checkpoint's prefix. Default: the "
    f"newest network below {checkpoints.DEFAULT_ROOT}/.",
)
path_flags.define(
    "labels_file",
    "",
    "Text file with the names of the classes in order, one per line, or 0:NAME and so on. Default: "
    "those of model.json, else of a labels.txt beside the checkpoint, else the classes' numbers.",
)
path_flags.define_multi(
    "images",
    "Photos of all kinds of things, JPEG, PNG or TFRecord files, for a published classifier; at "
    "least 60, better 500. Their features whiten the embedding. May be repeated.",
)
path_flags.define("output_dir", "", "Folder to write: new, empty, or an earlier result.")


# Enough for a covariance.
_MAX_IMAGES = 1000


def _images(model: ModelConfig) -> np.ndarray | None:
    """The photos of --images, uint8 [n, size, size, 3]; None if there are none."""
    if not FLAGS.images:
        return None
    count = min(check_images.count_images(FLAGS.images), _MAX_IMAGES)
    crop = networks.get(model.network).crop
    size = model.image_size
    return check_images.of_files(FLAGS.images, count, image_size=size, crop=crop).images


def main() -> None:
    """Reads a checkpoint, writes the folder, and prints what was done."""
    program.require("output_dir")
    path = FLAGS.checkpoint_dir or checkpoints.newest_model()
    checkpoint = checkpoints.find(path)
    model = model_flags.resolve(checkpoint, model_flags.given(), say=print)
    labels, whose = deployable.find_labels(
        FLAGS.labels_file, checkpoint.folder, model, flag="labels_file"
    )
    learned = model.learned_embedding_range
    model = deployable.portable(model, labels)
    description = ""
    if published_head.is_published(checkpoint):
        values, description = published_head.read(checkpoint, model, _images(model))
    else:
        values = deployable.read_values(checkpoint, model)
    deployable.write(FLAGS.output_dir, model, deployable.with_room(values, model))
    step = checkpoint.global_step
    print(f"Checkpoint: {checkpoint}" + (f" (step {step:,})" if step else ""))
    print(f"Network: {model.describe()}; {len(values)} variables.")
    if description:
        print(description)
    if learned:
        print("Embedding: quantised with the range that a .tflite gives it, not the learned one.")
    if model.quantize:
        print(
            f"Last kernel: quantised from -{deployable.KERNEL_ROOM} to {deployable.KERNEL_ROOM} at "
            "least, so that classes can be imprinted."
        )
    print(f"Labels: {whose}.")
    print(f"Written to {FLAGS.output_dir}")


if __name__ == "__main__":
    runner.run(main)
