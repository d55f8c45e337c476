"""Runs a task of a benchmark; in another process, its peak memory can be measured.

  process --task=step --folder=DIR --step=freeze --runs=7

The last line on standard output has the times of the step, as JSON.
"""

import json
import logging

from absl import flags

from imprinting.base import path_flags, program
from tests.benchmarks import steps

_TASK = flags.DEFINE_enum("task", "step", ["step", "prepare", "change"], "The task.")
_FOLDER = flags.DEFINE_string(
    "folder", "", "Folder of the step's files, or in which to prepare a network."
)
_STEP = flags.DEFINE_enum("step", "imports", list(steps.STEPS), "The step to measure.")
_RUNS = flags.DEFINE_integer("runs", 1, "Number of runs after the first.", lower_bound=1)
_CHECKPOINT = path_flags.define("checkpoint", "", "Checkpoint to prepare, or to copy and change.")
_NETWORK = flags.DEFINE_string("network", "{}", "The network to prepare, a ModelConfig as JSON.")
_PREFIX = flags.DEFINE_string("prefix", "", "Prefix of the changed copy.")
_NUMBER = flags.DEFINE_integer("number", 0, "Number of the change.")


def main() -> None:
    """Runs the task."""
    # Hides the warnings that TensorFlow's tools for comparison are deprecated.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if _TASK.value == "step":
        times = steps.run(_STEP.value, _FOLDER.value, _RUNS.value)
        print(json.dumps(times._asdict()))
        return
    # Imported here, since they import TensorFlow, which some steps do not use.
    from classification.nets.model_config import ModelConfig
    from tests.benchmarks import networks

    if _TASK.value == "prepare":
        model = ModelConfig(**json.loads(_NETWORK.value))
        networks.prepare(_FOLDER.value, _CHECKPOINT.value, model)
    else:
        networks.change(_CHECKPOINT.value, _PREFIX.value, _NUMBER.value)


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
