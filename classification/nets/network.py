"""What the project needs to know of a network: its base, and the form of its checkpoints.

The head, which all networks share, is in l2norm_network.py. To add a network, write a file with a
`Network`, and add it to the list in networks.py.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from classification.nets.fake_quant import Range
from classification.nets.variable_names import HeadNames
from imprinting.base.photo_crop import Crop

# The smallest height and width of an image for which each layer has something to compute on.
MIN_IMAGE_SIZE = 32


class Base(NamedTuple):
    """The layers before the head.

    Attributes:
      end_points: the outputs of all layers by name, in order; the last one, float32 [batch, height
        / 32, width / 32, depth], is averaged and passed to the head.
      last_range: the range that the last one is quantised with; None in a float network.
    """

    end_points: dict[str, tf.Tensor]
    last_range: Range | None


class Calibration(NamedTuple):
    """What batch norm's statistics say about a trained base, without any image.

    Attributes:
      ranges: the least and the greatest value, float32 [] or [channels], by the name of a range.
      mean_features: float64 [channels], the mean of the features.
    """

    ranges: dict[str, tuple[np.ndarray, np.ndarray]]
    mean_features: np.ndarray


# Builds the base: (inputs, options, depth_multiplier=…, scope=…); inputs are float32 [batch,
# height, width, channels], options those of all layers, and scope is the network's, which is open.
BuildBase = Callable[..., Base]


@dataclasses.dataclass(frozen=True)
class PublishedClassifier:
    """The last layer of the classifiers that others published with the same base.

    Networks of this project do not have it; see `published_head`.

    Attributes:
      kernel: the name of its kernel, float32 [channels, classes] or [1, 1, channels, classes].
      biases: the name of its biases, float32 [classes].
      has_ranges: whether checkpoints of quantised classifiers hold the base's ranges; otherwise
        `Network.calibrate` computes them.
    """

    kernel: str
    biases: str
    has_ranges: bool = False


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that `l2norm_network` builds.

    Attributes:
      name: its name for flags and `model.json`.
      title: its name for people.
      scope: what the names of its variables begin with.
      image_size: height and width of the images that it was published for, in pixels; others, from
        32 pixels on, can be used.
      num_classes: that of the published classifiers.
      embedding_size: the number of components of an embedding.
      build_base: see `BuildBase`.
      initializer: makes the initialiser of the base's kernels and of the embedding's.
      features_range: the name of the range of the base's last layer.
      published: the last layer of published classifiers.
      calibrate: computes a calibration from the values of the base's variables by name, without
        ranges; None if that is not known.
      crop: the part of a photo that it sees in evaluation, and when it is deployed.
      pool_size: height and width of the window over which features are averaged; None for the
        complete map. Maps that are smaller, or larger by more than 1, are always averaged
        completely.
      per_channel: how it is quantised. If set, each output channel of a base's kernel has a range
        of its own, symmetric around 0, and a `.tflite` computes the base in int8. Otherwise each
        kernel has one range, and a `.tflite` computes in uint8 throughout.
      has_depth_multiplier: whether it can be built with other widths.
    """

    name: str
    title: str
    scope: str
    image_size: int
    num_classes: int
    embedding_size: int
    build_base: BuildBase
    initializer: Callable[[], Callable[..., tf.Tensor]]
    features_range: str
    published: PublishedClassifier
    calibrate: Callable[[Mapping[str, np.ndarray]], Calibration] | None = None
    crop: Crop = Crop.SQUARE
    pool_size: int | None = None
    per_channel: bool = True
    has_depth_multiplier: bool = False

    @functools.cached_property
    def names(self) -> HeadNames:
        """The names of the head's variables."""
        return HeadNames(self.scope)
