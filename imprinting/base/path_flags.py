"""Flags that take a path, in which `~` means the home folder.

Shells expand `~` only at the start of a word, not after the `=` of --NAME=~/FOLDER.
"""

import os

from absl import flags

# A flag belongs to the program that defines it, not to this module.
flags.disclaim_key_flags()


def expand(path: str) -> str:
    """Returns the path with `~` or `~USER` at its start replaced by the home folder.

    Raises:
      ValueError: if the user or the home folder does not exist, or no file can have the name.
    """
    if "\0" in path:
        raise ValueError(
            f"expected a path, got one with a zero byte after {path.partition(chr(0))[0]!r}; in a "
            "list of paths, write each in a line of its own"
        )
    expanded = os.path.expanduser(path)
    if expanded == path and path.startswith("~"):
        raise ValueError(
            f"expected a path, got {path}, but there is no home folder {path.partition('/')[0]}; "
            f"for a file of that name, write ./{path}"
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
