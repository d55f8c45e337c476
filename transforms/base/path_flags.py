"""Flags that take a path, in which `~` is the home folder.

Shells expand it at the start of a word alone, not behind the `=` of --NAME=~/FOLDER.
"""

import os

from absl import flags

# A flag belongs to the program that defines it, not to this module.
flags.disclaim_key_flags()


def expand(path: str) -> str:
    """The path with `~` and `~USER` at its start replaced by a home folder.

    Raises:
      ValueError: if there is no such user, or no home folder.
    """
    expanded = os.path.expanduser(path)
    if expanded == path and path.startswith("~"):
        raise ValueError(
            f"expected a path, got {path}: there is no home folder {path.partition('/')[0]}; "
            f"./{path} means a file of that name"
        )
    return expanded


class _Parser(flags.ArgumentParser[str]):
    syntactic_help = "a path"

    def parse(self, argument: str) -> str:
        return expand(argument)

    def flag_type(self) -> str:
        return "string"


def define(name: str, default: str, help_text: str) -> flags.FlagHolder[str]:
    """Defines a flag that takes a path; see `flags.DEFINE_string`."""
    return flags.DEFINE(_Parser(), name, default, help_text, serializer=flags.ArgumentSerializer())


def define_multi(name: str, help_text: str) -> flags.FlagHolder[list[str]]:
    """Defines a flag that takes a path, and may be repeated; none by default."""
    return flags.DEFINE_multi(_Parser(), flags.ArgumentSerializer(), name, [], help_text)
