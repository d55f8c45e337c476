"""The part of imprint that needs TensorFlow: classes for a checkpoint."""

import time

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from classification.base import runner
from classification.deployment import deployable
from classification.imprinting.checkpoint_network import CheckpointNetwork
from classification.nets import checkpoints, model_flags
from imprinting.base import atomic_files
from imprinting.base.progress_bar import ProgressBar
from imprinting.commands import imprint
from imprinting.new_classes import photos
from imprinting.new_classes.photo_imprinting import Options

FLAGS = flags.FLAGS


def run(options: Options) -> None:
    """Imprints classes into the checkpoint that the flags name, and prints what was written.

    Args:
      options: how to imprint.

    Raises:
      ValueError: if the checkpoint, the photos or the flags do not fit, or TensorFlow raises.
      OSError: if a file cannot be read or written.
    """
    start = time.monotonic()
    with runner.errors_for_users():
        checkpoint = checkpoints.find(FLAGS.checkpoint)
        model = model_flags.resolve(checkpoint, model_flags.given(), say=print)
        network = CheckpointNetwork(checkpoint, model, options, labels_file=FLAGS.labels)
        atomic_files.check_replaceable(FLAGS.output, deployable.FILE_NAMES)
        found = photos.find(FLAGS.images_dir)
        with ProgressBar() as progress:
            imprinted = network.imprint(found, progress.show)
        imprinted.write(FLAGS.output)
    imprint.report(found, imprinted, seconds=time.monotonic() - start)
