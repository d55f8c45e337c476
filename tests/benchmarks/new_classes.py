r"""Measures new classes that are imprinted next to the 1,000 of ImageNet.

  ./bazelw run //tests/benchmarks:new_classes -- --images_dir=DIR --new_dir=NEW A.tflite …

DIR holds one photo of each of the 1,000 classes, in the order of their names; those at odd
positions, counted from 0, are for testing. NEW has folders `train` and `test` with a folder of
photos for each new class. The classes are imprinted from n training photos each, as `imprint
--keep_classes` does, with the embedding as it is and fitted. All classes compete:

- `base` and `new` are the accuracies on photos of kept and of new classes;
- `ece` are the expected calibration errors of both kinds of photos;
- `roc` is the area under the ROC curve with which the highest probability of a new class tells
  photos of new classes from others, and the highest of a kept class photos of kept classes.
"""

import os
import tempfile
from collections.abc import Sequence

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl import flags

from classification.base import runner
from imprinting.base import path_flags, program
from imprinting.embedding import probabilities
from imprinting.new_classes import photos
from imprinting.new_classes.embedding_fit import FitEmbedding
from imprinting.new_classes.photo_imprinting import Options
from imprinting.new_classes.tflite_network import TfliteNetwork
from imprinting.photos.pixel_reader import PixelReader
from imprinting.tflite import inference, metadata, model_file
from imprinting.tflite.inference import Kernels
from tests.benchmarks import imagenet_sample

FLAGS = flags.FLAGS
flags.declare_key_flag("images_dir")

path_flags.define("new_dir", "", "Folder with folders train and test of new classes.")
flags.DEFINE_integer("draws", 3, "Random choices of training photos to average over.")
flags.DEFINE_list("shots", ["1", "2", "5", "20"], "Numbers of training photos of each class.")

_CLASSES = 1000
_NAMES = ("base", "new", "ece base", "ece new", "roc base", "roc new")


def measure(
    data: bytes, base: np.ndarray, test: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """The figures of a model with new classes.

    Args:
      data: the .tflite, whose last classes are the new ones.
      base: photos of the 1,000 classes at odd positions, uint8 [500, s, s, 3].
      test: photos of the new classes, uint8 [n, s, s, 3].
      labels: the new class of each, from 0, int [n].
    """
    model = model_file.parse(data)
    both = []
    for each in (base, test):
        (found,) = inference.run(model, each, kernels=Kernels.DEFAULT)
        both.append(found.reshape(len(each), -1) / 256.0)
    first_new = both[0].shape[1] - (labels.max() + 1)
    right = (np.arange(_CLASSES)[1::2] + first_new - _CLASSES, labels + first_new)
    hits = [p.argmax(axis=1) == r for p, r in zip(both, right, strict=True)]
    kept, new = ([p[:, part].max(axis=1) for p in both] for part in _halves(first_new))
    return dict(
        zip(
            _NAMES,
            (
                *(float(h.mean()) for h in hits),
                *(
                    probabilities.calibration_error(p.max(axis=1), h)
                    for p, h in zip(both, hits, strict=True)
                ),
                probabilities.roc_area(kept[0], kept[1]),
                probabilities.roc_area(new[1], new[0]),
            ),
            strict=True,
        )
    )


def _halves(first_new: int) -> tuple[slice, slice]:
    return slice(0, first_new), slice(first_new, None)


def imprint(data: bytes, folder: str, fit: FitEmbedding) -> bytes:
    """The model with the classes of a folder next to its own."""
    options = Options(keep_classes=True, allow_lost_classes=True, fit_embedding=fit)
    network = TfliteNetwork(data, options)
    return network.imprint(photos.find(folder)).tflite


def choose(train: str, folder: str, count: int, draw: int) -> None:
    """Links some photos of each class of a folder in another one."""
    random = np.random.default_rng(draw)
    for name in sorted(os.listdir(train)):
        os.makedirs(os.path.join(folder, name))
        files = sorted(os.listdir(os.path.join(train, name)))
        for chosen in random.permutation(files)[:count]:
            source = os.path.abspath(os.path.join(train, name, chosen))
            os.symlink(source, os.path.join(folder, name, chosen))


def _tests(folder: str, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The photos of all class folders, uint8 [n, s, s, 3], and their classes from 0, [n]."""
    model = model_file.parse(data)
    pixels, labels = [], []
    reader = PixelReader(imagenet_sample.image_size(model), metadata.crop_of(model))
    for label, name in enumerate(sorted(os.listdir(folder))):
        for photo in sorted(os.listdir(os.path.join(folder, name))):
            pixels.append(reader.read(os.path.join(folder, name, photo))[0])
            labels.append(label)
    return np.stack(pixels), np.array(labels)


def main(paths: Sequence[str]) -> None:
    """Prints a line for each model, number of photos and kind of embedding."""
    program.require("images_dir", "new_dir")
    if not paths:
        raise ValueError("expected the paths of .tflite files after the flags, got none")
    for path in paths:
        with open(path, "rb") as file:
            data = file.read()
        base = imagenet_sample.read_photos(FLAGS.images_dir, model_file.parse(data))[1::2]
        test, labels = _tests(os.path.join(FLAGS.new_dir, "test"), data)
        for count in map(int, FLAGS.shots):
            for fit in (FitEmbedding.NEVER, FitEmbedding.AUTO):
                found = []
                for draw in range(FLAGS.draws):
                    with tempfile.TemporaryDirectory() as folder:
                        choose(os.path.join(FLAGS.new_dir, "train"), folder, count, draw)
                        changed = imprint(data, folder, fit)
                    found.append(measure(changed, base, test, labels))
                means = {name: np.mean([f[name] for f in found]) for name in _NAMES}
                figures = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
                kind = "as it is" if fit is FitEmbedding.NEVER else "fitted"
                print(f"{path}, n = {count}, embedding {kind}: {figures}", flush=True)


if __name__ == "__main__":
    runner.run(main, takes_arguments=True)
