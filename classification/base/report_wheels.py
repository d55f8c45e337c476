"""Imports matplotlib and scikit-learn, which are kept where Keras does not find them.

Keras imports both if they are on the path, which takes a second and writes a font cache in the
home directory. Programs import TensorFlow without Keras, but tests and scripts may import it. So
their folders are added to the path only when a report asks for them here.
"""

import contextlib
import functools
import importlib
import logging
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from types import ModuleType

_EXTERNAL = pathlib.Path(__file__).parents[3]
_WHEELS = _EXTERNAL / "pypi" / "site"
# For the Chinese, Japanese and Korean characters that matplotlib's DejaVu Sans lacks.
_FONT = _EXTERNAL / "fonts" / "wqy-microhei.ttc"
_FAMILIES = ["DejaVu Sans", "WenQuanYi Micro Hei"]
_PARTS = ("backends.backend_agg", "colors", "figure", "font_manager")


@functools.cache
def sklearn_metrics() -> ModuleType:
    """The module sklearn.metrics.

    Raises:
      ImportError: if this file is not run by Bazel or from its output.
    """
    _extend_path()
    return importlib.import_module("sklearn.metrics")


@functools.cache
def matplotlib() -> ModuleType:
    """Matplotlib, set up so that figures have the same bytes on every machine.

    It has its default settings, its own fonts and the build's font with Chinese, Japanese and
    Korean characters. Settings and fonts of the machine and the user are ignored, and nothing is
    written in the home directory. Its modules figure, colors and font_manager are imported;
    pyplot is not.

    Raises:
      ImportError: if this file is not run by Bazel or from its output.
    """
    _extend_path()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # The import reads the user's settings, writes a font cache and, if fontconfig is installed,
    # calls it, which writes a cache too.
    with (
        tempfile.TemporaryDirectory() as folder,
        _environment({"HOME": folder, "MPLCONFIGDIR": folder, "PATH": folder}),
    ):
        module = importlib.import_module("matplotlib")
        for part in _PARTS:
            importlib.import_module(f"matplotlib.{part}")
    module.rcdefaults()
    fonts = module.font_manager.fontManager
    own = module.get_data_path()
    fonts.ttflist = [font for font in fonts.ttflist if font.fname.startswith(own)]
    fonts.addfont(_FONT)
    module.rcParams["font.family"] = _FAMILIES
    return module


@functools.cache
def characters() -> frozenset[int]:
    """The code points of all characters that figures can show."""
    manager = matplotlib().font_manager
    fonts = [manager.get_font(manager.findfont(family)) for family in _FAMILIES]
    return frozenset().union(*(font.get_charmap() for font in fonts))


def _extend_path() -> None:
    if not _WHEELS.is_dir():
        raise ImportError(
            f"expected the build's wheels in {_WHEELS}, got no such folder; run this by ./bazelw, "
            "or from .bazel/bin"
        )
    known = set(sys.path)
    sys.path += [str(path) for path in sorted(_WHEELS.iterdir()) if str(path) not in known]


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    old = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in old.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value
