"""Networks of any width and size that distinguish images without training.

The result of training depends on the processor, and with random weights, the output of 27 quantised
layers is mostly rounding noise. So each layer here preserves its input: depthwise kernels are close
to the identity, pointwise kernels are orthogonal, and batch norm moves values to the range in which
Relu6 clips few of them. Batch norm's statistics and the quantisation ranges are those of the given
images. The mean of their embeddings is subtracted, and class vectors are imprinted from them (Qi,
Brown and Lowe, arXiv 1712.07136, section 3.2).
"""

import os

import numpy as np
import tensorflow.compat.v1 as tf

from classification.nets import factory, networks, variable_values
from classification.nets.batch_norm import BatchNorm
from classification.nets.l2norm_network import TrainingOptions
from classification.nets.model_config import ModelConfig
from imprinting.base import pixel_scaling

# Batch norm's beta: the mean of a layer's values, whose standard deviation is 1. Relu6 clips values
# below 0 and above 6.
_BETA = 2.0
_BATCH_SIZE = 16
_STEPS = 2
# So small that the statistics are those of the last batch.
_DECAY = 0.01


def write(folder: str, model: ModelConfig, images: np.ndarray, *, seed: int = 0) -> str:
    """Writes a checkpoint and its model.json.

    Args:
      folder: the folder to create.
      model: the network.
      images: uint8 [n, s, s, 3], n at least 16. Classes from n on have random vectors.
      seed: the seed of all random values.

    Returns:
      The checkpoint's prefix.
    """
    os.makedirs(folder, exist_ok=True)
    inputs = pixel_scaling.to_real(images)
    rng = np.random.default_rng(seed)
    names = networks.get(model.network).names
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(seed)
        tf.train.create_global_step()
        size = model.image_size
        batch = tf.placeholder(tf.float32, [None, size, size, 3])
        end_points = factory.build(
            batch, model, training=TrainingOptions(), batch_norm=BatchNorm(decay=_DECAY)
        )
        updates = tf.group(*tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        session.run(tf.global_variables_initializer())
        variables = {variable.op.name: variable for variable in tf.global_variables()}

        def show() -> None:
            for _ in range(_STEPS):
                chosen = rng.choice(len(inputs), _BATCH_SIZE, replace=False)
                session.run(updates, {batch: inputs[chosen]})

        def of_images(end_point: str) -> np.ndarray:
            values = session.run(end_points[end_point], {batch: inputs})
            return values.reshape(len(inputs), -1)

        values = _values({name: v.shape.as_list() for name, v in variables.items()}, rng)
        variable_values.load(session, {variables[name]: v for name, v in values.items()})
        show()
        centre = of_images("AvgPool_1a").mean(axis=0) @ values[names.embedding_kernel][0, 0]
        variable_values.load(session, {variables[names.embedding_biases]: -centre})
        show()
        embeddings = of_images("Embedding")
        vectors = rng.normal(size=(model.num_classes, embeddings.shape[-1]))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        count = min(len(embeddings), model.num_classes)
        vectors[:count] = embeddings[:count]
        kernel = vectors.T[np.newaxis, np.newaxis]
        variable_values.load(session, {variables[names.class_vectors]: kernel})
        # Reset the head's ranges, which were measured with other class vectors and biases.
        session.run(
            [
                v.initializer
                for name, v in variables.items()
                if "/Logits/" in name and "_quant/" in name
            ]
        )
        show()
        prefix = os.path.join(folder, "model.ckpt")
        tf.train.Saver().save(session, prefix, write_meta_graph=False)
    model.write(folder)
    return prefix


def _values(shapes: dict[str, list[int]], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Kernels and batch norm's beta for layers that preserve their input."""
    values = {}
    for name, shape in shapes.items():
        if name.endswith("/BatchNorm/beta"):
            values[name] = np.full(shape, _BETA)
        elif name.endswith("/Conv2d_0/weights"):
            values[name] = rng.normal(size=shape)
        elif name.endswith("/depthwise_weights"):
            values[name] = rng.normal(scale=1 / 6, size=shape)
            values[name][1, 1] += 1
        elif name.endswith(("_pointwise/weights", "_negative/weights")):
            orthogonal, _ = np.linalg.qr(rng.normal(size=[max(shape)] * 2))
            values[name] = orthogonal[np.newaxis, np.newaxis, : shape[2], : shape[3]]
    return {name: value.astype(np.float32) for name, value in values.items()}
