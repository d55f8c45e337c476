"""matplotlib and scikit-learn, kept where TensorFlow does not find them.

Keras, which TensorFlow imports, imports both wherever they are on the path: a second for
every program, and a font cache in the home directory. So they lie beside the other wheels,
and come on the path when a report asks for them here.
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
# For what DejaVu Sans, matplotlib's own, lacks: Chinese, Japanese and Korean.
_FONT = _EXTERNAL / "fonts" / "wqy-microhei.ttc"
_FAMILIES = ["DejaVu Sans", "WenQuanYi Micro Hei"]
_PARTS = ("backends.backend_agg", "colors", "figure", "font_manager")


@functools.cache
def sklearn_metrics() -> ModuleType:
    """The module sklearn.metrics.

    Raises:
      ImportError: if this file is not run out of the build.
    """
    _extend_path()
    return importlib.import_module("sklearn.metrics")


@functools.cache
def matplotlib() -> ModuleType:
    """Matplotlib for figures that are the same bytes on every machine.

    It has its default settings, and of fonts those that come with it and one of the build's with
    Chinese, Japanese and Korean characters, whatever the machine and its user have, and writes
    nothing in the home directory. Of its parts, figure, colors and font_manager are there; pyplot
    is not.

    Raises:
      ImportError: if this file is not run out of the build.
    """
    _extend_path()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # While it is imported, it looks for its settings, leaves its cache of fonts, and asks
    # fontconfig, where that is installed, which leaves a cache of its own.
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
            f"expected the build's wheels in {_WHEELS}; run this by ./bazelw, or out of .bazel/bin"
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
