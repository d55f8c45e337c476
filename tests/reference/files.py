"""Where the reference's files lie."""

import os


def path(*parts: str) -> str:
    """The path of one of the reference's files, by its parts below their folder.

    Raises:
      RuntimeError: if the folder is not named, or has no such file.
    """
    folder = os.environ.get("REFERENCE_DIR")
    if not folder:
        raise RuntimeError(
            "expected the folder of the reference's files in the environment variable "
            "REFERENCE_DIR; give bazel test --test_env=REFERENCE_DIR=/THEIR/FOLDER"
        )
    found = os.path.join(folder, *parts)
    if not os.path.exists(found):
        raise RuntimeError(f"expected {os.path.join(*parts)} in REFERENCE_DIR, {folder}")
    return found


def checkpoint(name: str) -> str:
    """The prefix of one of the reference's checkpoints."""
    return path("checkpoints", name + ".index").removesuffix(".index")
