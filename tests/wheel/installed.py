"""Installs the wheel into a folder, without the network."""

import os
import pathlib
import subprocess
import sys

from tests import runfiles

# Those of the wheel, and theirs.
_REQUIREMENTS = (
    *("absl_py", "ai_edge_litert", "backports_strenum", "flatbuffers", "ml_dtypes", "numpy"),
    *("pillow", "protobuf", "threadpoolctl", "tqdm", "typing_extensions"),
)


def wheel() -> pathlib.Path:
    """The wheel that the build makes."""
    (path,) = runfiles.path("imprinting").glob("imprinting-*.whl")
    return path


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
    sites = [path for path in sys.path if "/pypi/site/" in path]
    wheels = [path for path in sites if os.path.basename(path) in _REQUIREMENTS]
    return os.pathsep.join([folder, *wheels])


def environment(folder: pathlib.Path) -> str:
    """Makes a virtual environment with the packages of this process, and pip.

    Args:
      folder: the folder to create.

    Returns:
      The path of its interpreter.
    """
    command = [sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(folder)]
    subprocess.run(command, check=True)
    (pip,) = runfiles.path("../python3/usr/share/python-wheels").glob("pip-*.whl")
    (site,) = (folder / "lib").glob("python3.*/site-packages")
    sites = [path for path in sys.path if "/site/" in path]
    (site / "packages.pth").write_text("\n".join([*sites, str(pip)]) + "\n")
    return str(folder / "bin" / "python")
