"""Makes a wheel out of files of the build, with flit; the same files give the same bytes.

  make_wheel --output=NAME-VERSION-py3-none-any.whl --pyproject=… --readme=… --license=… PATH=FILE…

FILE is put at PATH. The metadata are those of the pyproject file.
"""

import argparse
import os
import pathlib
import shutil
import tempfile

from flit_core import wheel

# A zip archive cannot have an earlier date.
_DATE = "315532800"


def make(output: str, beside: dict[str, str], files: dict[str, str]) -> None:
    """Makes a wheel.

    Args:
      output: the wheel to write; its name is checked.
      beside: files beside the package, pyproject.toml among them: name -> path.
      files: those of the package: path in the wheel -> path.

    Raises:
      ValueError: if the wheel has another name, since it has another version.
    """
    os.environ["SOURCE_DATE_EPOCH"] = _DATE
    with tempfile.TemporaryDirectory() as folder:
        for name, path in {**beside, **files}.items():
            place = pathlib.Path(folder, "package", name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            place.chmod(0o644)
        pyproject = pathlib.Path(folder, "package", "pyproject.toml")
        made = wheel.make_wheel_in(pyproject, pathlib.Path(folder)).file
        if made.name != os.path.basename(output):
            raise ValueError(
                f"expected a wheel {os.path.basename(output)}, got {made.name}; give the target "
                "the version that __init__.py has"
            )
        shutil.copyfile(made, output)


def main() -> None:
    """Makes the wheel that the flags describe."""
    parser = argparse.ArgumentParser()
    for flag in ("output", "pyproject", "readme", "license"):
        parser.add_argument(f"--{flag}", required=True)
    parser.add_argument("files", nargs="+")
    flags = parser.parse_args()
    beside = {
        "pyproject.toml": flags.pyproject,
        "README.md": flags.readme,
        "LICENSE": flags.license,
    }
    make(flags.output, beside, dict(file.split("=", 1) for file in flags.files))


if __name__ == "__main__":
    main()
