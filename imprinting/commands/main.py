"""The command `imprinting`, which is installed with the package: starts one of the programs."""

import importlib
import re
import sys
from typing import NamedTuple

from absl import flags

import imprinting
from imprinting.base import program


class _Command(NamedTuple):
    """A program.

    Attributes:
      module: its name in this folder.
      does: what it does.
      takes_arguments: see `program.run`.
    """

    module: str
    does: str
    takes_arguments: bool = False


_COMMANDS = {
    "app": _Command("app", "opens a page in the browser that does most of this"),
    "imprint": _Command("imprint", "adds classes to a model, from a few photos each"),
    "classify": _Command("classify", "prints the most probable classes of photos", True),
    "evaluate": _Command("evaluate", "measures how many photos of class folders are recognised"),
    "labels": _Command("labels", "prints, renames or removes the classes of a model"),
    "graft": _Command("graft", "makes a model that accepts new classes out of any classifier"),
    "split": _Command("split_tflite", "splits a model into an extractor and a head"),
    "join": _Command(
        "join_tflite", "puts an extractor, which may be compiled, and a head together"
    ),
    "check-edgetpu": _Command("check_edgetpu", "predicts what the Edge TPU's compiler will do"),
}
_BAZEL = re.compile(r"\./bazelw run (\w+)(?: --)?")


def main() -> None:
    """Runs the command that the first argument names."""
    with program.standard_streams("imprinting"):
        _run()


def _run() -> None:
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("--help", "-h", "help"):
        print(_help())
        return
    if name == "--version":
        print(f"imprinting {imprinting.__version__}")
        return
    command = _COMMANDS.get(name)
    if command is None:
        print(
            f"imprinting: expected a command out of {', '.join(_COMMANDS)}, got {name}; "
            "`imprinting --help` explains them",
            file=sys.stderr,
        )
        sys.exit(1)
    module = importlib.import_module(f"imprinting.commands.{command.module}")
    called = f"imprinting {name}"
    sys.argv = [called, *arguments]
    # absl shows the docstring and the flags of the program that the shell started.
    sys.modules["__main__"].__doc__ = _BAZEL.sub(_called, module.__doc__ or "")
    for flag in flags.FLAGS.get_key_flags_for_module(module):
        flags.FLAGS.register_key_flag_for_module(called, flag)
    program.run(module.main, takes_arguments=command.takes_arguments)


def _called(match: re.Match[str]) -> str:
    """How a program is called, which its docstring names as Bazel does."""
    names = {command.module: name for name, command in _COMMANDS.items()}
    return f"imprinting {names.get(match[1], match[1])}"


def _help() -> str:
    width = max(map(len, _COMMANDS))
    return "\n".join(
        [
            "Image classifiers that learn a class from a few photos, without training.",
            "",
            "  imprinting COMMAND --help",
            "",
            *(f"  {name:{width}}  {command.does}" for name, command in _COMMANDS.items()),
        ]
    )
