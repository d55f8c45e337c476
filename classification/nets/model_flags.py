"""Finds out what network a checkpoint is of, from its `model.json`, itself and the user's flags."""

from collections.abc import Callable
from typing import Any

from absl import flags

from classification.nets import (
    fake_quant,
    model_config,
    network_flags,
    networks,
    variable_names,
)
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig

flags.adopt_module_key_flags(network_flags)


given = network_flags.given


def with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Adds the sizes that the network was published with to attributes of a network.

    Args:
      values: attributes of `ModelConfig`, which have precedence.
    """
    network = networks.get(values.get("network", ModelConfig.network))
    return {"image_size": network.image_size, "num_classes": network.num_classes} | values


def resolve(
    checkpoint: Checkpoint, values: dict[str, Any], *, say: Callable[[str], None]
) -> ModelConfig:
    """The network of a checkpoint, from its `model.json` and the user's flags.

    If there is no `model.json`, the checkpoint shows which network it is, whether it is quantised,
    and which range its embedding has.

    Args:
      checkpoint: the checkpoint.
      values: attributes of the network that the user has set.
      say: called with a line for each attribute that was found in the checkpoint.

    Raises:
      ValueError: if a flag contradicts `model.json` or the checkpoint, these contradict each
        other, or a file cannot be read.
    """
    folder = checkpoint.folder
    known = model_config.read(folder)
    quantised = checkpoint.is_quantised
    shown = networks.of_variables(checkpoint.shapes)
    if known is None and "network" not in values and shown is not None:
        values = values | {"network": shown.name}
        if shown.name != ModelConfig.network:
            say(f"No {model_config.FILE_NAME} in {folder}: by its variables, it is {shown.name}.")
    if known is None:
        values = with_defaults(values)
    if known is None and "quantize" not in values and quantised:
        values = values | {"quantize": True}
        say(
            f"No {model_config.FILE_NAME} in {folder}: the network is quantised, since the "
            "checkpoint holds quantisation ranges."
        )
    if known is None and values.get("quantize") and "learned_embedding_range" not in values:
        network = networks.get(values.get("network", ModelConfig.network))
        names = variable_names.limits(network.names.embedding_range)
        limits = [checkpoint.scalar(name) for name in names]
        # A network with the fixed range may lack the variables, but never has other values.
        if None not in limits and tuple(limits) != fake_quant.TFLITE_L2_NORM_RANGE:
            values = values | {"learned_embedding_range": True}
            say(
                f"No {model_config.FILE_NAME} in {folder}: the embedding's range is that of the "
                f"checkpoint, {limits[0]:.4g}..{limits[1]:.4g}, as --learned_embedding_range says."
            )
    model = model_config.resolve(known, values, source=folder)
    if shown is not None and shown.name != model.network:
        source = f"--network={model.network}" if known is None else model_config.FILE_NAME
        raise ValueError(
            f"expected a checkpoint of {model.network}, as {source} says, got {checkpoint}, which "
            f"is one of {shown.name}; "
            + ("leave --network out" if known is None else "name another checkpoint")
        )
    # For a quantised network, a float checkpoint is an error only when its ranges are read.
    if quantised and not model.quantize:
        source = "--quantize=false" if known is None else model_config.FILE_NAME
        raise ValueError(
            f"expected a float network's checkpoint, as {source} says, got {checkpoint}, which "
            "holds quantisation ranges; "
            + (
                "leave --quantize out"
                if known is None
                else "name the folder that this checkpoint was trained in"
            )
        )
    return model
