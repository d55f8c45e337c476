"""What is done in a process of its own, so that its peak of memory is its own.

  process --task=step --folder=DIR --step=freeze --runs=7

The last line on standard output is a step's times, in JSON.
"""

import json
import logging

from absl import flags

from tests.benchmarks import steps
from transforms.base import path_flags, program

_TASK = flags.DEFINE_enum("task", "step", ["step", "prepare", "change"], "What to do.")
_FOLDER = flags.DEFINE_string("folder", "", "Of a step's files; where to prepare a network.")
_STEP = flags.DEFINE_enum("step", "imports", list(steps.STEPS), "Which step to time.")
_RUNS = flags.DEFINE_integer("runs", 1, "How often, after a first time.", lower_bound=1)
_CHECKPOINT = path_flags.define("checkpoint", "", "What to prepare, or to change a copy of.")
_NETWORK = flags.DEFINE_string("network", "{}", "The network to prepare, a ModelConfig in JSON.")
_PREFIX = flags.DEFINE_string("prefix", "", "Of the changed copy.")
_NUMBER = flags.DEFINE_integer("number", 0, "Which change.")


def main() -> None:
    """Does the task."""
    # TensorFlow warns that it has deprecated what is compared with.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if _TASK.value == "step":
        times = steps.run(_STEP.value, _FOLDER.value, _RUNS.value)
        print(json.dumps(times._asdict()))
        return
    # TensorFlow, which some of the steps go without.
    from classification.nets.model_config import ModelConfig
    from tests.benchmarks import networks

    if _TASK.value == "prepare":
        config = ModelConfig(**json.loads(_NETWORK.value))
        networks.prepare(_FOLDER.value, _CHECKPOINT.value, config)
    else:
        networks.change(_CHECKPOINT.value, _PREFIX.value, _NUMBER.value)


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
