"""Flags that divide the work of a program among tasks, which a scheduler starts.

Importing this module defines --task and --num_tasks. Without them, the variables count that these
schedulers set: Slurm for array jobs and for several processes that srun starts (together, each
process of each array task has a part of its own), AWS Batch for array jobs, and Cloud Run for
jobs. An Indexed Job of Kubernetes sets only the number of the task, and so needs --num_tasks.
"""

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping

from absl import flags

FLAGS = flags.FLAGS

flags.DEFINE_integer(
    "task",
    None,
    "Number of this task, from 0. Default: from the variables of Slurm, AWS Batch, Cloud Run or a "
    "Kubernetes Indexed Job.",
)
flags.DEFINE_integer(
    "num_tasks",
    None,
    "Number of tasks among which the work is divided; 1 to ignore all variables of schedulers. "
    "Default: from the variables of Slurm, AWS Batch or Cloud Run, else 1.",
)

_KUBERNETES = "JOB_COMPLETION_INDEX"
# The variables with the number of a task, with the number of tasks, and with the first number.
# The number of processes that srun starts is not SLURM_NTASKS: sbatch sets that too, and then
# starts only one process.
_SCHEDULERS = (
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", None),
    ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", None),
    ("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT", None),
)


@dataclasses.dataclass(frozen=True)
class Task:
    """One of several tasks that do a program's work together.

    Attributes:
      index: its number, in 0..count - 1.
      count: the number of tasks, at least 2.
    """

    index: int
    count: int


def chosen(say: Callable[[str], None], environment: Mapping[str, str] = os.environ) -> Task | None:
    """Which task the flags, or the variables of a scheduler, say this process is.

    Args:
      say: called with a line if the variables say so, because users may not know of them.
      environment: the variables.

    Returns:
      The task; None if this process does all the work.

    Raises:
      ValueError: if a number is missing, out of range, or not a number.
    """
    index, count = FLAGS.task, FLAGS.num_tasks
    if count is None:
        if index is not None:
            raise ValueError(f"expected --num_tasks with --task={index}, got none; add it")
        scheduled = _scheduled(environment)
        index, count = scheduled.index, scheduled.count
        if count == 1 and _KUBERNETES in environment:
            warnings.warn(
                f"{_KUBERNETES} is ignored without --num_tasks; this process does all the work",
                stacklevel=2,
            )
    elif count < 1:
        raise ValueError(f"expected --num_tasks of at least 1, got {count}")
    elif index is None and count > 1:
        index = _index(environment, count)
    index = index or 0
    if not 0 <= index < count:
        raise ValueError(f"expected --task in 0..{count - 1} with --num_tasks={count}, got {index}")
    if count > 1 and FLAGS.task is None:
        used = [name for name, count_name, _ in _SCHEDULERS if count_name in environment]
        names = " and ".join(used or [_KUBERNETES])
        say(
            f"Task {index} of {count}, by {names} in the environment. "
            "With --num_tasks=1, this process does all the work."
        )
    return Task(index, count) if count > 1 else None


def _index(environment: Mapping[str, str], count: int) -> int:
    """The number of this task, if only the number of tasks is given."""
    scheduled = _scheduled(environment)
    if scheduled.count == 1 and _KUBERNETES in environment:
        return _number(environment, _KUBERNETES)
    if scheduled.count == count:
        return scheduled.index
    # For example, if only some tasks of an array are submitted again.
    there = "none"
    if scheduled.count > 1:
        there = f"those of a scheduler for {scheduled.count} tasks"
    raise ValueError(
        f"expected --task, or variables of a scheduler for {count} tasks, with "
        f"--num_tasks={count}, got {there}; add --task"
    )


def _scheduled(environment: Mapping[str, str]) -> Task:
    """The task that the pairs of variables say; number 0 of 1 if there are none."""
    task = Task(0, 1)
    for index_name, count_name, first_name in _SCHEDULERS:
        if count_name not in environment:
            continue
        count = _number(environment, count_name)
        index = _number(environment, index_name)
        if first_name is not None and first_name in environment:
            index -= _number(environment, first_name)
        if not 0 <= index < count:
            raise ValueError(
                f"expected {index_name} to be one of {count} consecutive numbers, as "
                f"{count_name} says, got {environment[index_name]}; use consecutive numbers, or "
                "give --task and --num_tasks"
            )
        task = Task(task.index * count + index, task.count * count)
    return task


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name)
    if value is None or not (value.isascii() and value.isdigit()):
        got = "none" if value is None else repr(value)
        raise ValueError(
            f"expected a whole number in the scheduler's variable {name}, got {got}; set it, or "
            "give --task and --num_tasks"
        )
    return int(value)
