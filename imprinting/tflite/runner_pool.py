"""Does something for each of many files, in as many threads as there are interpreters."""

import collections
import concurrent.futures
import queue
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from imprinting.tflite.inference import Runner

_Result = TypeVar("_Result")

# Calls that may be ahead of the first one that is not done, for each interpreter. A large photo
# takes as long as many others.
_AHEAD = 16


def results(
    count: int, runners: Sequence[Runner], task: Callable[[int, Runner], _Result]
) -> Generator[_Result, None, None]:
    """Calls a task for 0, 1 and so on. `Runner.run` lets other threads work at the same time.

    Memory does not grow with the number of calls. Close the generator if it is not used to its end.

    Args:
      count: the number of calls.
      runners: the interpreters, at least one. A task has one for itself.
      task: takes a number and an interpreter. If it raises an error, that is raised in its place in
        the order, and calls that have not begun by then are left out.

    Yields:
      What the task returned, in order.
    """
    free: queue.SimpleQueue[Runner] = queue.SimpleQueue()
    for runner in runners:
        free.put(runner)

    def call(index: int) -> _Result:
        runner = free.get()
        try:
            return task(index, runner)
        finally:
            free.put(runner)

    pool = concurrent.futures.ThreadPoolExecutor(len(runners))
    begun: collections.deque[concurrent.futures.Future[_Result]] = collections.deque()
    try:
        for index in range(count):
            begun.append(pool.submit(call, index))
            if len(begun) >= _AHEAD * len(runners):
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
