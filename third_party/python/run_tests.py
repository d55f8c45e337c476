"""Runs the tests of several modules in one process, so that TensorFlow is loaded only once.

The arguments are the names of modules, and flags of absltest.
"""

import gc
import importlib
import inspect
import sys
import unittest

from absl.testing import absltest


def main() -> None:
    """Copies the modules' test cases into this module, where absltest looks for them."""
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    here = sys.modules[__name__]
    for name in names:
        module = importlib.import_module(name)
        for case, value in inspect.getmembers(module, inspect.isclass):
            if issubclass(value, unittest.TestCase) and value.__module__ == name:
                taken = hasattr(here, case)
                setattr(here, f"{name.rpartition('.')[2]}_{case}" if taken else case, value)
    # Graphs consist of many objects, and the collector would often search them in vain.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    # Not as argv=…, with which absltest does not parse the flags that tests define.
    sys.argv = [argument for argument in sys.argv if argument not in names]
    absltest.main()


if __name__ == "__main__":
    main()
