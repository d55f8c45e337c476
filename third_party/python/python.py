"""`./bazelw run python -- ARGUMENTS`: the interpreter of this build, as `python3` is run.

ARGUMENTS are a script and its arguments, `-c`, `-m`, `-`, or nothing, for an
interactive session. The project and its dependencies are on the path, and
behind them, as ever, the script's folder or the one where the user stands.
"""

import os
import sys


def main() -> None:
    """Becomes the interpreter."""
    # The launchers' guard against imports that no target declares; here a script
    # may import what lies beside it.
    os.environ.pop("PYTHONSAFEPATH", None)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])


if __name__ == "__main__":
    main()
