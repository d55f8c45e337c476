"""Files that appear whole or not at all."""

import os


def write_whole(path: str, data: bytes) -> None:
    """Writes a file beside its place, then moves it there.

    Where this fails, what was at `path` is left as it was, and nothing beside it.

    Raises:
      FileNotFoundError: if the folder that the file belongs in is missing.
      IsADirectoryError: if there is a folder at `path`.
      OSError: if it cannot be written.
    """
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"expected a folder {folder} to write {os.path.basename(path)} in; there is none: "
            "make it first, or name another"
        )
    if os.path.isdir(path):
        raise IsADirectoryError(f"expected the name of a file to write, got the folder {path}")
    partial = f"{path}.partial-{os.getpid()}"
    try:
        with open(partial, "wb") as file:
            file.write(data)
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)
