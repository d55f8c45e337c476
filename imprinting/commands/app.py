"""Opens a page in the browser to add classes from photos, to see answers, and to export the model.

  ./bazelw run app
  ./bazelw run app -- --project_dir=FOLDER --no_browser

The page works without a connection to the internet. Everything is kept in the project's folder,
and each change is there at once: whatever happens, start the program again and go on. Ctrl-C stops
it.
"""

import os
import sys
import threading
import webbrowser

from absl import flags

from imprinting.base import path_flags, program

_PROJECT = path_flags.define(
    "project_dir",
    "~/imprinting",
    "The folder of the project. It is created if it does not exist.",
)
_PORT = flags.DEFINE_integer(
    "port", 8890, "The port to listen on; 0 for any that is free.", lower_bound=0, upper_bound=65535
)
_HOST = flags.DEFINE_string(
    "host",
    "127.0.0.1",
    "The address to listen on. By default, only this machine can open the page. With 0.0.0.0, or "
    "the machine's address in a network, everybody in that network who learns the page's address "
    "with its token can see and change all photos. The connection is not encrypted, so others in "
    "the network can read the token. Browsers then also refuse to use the camera. It is safer to "
    "leave this out, and to connect by `ssh -L 8890:127.0.0.1:8890 MACHINE`.",
)
_NO_BROWSER = flags.DEFINE_boolean("no_browser", False, "Does not open the page in the browser.")


def main() -> None:
    """Starts the server, and opens the page.

    Raises:
      ValueError: if the folder contains something else than a project, or the server's libraries
        are missing.
      OSError: if the port is in use.
    """
    try:
        from imprinting.app.server import Server
    except ModuleNotFoundError as error:
        raise ValueError(
            f"expected the libraries of the page's server, got no {error.name}; install the wheel "
            'again with its extra, as in `pip install "imprinting-0.1.0-py3-none-any.whl[app]"`'
        ) from error
    program.require("project_dir")
    folder = os.path.abspath(_PROJECT.value)
    server = Server(folder, host=_HOST.value, port=_PORT.value)

    def started() -> None:
        print(f"The project is in {folder}.")
        print("Open this page, if it does not open by itself; Ctrl-C stops the program:")
        print(f"  {server.address}", flush=True)
        if _HOST.value not in ("127.0.0.1", "localhost", "::1"):
            print(
                "app: warning: others in the network can open this page, and the connection is not "
                "encrypted; --help explains --host",
                file=sys.stderr,
            )
        if not _NO_BROWSER.value and _has_display():
            # A browser may not return before its page is there, which this thread must serve.
            address = server.new_address()
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    try:
        server.run(started)
    except KeyboardInterrupt:
        print(f"Stopped. Everything is saved in {folder}.")


def _has_display() -> bool:
    """Whether a browser would have a window; otherwise one for terminals might be started."""
    is_desktop = os.name == "nt" or sys.platform == "darwin"
    return is_desktop or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


if __name__ == "__main__":
    program.run(main)
