"""What training takes for the values that nobody gives: they follow the data and the start."""

from typing import Any

# What lets the digits train well within two minutes on two cores. Their statistics would
# not arrive in so few steps with the decay made for hundreds of thousands.
_DIGITS: dict[str, Any] = {
    "image_size": 32,
    "depth_multiplier": 0.25,
    "quantize": True,
    "number_of_steps": 1000,
    "batch_norm_decay": 0.95,
    "learning_rate": 0.1,
}

# What was learned before is soon forgotten at the rate that trains a network from nothing.
# The new layers alone want a high one: behind two L2 norms, gradients are small.
_FINE_TUNING_RATE = 0.0045
_FROZEN_BASE_RATE = 0.45

# Of a training without an end.
_SUMMARY_STEPS = 100

# The reference's: by then the ranges and the network have settled.
_QUANT_DELAY = 250_000


def choose(
    defaults: dict[str, Any],
    given: dict[str, Any],
    *,
    digits: bool,
    fine_tuning: bool,
    frozen: bool,
) -> dict[str, Any]:
    """Every option's value.

    Args:
      defaults: of all options.
      given: those that the user has set by hand; they win.
      digits: whether the data is the digits.
      fine_tuning: whether training starts from a checkpoint.
      frozen: whether the base is frozen.

    Returns:
      A value for each of `defaults`, and `quant_delay`: the step from which a quantised
      network quantises.
    """
    values = dict(defaults)
    if digits:
        values.update(_DIGITS)
    if fine_tuning:
        values["learning_rate"] = _FROZEN_BASE_RATE if frozen else _FINE_TUNING_RATE
    values.update(given)
    if "quant_delay" not in given:
        values["quant_delay"] = _QUANT_DELAY
        if fine_tuning:
            values["quant_delay"] = 0
        elif digits and values["number_of_steps"] is not None:
            # Quantised for longer, a network is nearer to what its .tflite computes: on four
            # seeds, than with half, and on the worst image by far.
            values["quant_delay"] = values["number_of_steps"] // 4
    return values


def summary_steps(number_of_steps: int | None) -> int:
    """Steps between summaries: a run of a minute shows a curve, and a long one is no burden.

    A thousand points of each curve is what TensorBoard shows.
    """
    return _SUMMARY_STEPS if number_of_steps is None else max(10, number_of_steps // 1000)


def warnings(values: dict[str, Any], *, statistics_move: bool = True) -> list[str]:
    """What a user should know of values that go badly together, a sentence each.

    Args:
      values: every option's.
      statistics_move: whether batch norm runs on the batches' statistics in training.
    """
    steps = values["number_of_steps"]
    found = []
    if steps is not None and values["quantize"] and values["quant_delay"] >= steps:
        found.append(
            f"Warning: quantisation starts at step {values['quant_delay']}, and training ends at "
            f"step {steps}: the network will not have felt it. --quant_delay starts it earlier."
        )
    # With less, a third of eval's statistics would still be what the network started with.
    settled = (1 - values["batch_norm_decay"]) * (steps or float("inf")) >= 1
    if statistics_move and not settled:
        found.append(
            f"Warning: with --batch_norm_decay={values['batch_norm_decay']}, {steps} steps are "
            "too few for batch norm's statistics, which eval uses, to arrive; take .9 to .99."
        )
    return found
