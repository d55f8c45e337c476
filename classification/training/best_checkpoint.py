"""Evaluates checkpoints during training, and keeps the best one."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from typing import Any

from classification.data.dataset import Dataset
from classification.evaluation import evaluator
from classification.nets import checkpoints
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import FILE_NAME, ModelConfig
from imprinting.base import atomic_files

FOLDER = "best"

_RESULT = "evaluation.json"
_HISTORY = "evaluations.json"
_SUMMARIES = "eval"
_STATE = "checkpoint"


class BestCheckpoint:
    """Evaluates the checkpoints of a folder, and keeps a copy of the best one in its `best/`."""

    def __init__(
        self,
        folder: str,
        *,
        model: ModelConfig,
        validation: Dataset,
        batch_size: int,
        start: int,
        on_progress: Callable[[int, int], None] | None = None,
    ):
        """Creates it.

        Args:
          folder: the checkpoints' folder.
          model: the network.
          validation: the images to evaluate on.
          batch_size: how many of them to compute at once.
          start: the step that training continues from. Evaluations of later steps are ignored:
            their checkpoints no longer exist.
          on_progress: called after each batch with the number of images done and the total number.

        Raises:
          ValueError: if the results of earlier evaluations cannot be read.
        """
        self._folder = folder
        self._model = model
        self._validation = validation
        self._batch_size = batch_size
        self._on_progress = on_progress
        history = _read(os.path.join(folder, _HISTORY), list) or []
        self._history = [result for result in history if result["global_step"] <= start]
        best = _read(os.path.join(folder, FOLDER, _RESULT), dict)
        known = [*self._history, *([best] if best and best["global_step"] <= start else [])]
        self._best: float | None = max((float(r["accuracy"]) for r in known), default=None)

    @property
    def evaluated(self) -> int:
        """The step that was evaluated last, in this run or an earlier one; 0 if none was."""
        return self._history[-1]["global_step"] if self._history else 0

    def evaluate(self, checkpoint: Checkpoint) -> str:
        """Evaluates a checkpoint, and keeps it if it is more accurate than all before.

        Raises what `evaluator.evaluate` raises, and OSError if the copy cannot be written.

        Returns:
          The result in one line.
        """
        result = evaluator.evaluate(
            checkpoint=checkpoint,
            model=self._model,
            dataset=self._validation,
            batch_size=self._batch_size,
            on_progress=self._on_progress,
        )
        evaluator.write_summaries(os.path.join(self._folder, _SUMMARIES), result)
        values = {
            "accuracy": result.accuracy,
            "recall_at_5": result.recall_at_5,
            "num_examples": result.num_examples,
            "global_step": result.global_step,
        }
        before = self._best
        if before is None or result.accuracy > before:
            self._keep(checkpoint.prefix, values)
            self._best, standing = result.accuracy, f"the best so far, kept in {FOLDER}/"
        else:
            standing = f"best: {100 * before:.2f} %"
        # Last, so that an interrupted evaluation is repeated.
        self._history.append(values)
        _write(os.path.join(self._folder, _HISTORY), self._history)
        return (
            f"step {result.global_step}  accuracy {100 * result.accuracy:.2f} % of "
            f"{result.num_examples:,} images  recall at 5 {100 * result.recall_at_5:.2f} %  "
            f"({standing})"
        )

    def _keep(self, prefix: str, values: dict[str, Any]) -> None:
        path = os.path.join(self._folder, FOLDER)
        name = os.path.basename(prefix)
        copied = [n for n in os.listdir(self._folder) if n.startswith(name + ".")]
        earlier = os.listdir(path) if os.path.exists(os.path.join(path, _RESULT)) else []
        with atomic_files.atomic_folder(
            path, [*copied, *earlier, _RESULT, _STATE, FILE_NAME]
        ) as partial:
            for file in copied:
                # A link is enough: TensorFlow never changes a checkpoint's files.
                _link_or_copy(os.path.join(self._folder, file), os.path.join(partial, file))
            self._model.write(partial)
            checkpoints.write_state(partial, [name])
            _write(os.path.join(partial, _RESULT), values)


def _link_or_copy(source: str, target: str) -> None:
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def _write(path: str, values: Any) -> None:
    atomic_files.write_atomically(path, (json.dumps(values, indent=1) + "\n").encode())


def _read(path: str, kind: type) -> Any:
    """What `_write` wrote, one result or a list of results; None if there is no file."""
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        if not isinstance(values, kind):
            raise ValueError(f"got {type(values).__name__}, not {kind.__name__}")
        results: list[Any] = values if isinstance(values, list) else [values]
        for result in results:
            float(result["accuracy"])
            int(result["global_step"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"expected the step and the accuracy in {path}, but they cannot be read: "
            f"{error!r}; remove it, and the next evaluation writes another"
        ) from error
    return values
