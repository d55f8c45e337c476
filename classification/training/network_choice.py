"""Chooses the network to train, if the user does not."""

from classification.nets import checkpoints, model_config, networks

# For handwritten digits, which are small and simple.
_DIGITS = "mobilenet_v1"


def choose(*, checkpoint_dir: str, fine_tune_checkpoint: str, digits: bool) -> str:
    """The name of the network: that of the files that training starts from, or the default.

    Args:
      checkpoint_dir: the folder to train in, which may hold a network; '' for a new one.
      fine_tune_checkpoint: the checkpoint that variables start from; '' for none.
      digits: whether the data is the digits.

    Raises:
      FileNotFoundError: if there is no such checkpoint to start from.
      ValueError: if a file cannot be read.
    """
    known = model_config.read(checkpoint_dir) if checkpoint_dir else None
    if known is not None:
        return known.network
    if fine_tune_checkpoint:
        shown = networks.of_variables(checkpoints.find(fine_tune_checkpoint).shapes)
        if shown is not None:
            return shown.name
    return _DIGITS if digits else networks.DEFAULT
