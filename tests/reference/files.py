"""Paths of the reference's files."""

import os


def path(*parts: str) -> str:
    """Returns the path of one of the reference's files.

    Args:
      *parts: the parts of its path in the folder REFERENCE_DIR.

    Raises:
      RuntimeError: if REFERENCE_DIR is not set, or if there is no such file.
    """
    folder = os.environ.get("REFERENCE_DIR")
    if not folder:
        raise RuntimeError(
            "expected the folder of the reference's files in the environment variable "
            "REFERENCE_DIR, got none; add --test_env=REFERENCE_DIR=/THEIR/FOLDER to bazel test"
        )
    found = os.path.join(folder, *parts)
    if not os.path.exists(found):
        raise RuntimeError(
            f"expected {os.path.join(*parts)} in REFERENCE_DIR={folder}, got no such file; correct "
            "the folder"
        )
    return found


def checkpoint(name: str) -> str:
    """Returns the prefix of one of the reference's checkpoints."""
    return path("checkpoints", name + ".index").removesuffix(".index")
