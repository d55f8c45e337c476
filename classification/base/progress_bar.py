"""How programs that go through images show how far they are."""

import time
from types import TracebackType

import rich.console
import rich.progress

# Where there is no terminal.
SECONDS_BETWEEN_LINES = 10.0


class ProgressBar:
    """A bar on a terminal, elsewhere a plain line now and then; on stderr.

    A context manager, since a bar must be ended.
    """

    def __init__(
        self,
        *,
        console: rich.console.Console | None = None,
    ) -> None:
        """Creates the bar.

        Args:
          console: standard error by default.
        """
        self._console = console or rich.console.Console(stderr=True)
        self._bar = rich.progress.Progress(
            *rich.progress.Progress.get_default_columns(),
            rich.progress.MofNCompleteColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("images", total=None)
        self._last_line = time.monotonic()

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, done: int, total: int) -> None:
        """Shows that so many of all images are done."""
        self._bar.update(self._task, completed=done, total=total)
        now = time.monotonic()
        if self._bar.disable and now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._console.print(f"{done} of {total} images", highlight=False)
