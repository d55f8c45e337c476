"""The values of a base, from any checkpoint that holds them, to put another head on it."""

import dataclasses

import numpy as np

from classification.deployment import deployable
from classification.nets import networks, variable_names
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig

_LIMITS = ("/min", "/max")


def read(
    checkpoint: Checkpoint, model: ModelConfig, *, quantize: bool | None
) -> tuple[dict[str, np.ndarray], bool]:
    """Reads a base, with ranges if there are any.

    Args:
      checkpoint: one of this project or a published classifier. Its head is not read.
      model: the network; its `quantize` is not used.
      quantize: whether ranges are needed; None for ranges if the checkpoint has them, or batch norm
        says what they are.

    Returns:
      The values of the base's variables, float32, by name; and whether it has ranges.

    Raises:
      ValueError: if the checkpoint cannot be read, lacks a variable or has one in another shape or
        with values that are not finite, or there are no ranges and `quantize` is true.
    """
    network = networks.get(model.network)
    needed = {
        quantised: [
            variable
            for variable in deployable.variables(dataclasses.replace(model, quantize=quantised))
            if not variable.op.name.startswith(network.names.head)
        ]
        for quantised in (False, True)
    }
    there = [
        variable
        for variable in needed[quantize is not False]
        if not variable.op.name.endswith(_LIMITS) or variable.op.name in checkpoint.shapes
    ]
    comparison = checkpoint.compare(there)
    comparison.require_base(network.name, head=network.names.head)
    values = {variable.op.name: value for variable, value in checkpoint.read_all(there).items()}
    deployable.check_values(values, checkpoint)
    if quantize is False:
        return values, False
    names = [variable.op.name for variable in needed[True]]
    if network.calibrate is not None and not values.keys() >= set(names):
        for name, limits in network.calibrate(values).ranges.items():
            known = dict(zip(variable_names.limits(name), limits, strict=True))
            values |= {limit: x for limit, x in known.items() if limit not in values}
    lacking = sorted(set(names) - values.keys())
    if lacking and quantize:
        raise ValueError(
            f"expected a checkpoint with the ranges of a quantised network, got {checkpoint}, "
            f"which lacks {len(lacking)}, for example {lacking[0]}; leave --quantize out"
        )
    kept = [variable.op.name for variable in needed[False]] if lacking else names
    return {name: np.asarray(values[name], np.float32) for name in kept}, not lacking
