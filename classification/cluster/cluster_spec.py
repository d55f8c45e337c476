"""Reads from TF_CONFIG, which cluster managers set, which process of a cluster this one is.

TensorFlow's Estimator defined this environment variable; Kubernetes' TFJob also sets it:

  {"cluster": {"chief": ["a:2222"], "worker": ["b:2222", "c:2222"], "ps": ["d:2222"]},
   "task": {"type": "worker", "index": 0}}

"master" is an older word for "chief". If there is neither, worker 0 is the chief.
"""

import collections
import dataclasses
import json
from typing import Any

_JOBS = ("chief", "master", "worker", "ps", "evaluator")


@dataclasses.dataclass(frozen=True)
class Task:
    """The place of one process in a cluster, according to TF_CONFIG.

    Attributes:
      workers: addresses HOST:PORT of the processes that train, the chief first.
      ps: addresses of the parameter servers.
      job: "worker" (also for the chief) or "ps".
      index: of this process in `workers` or in `ps`.
    """

    workers: tuple[str, ...]
    ps: tuple[str, ...]
    job: str
    index: int


def from_environment(text: str) -> Task | None:
    """Reads TF_CONFIG.

    Args:
      text: its value; '' if it is not set.

    Returns:
      The place of this process; None if it trains alone.

    Raises:
      ValueError: if the value is not valid.
    """
    if not text.strip():
        return None
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON in TF_CONFIG, got {text!r} ({error})") from error
    if not isinstance(config, dict):
        raise ValueError(f"expected a JSON object in TF_CONFIG, got {text!r}")
    jobs = _jobs(config.get("cluster"))
    job, index = _task(config.get("task"), jobs)
    chiefs = jobs["chief"] + jobs["master"]
    workers, ps = chiefs + jobs["worker"], jobs["ps"]
    if len(chiefs) > 1:
        raise ValueError(f"expected one chief in TF_CONFIG, got {', '.join(chiefs)}")
    if not workers:
        raise ValueError('expected a "chief" or "worker" in the cluster of TF_CONFIG, got none')
    if not ps:
        if len(workers) == 1:
            return None
        raise ValueError(
            f'expected a "ps" in the cluster of TF_CONFIG, got none; add at least one: '
            f"{len(workers)} workers share the variables that parameter servers hold"
        )
    if job == "ps":
        return Task(workers, ps, "ps", index)
    return Task(workers, ps, "worker", index + len(chiefs) if job == "worker" else 0)


def _jobs(cluster: Any) -> dict[str, tuple[str, ...]]:
    """The addresses of each job, checked."""
    if not isinstance(cluster, dict):
        raise ValueError(f'expected a "cluster" of addresses in TF_CONFIG, got {cluster!r}')
    for name, addresses in cluster.items():
        if name not in _JOBS:
            raise ValueError(f"expected one of {', '.join(_JOBS)} in TF_CONFIG, got {name!r}")
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            raise ValueError(
                f"expected a list of HOST:PORT as {name!r} in the cluster of TF_CONFIG, got "
                f"{addresses!r}"
            )
    counts = collections.Counter(address for job in cluster.values() for address in job)
    twice = [address for address, count in counts.items() if count > 1]
    if twice:
        raise ValueError(
            f"expected each address once in TF_CONFIG, got {twice[0]} {counts[twice[0]]} times"
        )
    return {name: tuple(cluster.get(name, ())) for name in _JOBS}


def _is_address(value: Any) -> bool:
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) < 65536


def _task(task: Any, jobs: dict[str, tuple[str, ...]]) -> tuple[str, int]:
    """This process's job and index, checked."""
    if not isinstance(task, dict) or "type" not in task:
        raise ValueError(
            f'expected a "task" with "type" and "index" in TF_CONFIG, got {task!r}; say which '
            "process of the cluster this one is"
        )
    job, index = task["type"], task.get("index", 0)
    if job == "evaluator":
        raise ValueError(
            "expected a task that trains in TF_CONFIG, got an evaluator; run eval on the "
            "checkpoint folder instead"
        )
    if job not in _JOBS:
        raise ValueError(
            f"expected one of {', '.join(_JOBS[:-1])} as the task's type in TF_CONFIG, got {job!r}"
        )
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(jobs[job]):
        raise ValueError(
            f"expected the task's index in TF_CONFIG to be from 0 and below {len(jobs[job])}, the "
            f"number of {job!r} in the cluster, got {index!r}"
        )
    return job, index
