"""Shows the progress of programs that process images."""

import contextlib
import sys
import time

import tqdm

# If standard error is not a terminal.
SECONDS_BETWEEN_LINES = 10.0
# On a terminal, fewer images are done before anyone has read the bar.
FEWEST_IMAGES = 20


class ProgressBar(contextlib.ExitStack):
    """A bar on a terminal; otherwise, a line every ten seconds.

    A context manager, which removes the bar at the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm.tqdm | None = None
        self._last_line = time.monotonic()

    def show(self, done: int, total: int) -> None:
        """Shows how many of all images are done."""
        if sys.stderr.isatty():
            self._show_bar(done, total)
            return
        now = time.monotonic()
        if now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            print(f"{done} of {total} images", file=sys.stderr)

    def _show_bar(self, done: int, total: int) -> None:
        if self._bar is None:
            if total < FEWEST_IMAGES:
                return
            self._bar = tqdm.tqdm(total=total, unit=" images", leave=False, file=sys.stderr)
            self.callback(self._bar.close)
        self._bar.total = total
        self._bar.update(done - self._bar.n)
