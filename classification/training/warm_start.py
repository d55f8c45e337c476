"""The values that training starts from: an interrupted run's, another network's, or new ones."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from classification.nets import fake_quant, networks
from classification.nets.checkpoint import Checkpoint, Comparison
from classification.nets.model_config import ModelConfig
from classification.nets.variable_names import HeadNames
from classification.training.training_config import TrainingConfig

# Initial values of variables; variables without one keep those of their initializers.
StartValues = dict[tf.Variable, np.ndarray]


def check_resumption(newest: Checkpoint, stored_as: Mapping[str, tf.Variable]) -> None:
    """Checks that a checkpoint holds the variables of this training, and no others.

    Args:
      newest: the checkpoint to continue from.
      stored_as: the variables, by their names in the checkpoint.

    Raises:
      ValueError: if it does not.
    """
    comparison = newest.compare(stored_as.values())
    surplus = sorted(set(newest.shapes) - set(stored_as))
    if comparison.missing or comparison.mismatched or surplus:
        known = f"\n  {len(surplus)} more are in it, for example {surplus[0]}" if surplus else ""
        raise ValueError(
            "expected to continue the training that this folder holds, with the flags that it "
            "was started with; a training of another kind (a base no longer frozen, another "
            "optimiser, averages or none) starts in another --checkpoint_dir, with "
            f"--fine_tune_checkpoint={newest}\n{comparison.summary()}{known}"
        )


def fine_tuning(
    model: ModelConfig,
    config: TrainingConfig,
    checkpoint: Checkpoint,
    variables: Sequence[tf.Variable],
    say: Callable[[str], None],
) -> StartValues:
    """Reads from another network's checkpoint what the network starts from.

    If the checkpoint has no embedding layer, the embedding starts as the features of the base,
    which already separate classes. A random mixture of the features would not, and a few images are
    not enough to learn it again.

    Args:
      model: the network.
      config: how it is trained.
      checkpoint: the checkpoint.
      variables: those of the network, in the default graph.
      say: called with lines that say what was restored and what starts with random values.

    Raises:
      ValueError: if it cannot be read, holds nothing of the base, or not all of a base that is to
        be frozen, or values that are not finite.
    """
    constant = tf.get_collection(fake_quant.CONSTANT_RANGES)
    comparison = checkpoint.compare(v for v in variables if v not in constant)
    names = networks.get(model.network).names
    comparison.require_base(model.network, head=names.head)
    values = comparison.read()
    say(comparison.summary())
    say(_describe_head(comparison, model, names))
    if not model.quantize and checkpoint.is_quantised:
        say(
            "The checkpoint's network is quantised, and this one is float: --quantize trains a "
            "quantised one."
        )
    if names.class_vectors not in comparison.names:
        # The scale factor and the ranges that suit other classes.
        last_layer = (names.classes, names.scale_factor, names.logits_range)
        values = {v: x for v, x in values.items() if not v.op.name.startswith(last_layer)}
    _check_frozen(comparison, model, config, names)
    _check_finite(values, checkpoint)
    if names.embedding_kernel in comparison.missing:
        (kernel,) = (v for v in variables if v.op.name == names.embedding_kernel)
        # [1, 1, channels, components].
        values[kernel] = np.eye(*kernel.shape.as_list()[2:])[np.newaxis, np.newaxis]
    return values


def _check_frozen(
    comparison: Comparison, model: ModelConfig, config: TrainingConfig, names: HeadNames
) -> None:
    """Checks that the checkpoint has everything that training will not change."""
    lacking = (*comparison.missing, *comparison.mismatched)
    base = [name for name in lacking if not name.startswith(names.head)]
    if base and config.freeze_base_model and not config.update_base_statistics:
        raise ValueError(
            "expected a checkpoint with the complete base, to freeze it, got one that lacks "
            f"{len(base)} of its variables, for example {base[0]}; "
            + (
                "a checkpoint of a float network has no quantisation ranges: "
                "--update_base_statistics finds them in the data; "
                if model.quantize
                else ""
            )
            + "or leave --freeze_base_model out"
        )
    statistics = [name for name in base if "/moving_" in name]
    if statistics and config.freeze_batch_norm:
        raise ValueError(
            "expected a checkpoint with batch norm's statistics of the complete base, to freeze "
            f"them, got one that lacks {len(statistics)} variables, for example {statistics[0]}; "
            "leave --freeze_batch_norm out"
        )


def _check_finite(values: StartValues, checkpoint: Checkpoint) -> None:
    wrong = [variable.op.name for variable, value in values.items() if not np.isfinite(value).all()]
    if wrong:
        raise ValueError(
            f"expected a checkpoint of finite numbers to start from, got {checkpoint}, in which "
            f"{len(wrong)} variables hold NaN or infinity, for example {wrong[0]}; take an "
            "earlier one"
        )


def _describe_head(comparison: Comparison, model: ModelConfig, names: HeadNames) -> str:
    """Which of the layers under Logits the checkpoint gives, in one sentence."""
    if names.class_vectors in comparison.names:
        return f"The head continues from the checkpoint's, with its {model.num_classes} classes."
    known = comparison.checkpoint.shapes.get(names.class_vectors)
    if known is not None:
        return (
            f"The checkpoint has {known[-1]} classes, and this network {model.num_classes}: base "
            "and embedding are kept, and the last layer starts with random values."
        )
    return (
        "The base is kept. The checkpoint has no head: the embedding starts as the base's "
        "features, and the last layer with random values."
    )
