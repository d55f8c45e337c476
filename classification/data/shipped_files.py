"""Data files that come with the build, out of the scikit-learn wheel."""

import os
import pathlib

_REPOSITORY = "scikit_learn"


def find(name: str, *, variable: str) -> str:
    """The path of a file that comes with the build.

    Args:
      name: the file's.
      variable: an environment variable that names it where the program does not run out of
        the build.

    Raises:
      FileNotFoundError: if it is in neither place.
    """
    # Under Bazel this file stands at RUNFILES/WORKSPACE/classification/data. Its links are
    # not followed: they lead out of the runfiles.
    runfile = pathlib.Path(__file__).absolute().parents[3] / _REPOSITORY / name
    if runfile.is_file():
        return str(runfile)
    given = os.environ.get(variable)
    if given and os.path.isfile(given):
        return given
    raise FileNotFoundError(
        f"Expected {name} at {runfile}, where Bazel puts it. Run the program through ./bazelw, "
        f"or name scikit-learn's {name} in the environment variable {variable}."
    )
