"""Finds the files and programs that a test names in its `data`."""

import pathlib

# Not resolved: in the runfiles tree, files are links to where they really are.
_WORKSPACE = pathlib.Path(__file__).absolute().parents[1]


def path(name: str) -> pathlib.Path:
    """The absolute path of a file, a folder or a program of this workspace.

    Args:
      name: its path from the workspace's root, such as "classification/digits_network".

    Raises:
      FileNotFoundError: if the test's runfiles do not have it.
    """
    found = _WORKSPACE / name
    if not found.exists():
        raise FileNotFoundError(
            f"expected {name} among the test's runfiles, got none; name its target in the test's "
            "data in BUILD"
        )
    return found
