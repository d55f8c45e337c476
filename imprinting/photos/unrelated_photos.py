"""The two photographs that come with the project; they show none of a user's classes."""

import pathlib

# scikit-learn's china.jpg and flower.jpg (CC BY 2.0, by danielbuechele and vultilion).
_NAMES = ("china.jpg", "flower.jpg")


def paths() -> list[str]:
    """The paths of the photographs.

    Raises:
      FileNotFoundError: if they are missing.
    """
    # Links are not followed, because Bazel's lead out of the folder.
    folder = pathlib.Path(__file__).absolute().parent / "samples"
    found = [str(folder / name) for name in _NAMES]
    for path in found:
        if not pathlib.Path(path).is_file():
            raise FileNotFoundError(
                f"expected a photograph that comes with the project at {path}, got no such file; "
                "install the package again, or start the program with ./bazelw run"
            )
    return found
