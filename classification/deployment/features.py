"""The features that a network computes from images: what its embedding is a function of."""

from collections.abc import Generator, Iterable, Mapping

import numpy as np
import tensorflow.compat.v1 as tf

from classification.nets import factory, variable_values
from classification.nets.model_config import ModelConfig
from imprinting.base import pixel_scaling


def of_images(
    values: Mapping[str, np.ndarray],
    model: ModelConfig,
    batches: Iterable[np.ndarray],
) -> Generator[np.ndarray, None, None]:
    """Computes features batch by batch, so that memory does not grow with the number of images.

    Args:
      values: those of the base's variables, by name, with its ranges if it is quantised. The head
        may be missing.
      model: the network.
      batches: images, uint8 [n, size, size, 3] each.

    Yields:
      float32 [n, d] for each batch: the mean of the last feature map over height and width,
      quantised if the network is.
    """
    size = model.image_size
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        images = tf.placeholder(tf.uint8, [None, size, size, 3])
        inputs = pixel_scaling.to_real(tf.cast(images, tf.float32))
        features = factory.build(inputs, model, embedding_only=True)["Features"]
        known = {v: values[v.op.name] for v in tf.global_variables() if v.op.name in values}
        variable_values.load(session, known)
        for batch in batches:
            yield session.run(features, {images: batch})[:, 0, 0, :]
