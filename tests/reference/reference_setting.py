"""Runs our network as the reference network was run when its numbers were recorded.

A recording is an `.npz` file with `images`, uint8 [steps, batch, s, s, 3]; `labels`, int32
[steps, batch]; `head/NAME`, the initial values of the variables under Logits; and the results of
`run`, for each of `float` and `quant`. The base's initial values come from a checkpoint.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow.compat.v1 as tf

from classification.nets import checkpoints, l2norm_network, mobilenet_v1, variable_values
from classification.nets.batch_norm import BatchNorm
from classification.nets.fake_quant import Quantization
from classification.nets.l2norm_network import TrainingOptions

_BASE_DEPTH = 1024
_LAST_BASE_WEIGHTS = "MobilenetV1/Conv2d_13_pointwise/weights"
# The embedding was recorded before it was quantised.
_RECORDED_END_POINTS = (
    ("logits", "Logits"),
    ("embedding", "Normalize_1a"),
    ("predictions", "Predictions"),
)


class Setting:
    """The recording's network, float or quantised."""

    def __init__(self, recording: Mapping[str, np.ndarray], checkpoint: str, *, quantize: bool):
        """Reads the network's properties from a recording and a checkpoint.

        Args:
          recording: an opened `.npz` file.
          checkpoint: prefix of the checkpoint that the base's weights come from.
          quantize: whether to build the quantised network.

        Raises:
          ValueError: if the file or the checkpoint lacks what is needed.
          FileNotFoundError: if there is no such checkpoint.
        """
        for key in ("images", "labels"):
            if key not in recording:
                raise ValueError(f"expected a recording with {key!r}, got one without")
        self._images = recording["images"].astype(np.float32) / 127.5 - 1.0
        self._labels = recording["labels"]
        self._head = {
            key.removeprefix("head/"): recording[key]
            for key in recording
            if key.startswith("head/")
        }
        classes = [v.shape[-1] for k, v in self._head.items() if "1d_1x1_normalize/weights" in k]
        if len(classes) != 1:
            raise ValueError(
                "expected one head/…/Conv2d_1d_1x1_normalize/weights in the recording, got "
                f"{len(classes)}"
            )
        self._num_classes = classes[0]
        self._checkpoint = checkpoint
        self._reader = tf.train.load_checkpoint(checkpoints.find(checkpoint).prefix)
        shapes = self._reader.get_variable_to_shape_map()
        if _LAST_BASE_WEIGHTS not in shapes:
            raise ValueError(f"expected {_LAST_BASE_WEIGHTS} in {checkpoint}, got none")
        self._depth_multiplier = shapes[_LAST_BASE_WEIGHTS][-1] / _BASE_DEPTH
        self._quantization = Quantization(learned_embedding_range=True) if quantize else None

    def build(self, *, is_training: bool) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Builds the network; returns placeholders for images and labels, and the end points."""
        if is_training:
            tf.train.create_global_step()
        images = tf.placeholder(tf.float32, self._images.shape[1:], "input")
        labels = tf.placeholder(tf.int32, self._labels.shape[1:], "labels")
        _, end_points = l2norm_network.l2norm_network(
            mobilenet_v1.NETWORK,
            images,
            self._num_classes,
            depth_multiplier=self._depth_multiplier,
            batch_norm=BatchNorm(),
            quantization=self._quantization,
            training=TrainingOptions(dropout_keep_prob=1.0) if is_training else None,
        )
        return images, labels, end_points

    def run(self, gradients_of: list[str], *, eval_batches: int) -> dict[str, np.ndarray]:
        """Trains for as many steps as the recording with learning rate zero, then evaluates.

        Args:
          gradients_of: names of the variables to return gradients for.
          eval_batches: how many batches to evaluate, from the first.

        Returns:
          `losses`, `after/NAME`, `grad/NAME`, `eval_logits/I`, `eval_embedding/I` and
          `eval_predictions/I`, as in a recording.

        Raises:
          ValueError: if the recording or the checkpoint holds variables that the network
            does not have, or lacks some of its own; or has fewer batches than eval_batches.
        """
        if eval_batches > len(self._images):
            raise ValueError(
                f"expected images for each of the {eval_batches} batches that were evaluated, got "
                f"a recording that has {len(self._images)} batches"
            )
        # Rewriting the graph (Grappler) takes longer than these few steps.
        options = tf.ConfigProto()
        options.graph_options.rewrite_options.disable_meta_optimizer = True
        results: dict[str, np.ndarray] = {}
        with tf.Graph().as_default(), tf.Session(config=options) as session:
            images, labels, end_points = self.build(is_training=True)
            tf.losses.sparse_softmax_cross_entropy(labels, end_points["Logits"])
            loss = tf.losses.get_total_loss()
            variables = {v.op.name: v for v in tf.global_variables()}
            with tf.control_dependencies([loss, *tf.get_collection(tf.GraphKeys.UPDATE_OPS)]):
                step = tf.assign_add(tf.train.get_global_step(), 1)
            start = self._start(variables)
            unknown = {*gradients_of, *start} - variables.keys()
            if unknown:
                raise ValueError(
                    f"expected variables of the network, got {', '.join(sorted(unknown))}"
                )
            gradients = tf.gradients(loss, [variables[name] for name in gradients_of])
            session.run(tf.global_variables_initializer())
            variable_values.load(session, {variables[name]: value for name, value in start.items()})
            losses = []
            for x, y in zip(self._images, self._labels, strict=True):
                losses.append(session.run([loss, step], {images: x, labels: y})[0])
            results["losses"] = np.array(losses)
            state = session.run(variables)
            results.update({f"after/{name}": value for name, value in state.items()})
            first = {images: self._images[0], labels: self._labels[0]}
            for name, value in zip(gradients_of, session.run(gradients, first), strict=True):
                results[f"grad/{name}"] = value
        with tf.Graph().as_default(), tf.Session(config=options) as session:
            images, _, end_points = self.build(is_training=False)
            variable_values.load(session, {v: state[v.op.name] for v in tf.global_variables()})
            for i in range(eval_batches):
                for name, end_point in _RECORDED_END_POINTS:
                    value = session.run(end_points[end_point], {images: self._images[i]})
                    results[f"eval_{name}/{i}"] = value.reshape(len(value), -1)
        return results

    def _start(self, variables: Mapping[str, tf.Variable]) -> dict[str, np.ndarray]:
        """The initial values: the head's from the recording, the base's from the checkpoint."""
        start = dict(self._head)
        for name in variables:
            if name.startswith("MobilenetV1/Conv2d_"):
                if not self._reader.has_tensor(name):
                    raise ValueError(f"expected {name} in {self._checkpoint}, got none")
                start[name] = self._reader.get_tensor(name)
        return start
