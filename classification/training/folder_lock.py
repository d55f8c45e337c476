"""One training a folder at a time."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

FILE_NAME = "training.lock"


@contextlib.contextmanager
def hold(folder: str) -> Iterator[None]:
    """Keeps others out of a folder, as long as the context is open and the process lives.

    The lock is the system's, on a file that stays behind, so that none is left by a process
    that was killed.

    Raises:
      BlockingIOError: if another process holds it.
      OSError: if the file cannot be written.
    """
    with open(os.path.join(folder, FILE_NAME), "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            # Without a number, which would stand for the system's own words.
            raise BlockingIOError(
                f"expected a folder that nobody else trains in, got {folder}, in which {holder} "
                "does; wait for its end, stop it, or name another --checkpoint_dir"
            ) from None
        except OSError as error:
            # Some network file systems have no locks; training there is still possible.
            print(f"Warning: {folder} cannot be locked against a second training: {error}")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
