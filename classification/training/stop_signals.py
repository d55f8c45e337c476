"""Stopping when the system or the user asks for it, at a moment that suits the work."""

import signal
import threading
from types import FrameType, TracebackType


class Stopped(Exception):
    """Work was left unfinished, since somebody wants the program to stop."""


class StopSignals:
    """Turns Ctrl-C and SIGTERM into a wish, while the context is open.

    A second Ctrl-C is a KeyboardInterrupt, as ever. Outside of the main thread, where Python
    knows no signals, it does nothing.

    Attributes:
      received: the signal, or None as long as none came.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
