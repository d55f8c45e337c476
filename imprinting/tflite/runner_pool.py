"""Does something for each of many files, in as many threads as there are interpreters."""

import concurrent.futures
import queue
from collections.abc import Callable, Sequence

from imprinting.tflite.inference import Runner


def each(
    count: int,
    runners: Sequence[Runner],
    task: Callable[[int, Runner], None],
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Calls a task for 0, 1 and so on. `Runner.run` lets other threads work at the same time.

    Args:
      count: the number of calls.
      runners: the interpreters, at least one. A task has one for itself.
      task: takes a number and an interpreter. If it raises an error, no further one is started.
      on_progress: called with the number of calls done and `count`, in this thread.
    """
    free: queue.SimpleQueue[Runner] = queue.SimpleQueue()
    for runner in runners:
        free.put(runner)

    def call(index: int) -> None:
        runner = free.get()
        try:
            task(index, runner)
        finally:
            free.put(runner)

    pool = concurrent.futures.ThreadPoolExecutor(len(runners))
    try:
        for done, _ in enumerate(pool.map(call, range(count)), start=1):
            if on_progress is not None:
                on_progress(done, count)
    finally:
        pool.shutdown(cancel_futures=True)
