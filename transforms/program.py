"""What every program of this room does alike: flags in, files out, errors out in a sentence.

`classification/program.py` does the same for programs that need TensorFlow to say what is
wrong; those of this room are started by the build, some of them without TensorFlow.
"""

import os
import sys
import uuid
from collections.abc import Callable, Mapping
from typing import NoReturn

from absl import app, flags, logging

from transforms import messages

_INTERRUPTED = 130


def run(main: Callable[[], None], argv: list[str] | None = None) -> None:
    """Parses flags, calls main, and ends the process.

    What users can put right, which is what a ValueError, an OSError, a RuntimeError
    and a MemoryError tell, is a sentence on stderr, "PROGRAM: what is wrong", and exit status 1.
    `--verbosity=1` shows where it was raised, too. All other errors are the program's own
    and keep their traceback.

    Args:
      main: the program; flags are parsed when it is called.
      argv: the program's name and its arguments; the process's own where None.
    """

    def guarded(arguments: list[str]) -> None:
        try:
            if len(arguments) > 1:
                raise ValueError(
                    f"expected flags alone, as --NAME=VALUE, got {' '.join(arguments[1:])}"
                )
            main()
        except (NotImplementedError, RecursionError):
            # RuntimeErrors to Python, but no fault of the user's.
            raise
        except (ValueError, OSError, RuntimeError, MemoryError) as error:
            logging.debug("Raised here:", exc_info=True)
            _fail(arguments[0], _sentence(error), 1)
        except KeyboardInterrupt:
            _fail(arguments[0], "interrupted", _INTERRUPTED)

    with messages.for_the_user():
        app.run(guarded, argv=argv)


def require(*names: str) -> None:
    """Checks that flags have values.

    Raises:
      ValueError: for those that have none.
    """
    missing = [f"--{name}" for name in names if not flags.FLAGS[name].value]
    if missing:
        raise ValueError(f"expected {', '.join(missing)}; --help tells what for")


def write_files(contents: Mapping[str, bytes]) -> None:
    """Writes files beside their places, then moves all of them there.

    Where a file cannot be written, what was at the paths is left as it was, and nothing
    beside it.

    Args:
      contents: path -> what to write there.

    Raises:
      FileNotFoundError: if the folder that a file belongs in is missing.
      IsADirectoryError: if there is a folder at a path.
      OSError: if a file cannot be written.
    """
    # Not the process's number alone: in containers that share a folder, all have the same.
    own = f"partial-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    partial = {path: f"{path}.{own}" for path in contents}
    for path in contents:
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                f"expected a folder {folder} to write {os.path.basename(path)} in; there is "
                "none: make it first, or name another"
            )
        if os.path.isdir(path):
            raise IsADirectoryError(f"expected the name of a file to write, got the folder {path}")
    try:
        for path, data in contents.items():
            with open(partial[path], "wb") as file:
                file.write(data)
        for path, beside in partial.items():
            os.replace(beside, path)
    finally:
        for beside in partial.values():
            if os.path.exists(beside):
                os.remove(beside)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _fail(path: str, text: str, status: int) -> NoReturn:
    name = os.path.splitext(os.path.basename(path))[0]
    print(f"{name}: {text}", file=sys.stderr)
    sys.exit(status)
