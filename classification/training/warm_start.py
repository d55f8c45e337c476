"""Where training starts from: the folder's newest whole checkpoint, another's, or nothing."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from classification.nets import checkpoints, fake_quant, model_config
from classification.nets.model_config import ModelConfig
from classification.training.training_config import TrainingConfig

_HEAD = "MobilenetV1/Logits/"
_CLASS_VECTORS = f"{_HEAD}Conv2d_1d_1x1_normalize/weights"
_EMBEDDING = f"{_HEAD}Conv2d_1c_1x1_negative/weights"


def check_folder(folder: str, model: ModelConfig) -> None:
    """Checks that a folder is one to train this network in, or can be made.

    Raises:
      NotADirectoryError: if it is a file, or below one.
      PermissionError: if it cannot be written to.
      ValueError: if it holds another network.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise NotADirectoryError(
            f"expected a folder for checkpoints, new or of an earlier run, got the file {folder}; "
            "name another --checkpoint_dir"
        )
    _check_writable(folder)
    known = model_config.read(folder)
    if known is None or dataclasses.replace(known, dataset=model.dataset) == model:
        return
    ours, theirs = dataclasses.asdict(model), dataclasses.asdict(known)
    differing = ", ".join(
        f"{name} {_short(theirs[name])}, not {_short(ours[name])}"
        for name in ours
        if ours[name] != theirs[name] and name != "dataset"
    )
    raise ValueError(
        f"{os.path.join(folder, model_config.FILE_NAME)} describes another network than the one "
        f"to train: {differing}; name another --checkpoint_dir, or give the flags that this one "
        "was trained with"
    )


