"""Prints the value of a Python expression, for interpreter_test.py."""

import os  # noqa: F401
import sys

print(eval(sys.argv[1]))
