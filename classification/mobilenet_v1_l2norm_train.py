r"""Trains a network with an L2-normalised embedding and last layer.

  ./bazelw run train

trains a small quantised network on handwritten digits, which takes about two minutes, and prints
where it is. With your own data, as TFRecords in slim's form:

  ./bazelw run train -- --dataset_dir=DATA --checkpoint_dir=MODEL --quantize --freeze_base_model \
      --cache_features=memory --number_of_steps=1000

This starts from EfficientNet-Lite0 with published weights for ImageNet, which the build makes.
--fine_tune_checkpoint names another checkpoint to start from, or `none`.

For the digits, defaults differ from those below: --network=mobilenet_v1 --image_size=32
--depth_multiplier=0.25 --quantize --number_of_steps=1000 --batch_norm_decay=0.95
--learning_rate=0.1, and --quant_delay is a quarter of the steps.

The folder of the checkpoints also gets a `model.json`, which describes the network to the other
programs, and summaries for TensorBoard. If training was stopped, the same command continues it from
the newest checkpoint in the folder.
"""

import itertools
import os
import signal
import sys
from typing import Any

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from classification.base import runner
from classification.cluster import cluster, cluster_spec
from classification.cluster.cluster import Cluster
from classification.data.dataset import Dataset, open_dataset
from classification.nets import checkpoints, networks
from classification.nets.model_config import ModelConfig
from classification.pretrained import shipped_networks
from classification.training import (
    flag_defaults,
    network_choice,
    train_flags,
    train_loop,
    trainer,
)
from classification.training.step_display import ConsoleDisplay
from classification.training.training_config import TrainingConfig
from imprinting.base import program

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(train_flags)

# The value of --fine_tune_checkpoint for random values.
_NONE = "none"


def _network_and_start(dataset: Dataset) -> tuple[str, str]:
    """The name of the network, and the checkpoint that variables start from; '' for none."""
    digits = dataset.name == "digits"
    given = "" if FLAGS.fine_tune_checkpoint == _NONE else FLAGS.fine_tune_checkpoint
    network = FLAGS.network or network_choice.choose(
        checkpoint_dir=FLAGS.checkpoint_dir, fine_tune_checkpoint=given, digits=digits
    )
    if FLAGS.fine_tune_checkpoint or digits:
        return network, given
    return network, shipped_networks.find(network) or ""


def _values(dataset: Dataset) -> dict[str, Any]:
    """The values of all flags: the user's, or what suits data and start, or the default."""
    names = (*train_flags.MODEL, *train_flags.CONFIG)
    given = program.given(names)
    network, start = _network_and_start(dataset)
    defaults = {name: FLAGS[name].default for name in names}
    values = flag_defaults.choose(
        defaults | {"image_size": networks.get(network).image_size},
        given | {"network": network, "fine_tune_checkpoint": start},
        digits=dataset.name == "digits",
        has_depth_multiplier=networks.get(network).has_depth_multiplier,
        fine_tuning=bool(start),
        new_head=FLAGS.freeze_base_model and not _has_classes(start, network, dataset),
    )
    for name in ("quant_delay", "learned_embedding_range"):
        if name in given and not values["quantize"]:
            raise ValueError(
                f"expected --quantize with --{name}, which is about quantisation, got none"
            )
    return values


def _has_classes(start: str, network: str, dataset: Dataset) -> bool:
    """Whether the checkpoint that training starts from has class vectors for as many classes."""
    if not start:
        return False
    shape = checkpoints.find(start).shapes.get(networks.get(network).names.class_vectors)
    return shape is not None and shape[-1] == dataset.num_classes


def _new_folder(dataset: Dataset, quantize: bool) -> str:
    """A folder that does not exist yet, named after the data and the kind of network."""
    if FLAGS.task:
        raise ValueError(
            "expected --checkpoint_dir with --task above 0, got none; give the folder that the "
            "chief writes to"
        )
    name = f"{os.path.basename(dataset.source)}-{'quantized' if quantize else 'float'}"
    for number in itertools.count(1):
        path = os.path.join(checkpoints.DEFAULT_ROOT, f"{name}-{number}")
        if not os.path.exists(path):
            return path
    raise AssertionError("unreachable")


def _describe_data(dataset: Dataset) -> str:
    if dataset.name != "digits":
        return f"Data: {dataset.num_examples} images in {dataset.source}."
    held_out = open_dataset("", "validation").num_examples
    return (
        f"Data: handwritten digits, {dataset.num_examples} real images of 10 classes from "
        f"scikit-learn, and {held_out} more held out for eval (--dataset_dir names data of your "
        "own)."
    )