def _check_writable(folder: str) -> None:
    there = os.path.abspath(folder)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise NotADirectoryError(
            f"expected a folder for checkpoints, got {folder}, and {there} is no folder; name "
            "another --checkpoint_dir"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(
            f"expected a folder for checkpoints that can be written to, got {folder}, and nothing "
            f"can be written in {there}; name another --checkpoint_dir"
        )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def newest_whole(folder: str) -> str | None:
    """The prefix of the newest checkpoint in a folder that can be read to its end.

    What is newer and cannot be read is named on standard output. None where the folder has
    no checkpoint.

    Raises:
      ValueError: if it has checkpoints, and none can be read.
    """
    prefixes = checkpoints.by_step(folder)
    for prefix in prefixes:
        damage = checkpoints.damage(prefix)
        if damage is None:
            return prefix
        print(f"Warning: {prefix} is not whole, and left aside: {damage}", flush=True)
    if prefixes:
        raise ValueError(
            f"expected at least one whole checkpoint to go on from in {folder}, got "
            f"{len(prefixes)} that cannot be read; name another --checkpoint_dir, or empty this one"
        )
    return None


def prepare_folder(folder: str, model: ModelConfig, newest: str | None) -> None:
    """Writes `model.json`, and sees to it that the session finds the checkpoint chosen."""
    model.write(folder)
    if newest is None:
        return
    prefixes = checkpoints.by_step(folder)
    older = prefixes[prefixes.index(newest) :]
    names = [os.path.basename(path) for path in older[::-1]]
    checkpoints.write_state(folder, names)


def check_resumption(newest: str, stored_as: Mapping[str, tf.Variable]) -> None:
    """Checks that a checkpoint holds a training's variables, and no others.

    Args:
      newest: its prefix.
      stored_as: the variables, by their names in the checkpoint.

    Raises:
      ValueError: if it does not.
    """
    restoration = checkpoints.plan(newest, stored_as.values())
    surplus = sorted(set(restoration.shapes) - set(stored_as))
    if restoration.missing or restoration.mismatched or surplus:
        known = f"\n  {len(surplus)} more are in it, {surplus[0]} for one" if surplus else ""
        raise ValueError(
            "expected to go on with the training that this folder holds, with the flags that it "
            "was started with; a training of another kind (a base no longer frozen, another "
            "optimiser, averages or none) starts in another --checkpoint_dir, with "
            f"--fine_tune_checkpoint={newest}\n{restoration.summary()}{known}"
        )


def fine_tuning(
    model: ModelConfig, config: TrainingConfig, variables: Sequence[tf.Variable]
) -> checkpoints.Restoration:
    """Finds out, and says, what the checkpoint to start from gives a network.

    Args:
      model: the network.
      config: how it is trained.
      variables: the network's, in the default graph.

    Raises:
      FileNotFoundError: if there is no such checkpoint.
      ValueError: if it gives nothing of the base, or not all of one that is to be frozen, or
        values that are no numbers.
    """
    constant = tf.get_collection(fake_quant.CONSTANT_RANGES)
    restoration = checkpoints.plan(
        checkpoints.find(config.fine_tune_checkpoint), [v for v in variables if v not in constant]
    )
    checkpoints.require_base(restoration)
    print(restoration.summary(), _describe_head(restoration, model), sep="\n", flush=True)
    if not model.quantize and checkpoints.is_quantised(restoration.prefix):
        print(
            "The checkpoint's network is quantised, and this one is float: --quantize trains on a "
            "quantised one.",
            flush=True,
        )
    base = [
        name
        for name in (*restoration.missing, *restoration.mismatched)
        if not name.startswith(_HEAD)
    ]
    if base and config.freeze_base and not config.update_base_statistics:
        raise ValueError(
            f"expected a checkpoint with the whole base, to freeze it; it lacks {len(base)} "
            f"variables, {base[0]} for one. "
            + (
                "A checkpoint of a float network has no quantisation ranges: "
                "--update_base_statistics finds them in the data. "
                if model.quantize
                else ""
            )
            + "Or leave --freeze_base_model out."
        )
    statistics = [name for name in base if "/BatchNorm/moving_" in name]
    if statistics and config.freeze_batch_norm:
        raise ValueError(
            "expected a checkpoint with batch norm's statistics of the whole base, to freeze them; "
            f"it lacks {len(statistics)} variables, {statistics[0]} for one. Leave "
            "--freeze_batch_norm out"
        )
    _check_finite(restoration)
    return restoration


def start_values(
    restoration: checkpoints.Restoration, variables: Sequence[tf.Variable]
) -> dict[tf.Variable, np.ndarray]:
    """Initial values for what a checkpoint to start from lacks, where random ones are worse.

    An embedding that it does not have starts as the base's features themselves, which tell
    classes apart already; few images do not suffice to learn that back out of a random mixture.
    """
    return {
        # [1, 1, channels, components].
        variable: np.eye(*variable.shape.as_list()[2:])[np.newaxis, np.newaxis]
        for variable in variables
        if variable.op.name == _EMBEDDING and _EMBEDDING in restoration.missing
    }


def _check_finite(restoration: checkpoints.Restoration) -> None:
    values = checkpoints.read(restoration.prefix, restoration.restored)
    wrong = [name for name, value in values.items() if not np.all(np.isfinite(value))]
    if wrong:
        raise ValueError(
            f"expected a checkpoint of numbers to start from, got {restoration.prefix}, in which "
            f"{len(wrong)} variables hold NaN or infinity, {wrong[0]} for one; take an earlier one"
        )


def _describe_head(restoration: checkpoints.Restoration, model: ModelConfig) -> str:
    """What of the layers under Logits the checkpoint gives, in a sentence."""
    if _CLASS_VECTORS in restoration.restored:
        return f"The head goes on from the checkpoint's, with its {model.num_classes} classes."
    known = restoration.shapes.get(_CLASS_VECTORS)
    if known is not None:
        return (
            f"The checkpoint has {known[-1]} classes, and this network {model.num_classes}: the "
            "base is kept, and so is the embedding; the last layer starts fresh."
        )
    return (
        "The base is kept; of the head, which the checkpoint does not have, the embedding starts "
        "as the base's features, and the last layer fresh."
    )
