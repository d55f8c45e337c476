"""Evaluating a training now and then, and keeping the checkpoint that did best."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable

from classification import checkpoints, evaluation, files
from classification.data.dataset import Dataset
from classification.model_config import FILE_NAME, ModelConfig

FOLDER = "best"

_RESULT = "evaluation.json"
_SUMMARIES = "eval"
_STATE = "checkpoint"


class BestCheckpoint:
    """Evaluates checkpoints of one folder, and keeps a copy of the best one in `best/` there."""

    def __init__(
        self,
        folder: str,
        *,
        model: ModelConfig,
        validation: Dataset,
        batch_size: int,
        on_progress: Callable[[int, int], None] | None = None,
    ):
        """Creates it.

        Args:
          folder: of the training's checkpoints.
          model: the network.
          validation: the images to evaluate on.
          batch_size: how many of them at once.
          on_progress: called after each batch with the images done and those there are.

        Raises:
          ValueError: if the result kept with an earlier best checkpoint cannot be read.
        """
        self._folder = folder
        self._model = model
        self._validation = validation
        self._batch_size = batch_size
        self._on_progress = on_progress
        self._best = _read(os.path.join(folder, FOLDER, _RESULT))

    def evaluate(self, prefix: str) -> str:
        """Evaluates a checkpoint, and keeps it if it names more images right than any before.

        Raises what `evaluation.evaluate` raises, and OSError if the copy cannot be written.

        Returns:
          What came of it, a line.
        """
        result = evaluation.evaluate(
            checkpoint=prefix,
            config=self._model,
            dataset=self._validation,
            batch_size=self._batch_size,
            on_progress=self._on_progress,
        )
        evaluation.write_summaries(os.path.join(self._folder, _SUMMARIES), result)
        text = (
            f"step {result.global_step}  accuracy {100 * result.accuracy:.2f} % of "
            f"{result.num_examples:,} images  recall at 5 {100 * result.recall_at_5:.2f} %"
        )
        if self._best is not None and result.accuracy <= self._best:
            return f"{text}  (best: {100 * self._best:.2f} %)"
        self._keep(prefix, result)
        self._best = result.accuracy
        return f"{text}  (the best so far, kept in {FOLDER}/)"

    def _keep(self, prefix: str, result: evaluation.Result) -> None:
        path = os.path.join(self._folder, FOLDER)
        name = os.path.basename(prefix)
        copied = [n for n in os.listdir(self._folder) if n.startswith(name + ".")]
        earlier = os.listdir(path) if os.path.exists(os.path.join(path, _RESULT)) else []
        with files.whole_folder(path, [*copied, *earlier, _RESULT, _STATE, FILE_NAME]) as partial:
            for file in copied:
                # A link is enough: TensorFlow writes checkpoints anew, never over old ones.
                _link_or_copy(os.path.join(self._folder, file), os.path.join(partial, file))
            self._model.write(partial)
            checkpoints.write_state(partial, [name])
            values = {
                "accuracy": result.accuracy,
                "recall_at_5": result.recall_at_5,
                "num_examples": result.num_examples,
                "global_step": result.global_step,
            }
            text = json.dumps(values, indent=1) + "\n"
            files.write_whole(os.path.join(partial, _RESULT), text.encode())


def _link_or_copy(source: str, target: str) -> None:
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def _read(path: str) -> float | None:
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return float(json.load(file)["accuracy"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"expected the best checkpoint's accuracy in {path}, but it cannot be read: {error}; "
            "remove that folder, and the next evaluation keeps another"
        ) from error
