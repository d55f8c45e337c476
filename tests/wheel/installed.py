"""Installs the wheel into a folder, without the network."""

import os
import pathlib
import subprocess
import sys

from tests import runfiles

_VERSION = "0.1.0"


def wheel() -> pathlib.Path:
    """The wheel that the build makes."""
    return runfiles.path(f"imprinting/imprinting-{_VERSION}-py3-none-any.whl")


def install(path: pathlib.Path, folder: str) -> None:
    """Installs a wheel into a folder, without its requirements."""
    (pip,) = runfiles.path("../python3/usr/share/python-wheels").glob("pip-*.whl")
    subprocess.run(
        [
            *(sys.executable, f"{pip}/pip", "install", "--quiet", "--no-deps", "--no-index"),
            *("--disable-pip-version-check", "--target", folder, str(path)),
        ],
        check=True,
    )


def python_path(folder: str) -> str:
    """PYTHONPATH for the installed wheel and its requirements, which are those of this process."""
    wheels = [path for path in sys.path if "/pypi/site/" in path]
    return os.pathsep.join([folder, *wheels])
