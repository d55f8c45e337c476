"""Default values for training, which depend on the data and on what training starts from."""

from typing import Any

# With these, training on the digits takes two minutes on two cores and works well. With a decay for
# hundreds of thousands of steps, batch norm's statistics would not converge in so few steps.
_DIGITS: dict[str, Any] = {
    "image_size": 32,
    "depth_multiplier": 0.25,
    "quantize": True,
    "number_of_steps": 1000,
    "batch_norm_decay": 0.95,
    "learning_rate": 0.1,
}

# At the rate for training from scratch, a network soon forgets what it learned before. New layers
# alone need a high rate: after two L2 norms, gradients are small.
_FINE_TUNING_RATE = 0.0045
_NEW_HEAD_RATE = 0.45

# For training that has no last step.
_SUMMARY_STEPS = 100

# The delay in TensorFlow 1's tools: by this step, the ranges and the network have converged.
_QUANT_DELAY = 250_000


def choose(
    defaults: dict[str, Any],
    given: dict[str, Any],
    *,
    digits: bool,
    has_depth_multiplier: bool = True,
    fine_tuning: bool,
    new_head: bool,
) -> dict[str, Any]:
    """The values of all options.

    Args:
      defaults: those of all options.
      given: the values that the user has set, which take precedence.
      digits: whether the data is the digits.
      has_depth_multiplier: whether the network can have other widths.
      fine_tuning: whether training starts from a checkpoint.
      new_head: whether only new layers are trained, on a frozen base.

    Returns:
      A value for each of `defaults`, and `quant_delay`: the step from which a quantised
      network quantises.
    """
    values = dict(defaults)
    if digits:
        values.update(_DIGITS)
        if not has_depth_multiplier:
            values["depth_multiplier"] = defaults["depth_multiplier"]
    if fine_tuning:
        values["learning_rate"] = _NEW_HEAD_RATE if new_head else _FINE_TUNING_RATE
    values.update(given)
    if "quant_delay" not in given:
        values["quant_delay"] = _QUANT_DELAY
        if fine_tuning:
            values["quant_delay"] = 0
        elif digits and values["number_of_steps"] is not None:
            # With more quantised steps, a network is closer to what its .tflite computes. With four
            # seeds, it was closer than with half as many steps, and much closer on the worst image.
            values["quant_delay"] = values["number_of_steps"] // 4
    return values


def summary_steps(number_of_steps: int | None) -> int:
    """Steps between summaries: short runs still show a curve, and long runs write few summaries.

    TensorBoard shows a thousand points of each curve.
    """
    return _SUMMARY_STEPS if number_of_steps is None else max(10, number_of_steps // 1000)


def warnings(values: dict[str, Any], *, statistics_move: bool = True) -> list[str]:
    """Warnings about values that do not go together, one sentence each.

    Args:
      values: those of all options.
      statistics_move: whether batch norm uses the batches' statistics in training.
    """
    steps = values["number_of_steps"]
    found = []
    if steps is not None and values["quantize"] and values["quant_delay"] >= steps:
        found.append(
            f"Warning: quantisation starts at step {values['quant_delay']}, and training ends at "
            f"step {steps}: the network will not adapt to it. --quant_delay starts it earlier."
        )
    # With fewer steps, a third of the statistics for eval would still be the initial values.
    settled = (1 - values["batch_norm_decay"]) * (steps or float("inf")) >= 1
    if statistics_move and not settled:
        found.append(
            f"Warning: with --batch_norm_decay={values['batch_norm_decay']}, {steps} steps are "
            "too few for batch norm's statistics, which eval uses, to converge; take .9 to .99."
        )
    return found
