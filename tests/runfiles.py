"""Finds files and programs in the `data` of a test."""

import pathlib

# Not resolved, since the files in the runfiles tree are links to other folders.
_WORKSPACE = pathlib.Path(__file__).absolute().parents[1]


def path(name: str) -> pathlib.Path:
    """Returns the absolute path of a file, a folder or a program of this workspace.

    Args:
      name: its path from the workspace's root, such as "classification/digits_network".

    Raises:
      FileNotFoundError: if the test's runfiles do not have it.
    """
    found = _WORKSPACE / name
    if not found.exists():
        raise FileNotFoundError(
            f"expected {name} among the test's runfiles, got none; add its target to the test's "
            "data in BUILD"
        )
    return found
