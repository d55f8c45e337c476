"""Shows the progress of programs that process images."""

import contextlib
import time

import rich.console
import rich.progress

# If standard error is not a terminal.
SECONDS_BETWEEN_LINES = 10.0


class ProgressBar(contextlib.ExitStack):
    """A bar on a terminal; otherwise, a line every ten seconds.

    A context manager, which starts the bar when it is created and removes it at the end.
    """

    def __init__(self, *, console: rich.console.Console | None = None) -> None:
        """Starts the bar.

        Args:
          console: where to show it; None for standard error.
        """
        super().__init__()
        self._console = console or rich.console.Console(stderr=True)
        self._bar = self.enter_context(
            rich.progress.Progress(
                *rich.progress.Progress.get_default_columns(),
                rich.progress.MofNCompleteColumn(),
                console=self._console,
                transient=True,
                disable=not self._console.is_terminal,
            )
        )
        self._task = self._bar.add_task("images", total=None)
        self._last_line = time.monotonic()

    def show(self, done: int, total: int) -> None:
        """Shows how many of all images are done."""
        self._bar.update(self._task, completed=done, total=total)
        now = time.monotonic()
        if self._bar.disable and now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._console.print(f"{done} of {total} images", highlight=False)
