"""Finds data files that the build takes from the scikit-learn wheel."""

import os
import pathlib

_REPOSITORY = "scikit_learn"


def find(name: str, *, variable: str) -> str:
    """The path of a file that comes with the build.

    Args:
      name: the file's.
      variable: an environment variable that names the file if the program is not run by Bazel.

    Raises:
      FileNotFoundError: if it is in neither place.
    """
    # With Bazel, this file is RUNFILES/WORKSPACE/classification/data/shipped_files.py. Links are
    # not followed, because they lead out of the runfiles.
    runfile = pathlib.Path(__file__).absolute().parents[3] / _REPOSITORY / name
    if runfile.is_file():
        return str(runfile)
    given = os.environ.get(variable)
    if given and os.path.isfile(given):
        return given
    raise FileNotFoundError(
        f"expected {name} at {runfile}, where Bazel puts it, got no such file; run the program by "
        f"./bazelw, or set the environment variable {variable} to the path of scikit-learn's {name}"
    )
