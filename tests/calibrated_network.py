"""Networks of any width and size that compute what trained ones do, without training each.

The base is that of the network of digits that the build trains, widened; batch norm's statistics
and quantisation ranges are those of the images that it is shown; class vectors are imprinted from
these (Qi, Brown and Lowe, arXiv 1712.07136, section 3.2), so that it tells them apart. Random
weights would not do: most of what is left of them after 27 quantised layers is rounding noise.
"""

import os
import re

import numpy as np
import tensorflow.compat.v1 as tf

from classification import network, variable_values
from classification.model_config import ModelConfig

_CLASS_VECTORS = "MobilenetV1/Logits/Conv2d_1d_1x1_normalize/weights"
_LOGITS = re.compile("/Conv2d_1d_1x1_normalize/act_quant/|/Mul/activation_Mul_quant/")
_BATCH_SIZE = 16
_STEPS = 8


def write(
    folder: str, config: ModelConfig, images: np.ndarray, *, digits: str, seed: int = 0
) -> str:
    """Writes a checkpoint and its model.json.

    Args:
      folder: to write to; is made.
      config: the network; its depth multiplier is a multiple of 0.25.
      images: uint8 [n, s, s, 3]. Classes beyond n have random vectors.
      digits: prefix of the checkpoint of the network of digits.
      seed: of all that is random.

    Returns:
      The checkpoint's prefix.
    """
    os.makedirs(folder, exist_ok=True)
    pixels = (images.astype(np.float32) - 128) / 128
    rng = np.random.default_rng(seed)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(seed)
        tf.train.create_global_step()
        size = config.image_size
        batch = tf.placeholder(tf.float32, [None, size, size, 3])
        end_points = network.build(batch, config, is_training=True, batch_norm_decay=0.5)
        updates = tf.group(*tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        session.run(tf.global_variables_initializer())

        def show() -> None:
            for _ in range(_STEPS):
                chosen = rng.choice(len(pixels), min(_BATCH_SIZE, len(pixels)), replace=False)
                session.run(updates, {batch: pixels[chosen]})

        values = _widened(digits, round(config.depth_multiplier / 0.25))
        trained = {v: values[v.op.name] for v in tf.global_variables() if v.op.name in values}
        variable_values.load(session, trained)
        show()
        embeddings = session.run(end_points["Embedding"], {batch: pixels[:64]})
        vectors = rng.normal(size=(config.num_classes, embeddings.shape[-1]))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        count = min(len(embeddings), config.num_classes)
        vectors[:count] = embeddings[:count].reshape(count, -1)
        variable = next(v for v in tf.global_variables() if v.op.name == _CLASS_VECTORS)
        variable_values.load(session, {variable: vectors.T[np.newaxis, np.newaxis]})
        # The ranges seen with other class vectors are not those of these.
        session.run([v.initializer for v in tf.global_variables() if _LOGITS.search(v.op.name)])
        show()
        prefix = os.path.join(folder, "model.ckpt")
        tf.train.Saver().save(session, prefix, write_meta_graph=False)
    config.write(folder)
    return prefix


def _widened(prefix: str, times: int) -> dict[str, np.ndarray]:
    """The weights of a network in which each channel of the base stands several times.

    What it computes is the same: a sum over as many times the inputs has weights as many
    times smaller.
    """
    values = {}
    reader = tf.train.load_checkpoint(prefix)
    for name in reader.get_variable_to_shape_map():
        value = reader.get_tensor(name)
        if name.endswith("/BatchNorm/gamma") or name.endswith("/BatchNorm/beta"):
            values[name] = np.tile(value, times)
        elif name.endswith("/depthwise_weights"):
            values[name] = np.tile(value, (1, 1, times, 1))
        elif name.endswith("Conv2d_0/weights"):
            values[name] = np.tile(value, times)
        elif name.endswith("_pointwise/weights"):
            values[name] = np.tile(value, (1, 1, times, times)) / times
        elif name.endswith("_negative/weights"):
            values[name] = np.tile(value, (1, 1, times, 1)) / times
    return values
