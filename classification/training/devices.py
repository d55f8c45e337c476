"""Makes training reproducible where TensorFlow can."""

from collections.abc import Callable

from tensorflow import config as tf_config


def make_deterministic(say: Callable[[str], None]) -> None:
    """Makes equal runs give equal bytes, unless TensorFlow sees a GPU.

    The gradients of FakeQuantWithMinMaxVars and of FusedBatchNorm have no deterministic kernel for
    a GPU: TensorFlow would end quantised training with an error.

    Args:
      say: called with a line if there is a GPU.
    """
    gpus = tf_config.list_physical_devices("GPU")
    if not gpus:
        tf_config.experimental.enable_op_determinism()
        return
    say(
        f"Training uses {len(gpus)} GPU{'s' if len(gpus) > 1 else ''}, on which two equal runs "
        "differ in the last digits: some gradients have no deterministic kernel there."
    )
