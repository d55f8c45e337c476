"""Finds the networks with published weights that the build makes, for training to start from."""

import pathlib

# Those of the BUILD file.
NETWORKS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def find(network: str) -> str | None:
    """The folder with the checkpoint of a network; None if there are no published weights of it.

    Args:
      network: its name.

    Raises:
      FileNotFoundError: if it is not among the program's runfiles.
    """
    if network not in NETWORKS:
        return None
    # With Bazel, this file is RUNFILES/WORKSPACE/classification/pretrained/shipped_networks.py.
    # Links are not followed, because they lead out of the runfiles.
    folder = pathlib.Path(__file__).absolute().parent / f"imagenet_{network}"
    if not (folder / "model.json").is_file():
        raise FileNotFoundError(
            f"expected the published weights of {network} in {folder}, where Bazel puts them, got "
            "no such folder; start the program with ./bazelw run, or name a checkpoint with "
            "--fine_tune_checkpoint"
        )
    return str(folder)