def _describe_training(values: dict[str, Any]) -> str:
    steps = values["number_of_steps"]
    parts = [
        f"{steps} steps" if steps is not None else "steps until it is stopped (Ctrl-C saves)",
        f"of {values['batch_size']} images",
        f"learning rate {values['learning_rate']:g}",
        f"batch norm decay {values['batch_norm_decay']:g}",
    ]
    if values["quantize"]:
        parts.append(f"quantising from step {values['quant_delay']}")
    if FLAGS.freeze_base_model:
        parts.append("the base frozen")
    return f"Training: {parts[0]} {', '.join(parts[1:])}."


def _validation(dataset: Dataset) -> Dataset | None:
    """The images to evaluate on during training, if --eval_every asks for it."""
    if not FLAGS.eval_every:
        return None
    return open_dataset("" if dataset.name == "digits" else FLAGS.dataset_dir, "validation")


def _join_cluster() -> Cluster | None:
    """The place of this process in the cluster; None if it was a parameter server."""
    task = cluster_spec.from_environment(os.environ.get("TF_CONFIG", ""))
    given = program.given(train_flags.CLUSTER)
    if task is None:
        return cluster.from_flags(
            master=FLAGS.master,
            task=FLAGS.task,
            ps_tasks=FLAGS.ps_tasks,
            worker_replicas=FLAGS.worker_replicas,
        )
    if given:
        raise ValueError(
            f"expected the cluster either in TF_CONFIG or in flags, got both: {task.job} "
            f"{task.index} there, and --{next(iter(given))}; leave the flag out, or unset TF_CONFIG"
        )
    if not FLAGS.checkpoint_dir:
        raise ValueError(
            "expected --checkpoint_dir with TF_CONFIG, got none; give a folder that all its "
            "processes can reach"
        )
    if task.job == "worker":
        return cluster.join(task)
    steps = FLAGS.number_of_steps
    if not FLAGS.dataset_dir:
        # Only the digits have another default; a server may be unable to reach other data.
        steps = _values(open_dataset("", "train"))["number_of_steps"]
    if not train_loop.has_ended(FLAGS.checkpoint_dir, steps):
        print(f"Parameter server {task.index} of {len(task.ps)}, at {task.ps[task.index]}.")
        cluster.serve(task)
    print("Training has ended.")
    return None


def _describe_end(outcome: trainer.Outcome, place: Cluster, folder: str) -> None:
    if outcome.signal is None:
        print(f"Trained to step {outcome.step}. The network is in {folder}.")
    elif outcome.step is None:
        print(f"Stopped by {outcome.signal.name} before the first step.")
        return
    else:
        print(
            f"Stopped by {outcome.signal.name} at step {outcome.step}, "
            f"{'with a checkpoint' if place.is_chief else 'which the chief saves'}: the same "
            f"command{'' if FLAGS.checkpoint_dir else f' with --checkpoint_dir={folder}'} "
            "continues from there."
        )
    print(f"Next: ./bazelw run eval -- --checkpoint_dir={folder}")


def main() -> None:
    """Reads the flags, and trains."""
    place = _join_cluster()
    if place is None:
        return
    dataset = open_dataset(FLAGS.dataset_dir, "train")
    values = _values(dataset)
    num_classes = FLAGS.num_classes if FLAGS["num_classes"].present else dataset.num_classes
    model = ModelConfig(
        num_classes=num_classes,
        labels=dataset.labels if num_classes == dataset.num_classes else None,
        dataset=dataset.source,
        **{name: values[name] for name in train_flags.MODEL},
    )
    by_seconds = FLAGS["save_summaries_secs"].present
    steps = 0 if by_seconds else flag_defaults.summary_steps(values["number_of_steps"])
    config = TrainingConfig(
        save_summaries_steps=steps,
        **{name: values[name] for name in train_flags.CONFIG},
    )
    folder = FLAGS.checkpoint_dir or _new_folder(dataset, model.quantize)
    print(
        f"Network: {model.describe()}. Checkpoints go to {folder}.",
        _describe_data(dataset),
        _describe_training(values),
        *flag_defaults.warnings(
            values,
            statistics_move=(not FLAGS.freeze_base_model or FLAGS.update_base_statistics)
            and not FLAGS.freeze_batch_norm,
        ),
        sep="\n",
        flush=True,
    )
    with ConsoleDisplay(
        last_step=config.number_of_steps,
        every_n_steps=config.log_every_n_steps,
        batch_size=config.batch_size,
    ) as display:
        outcome = trainer.train(
            model=model,
            config=config,
            dataset=dataset,
            checkpoint_dir=folder,
            validation=_validation(dataset),
            cluster=place,
            display=display,
        )
    _describe_end(outcome, place, folder)
    if outcome.signal is signal.SIGTERM:
        # To shells and cluster managers, this status means "ended by SIGTERM, start again".
        sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    runner.run(main)
