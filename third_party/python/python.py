"""`./bazelw run python -- ARGUMENTS`: runs the build's interpreter as `python3 ARGUMENTS`.

ARGUMENTS are a script and its arguments, `-c`, `-m`, `-`, or nothing for an interactive session.
The project and its dependencies are on the path, followed by the script's folder or the current
one.
"""

import os
import sys


def main() -> None:
    """Replaces this process by the interpreter."""
    # Launchers set it against imports that no target declares. Here, a script may import modules in
    # its own folder.
    os.environ.pop("PYTHONSAFEPATH", None)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])


if __name__ == "__main__":
    main()
