r"""Measures the moments of a network's features over photos, for convert_weights --moments.

  ./bazelw run //classification/pretrained:measure_moments -- --checkpoint_dir=DIR \
      --images_dir=PHOTOS --output=FILE.npz

The checkpoint is one of this project, with model.json. PHOTOS holds photos of all kinds of things,
as many as possible: 250 instead of 500 cost about two points of accuracy, 60 about six.
"""

import itertools
import os

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl import flags

from classification.base import runner
from classification.deployment import deployable, features
from classification.nets import checkpoints, model_flags, networks
from imprinting.base import atomic_files, path_flags, program
from imprinting.base.progress_bar import ProgressBar
from imprinting.embedding.leading_moments import LeadingMoments
from imprinting.embedding.moments import Moments
from imprinting.inference import photo_paths
from imprinting.photos.pixel_reader import PixelReader

FLAGS = flags.FLAGS
_BATCH_SIZE = 32

path_flags.define("checkpoint_dir", "", "Folder of the network's checkpoint, or its prefix.")
path_flags.define("images_dir", "", "Folder of photos.")
flags.DEFINE_integer(
    "every", 1, "Take every n-th photo, in the order of their names, beginning with the first."
)
flags.DEFINE_integer("directions", 64, "The number of directions of most variance to keep.")
path_flags.define("output", "", "File to write, in NumPy's format (.npz).")


def main() -> None:
    """Measures, writes the file, and prints its size."""
    program.require("checkpoint_dir", "images_dir", "output")
    if FLAGS.every < 1:
        raise ValueError(f"expected --every to be at least 1, got {FLAGS.every}")
    atomic_files.check_place(FLAGS.output)
    checkpoint = checkpoints.find(FLAGS.checkpoint_dir)
    model = model_flags.resolve(checkpoint, {}, say=print)
    values = deployable.read_values(checkpoint, model)
    paths = photo_paths.find([FLAGS.images_dir]).photos[:: FLAGS.every]
    total: Moments | None = None
    reader = PixelReader(model.image_size, networks.get(model.network).crop)
    with ProgressBar() as progress:
        images = map(reader.read, paths)
        batches = iter(lambda: [*itertools.islice(images, _BATCH_SIZE)], [])
        for computed in features.of_images(values, model, map(np.concatenate, batches)):
            part = Moments.of(computed)
            total = part if total is None else total + part
            progress.show(total.count, len(paths))
    assert total is not None
    LeadingMoments.of(total, FLAGS.directions).save(FLAGS.output)
    size = os.path.getsize(FLAGS.output)
    print(
        f"Wrote {FLAGS.output}: {FLAGS.directions} directions of {total.depth} features, from "
        f"{total.count:,} photos; {size:,} bytes."
    )


if __name__ == "__main__":
    runner.run(main)
