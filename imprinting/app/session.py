"""What the server shares between requests: the project, its threads, and news for the pages."""

import asyncio
import concurrent.futures
import contextlib
import functools
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from imprinting.project.project import Project

_Result = TypeVar("_Result")
# Between two messages to a page.
_SECONDS = 0.1
# How often a message is sent even if there is no news, so that a lost page is noticed.
_HEARTBEAT = 15.0
_MOST_UPLOADS = 8


class BusyError(ValueError):
    """The server does something else that takes long."""


class Session:
    """The server's state.

    Attributes:
      project: the project.
      uploads: limits the number of bodies in memory.
    """

    def __init__(self, folder: str) -> None:
        """Opens a project; raises what `Project` raises."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Condition()
        self._number = 0
        self._task: dict[str, Any] | None = None
        self._is_closing = False
        self.project = Project(folder, self._notify)
        self.uploads = asyncio.Semaphore(_MOST_UPLOADS)
        processors = os.cpu_count() or 1
        # Answers have their own threads, so that they need not wait for uploads.
        self._pools = {
            # While one waits for the disk, another one can use its processor.
            "photos": concurrent.futures.ThreadPoolExecutor(2 * processors, "photos"),
            "answers": concurrent.futures.ThreadPoolExecutor(2, "answers"),
            # What takes seconds: one at a time, beside what takes milliseconds.
            "results": concurrent.futures.ThreadPoolExecutor(1, "results"),
            "tasks": concurrent.futures.ThreadPoolExecutor(1, "tasks"),
            "work": concurrent.futures.ThreadPoolExecutor(2, "work"),
        }

    def start(self) -> None:
        """Must be called in the server's event loop, before the first request."""
        self._loop = asyncio.get_running_loop()

    async def run(
        self, function: Callable[..., _Result], *args: Any, pool: str = "work", **kwargs: Any
    ) -> _Result:
        """Calls a function in a thread.

        Args:
          function: the function.
          *args: its arguments.
          pool: "photos" to add photos, "answers" to classify them, "results" and "tasks" for what
            takes seconds, "work" for all else.
          **kwargs: more arguments.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._pools[pool], functools.partial(function, *args, **kwargs)
        )

    @contextlib.contextmanager
    def task(self, kind: str) -> Iterator[Callable[[int, int], None]]:
        """Within it, pages show that something takes long, and nothing else of that length starts.

        Args:
          kind: what is done, for the pages.

        Yields:
          A function to call with the number of steps done, and their number.

        Raises:
          BusyError: if something is done already.
        """
        if self._task:
            raise BusyError(
                "expected one long task at a time, got a second one; wait for the first"
            )
        self._task = {"kind": kind, "done": 0, "total": 0}
        self._notify()

        def show(done: int, total: int) -> None:
            self._task = {"kind": kind, "done": done, "total": total}
            self._notify()

        try:
            yield show
        finally:
            self._task = None
            self._notify()

    @property
    def news(self) -> dict[str, Any]:
        """The version of the project, and what is being done."""
        return {"version": self.project.store.now.version, "task": self._task}

    async def events(self) -> AsyncIterator[str]:
        """The news as server-sent events, at once and after each change."""
        seen = -1
        while not self._is_closing:
            if seen == self._number:
                with contextlib.suppress(asyncio.TimeoutError):
                    async with self._news:
                        await asyncio.wait_for(self._news.wait(), _HEARTBEAT)
            seen = self._number
            yield f"data: {json.dumps(self.news)}\n\n"
            await asyncio.sleep(_SECONDS)

    async def close(self) -> None:
        """Ends the events, so that the server can stop."""
        self._is_closing = True
        self._number += 1
        async with self._news:
            self._news.notify_all()

    def stop(self) -> None:
        """Waits for the threads, and closes the project."""
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)
        self.project.close()

    def _notify(self) -> None:
        """Called in any thread."""
        self._number += 1
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._wake()))

    async def _wake(self) -> None:
        async with self._news:
            self._news.notify_all()
