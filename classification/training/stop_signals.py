"""Ends work after Ctrl-C or SIGTERM, at a moment that the work chooses."""

import signal
import threading
from types import FrameType


class Stopped(Exception):
    """Work was left unfinished because of a signal."""


class StopSignals:
    """Records Ctrl-C and SIGTERM while the context is open.

    A second Ctrl-C raises KeyboardInterrupt as usual. Outside the main thread, this class does
    nothing, since Python delivers signals only to the main thread.

    Attributes:
      received: the signal; None if none has come.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def check(self) -> None:
        """Raises Stopped if a signal came."""
        if self.received is not None:
            raise Stopped

    def _receive(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT and self.received is signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
