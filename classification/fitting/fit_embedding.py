r"""Makes a classifier of your photos in closed form, in seconds instead of by gradient steps.

  ./bazelw run fit_embedding -- --dataset_dir=DATA --output_dir=OUT

DATA is a folder that convert_images wrote; the photos of its split `train` are used. The base, by
default that of EfficientNet-Lite0 with published weights, stays as it is. On top of it come an
embedding by linear discriminant analysis, and a vector for each class: the mean embedding of its
photos (Qi, Brown and Lowe, arXiv 1712.07136, section 3.2).

OUT has the form of a trained network that is ready for deployment. Continue with
`eval --checkpoint_dir=OUT --dataset_dir=DATA`, with `CHECKPOINT=OUT ./bazelw build frozen_tflite`,
with `imprint --checkpoint=OUT --keep_classes`, or with `train --fine_tune_checkpoint=OUT`.

For a large data set, several tasks can compute the features together, on as many machines as you
like: run each with --task=I --num_tasks=N, I from 0 to N - 1. Slurm, AWS Batch and Cloud Run set
both numbers themselves, and Kubernetes sets I. The tasks may run one after another, be killed, and
be run again. The one that finds all features complete fits, and writes OUT, with the same bytes as
without tasks. Until then, the features are in OUT.tasks-1.
"""

import dataclasses
import functools
import os
import time
from collections.abc import Mapping

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
import tensorflow.compat.v1 as tf
from absl import flags

from classification.base import runner, task_flags, task_folder
from classification.base.task_flags import Task
from classification.data import dataset_info
from classification.data.dataset import Dataset, open_dataset
from classification.deployment import base_values, deployable
from classification.fitting import fitted_classifier, task_features, view_features
from classification.fitting.fitted_classifier import Fitted
from classification.fitting.view_features import ViewFeatures
from classification.nets import checkpoints, model_config, networks
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from classification.pretrained import shipped_networks
from imprinting.base import atomic_files, path_flags, program
from imprinting.base.progress_bar import ProgressBar

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(task_flags)

path_flags.define(
    "dataset_dir",
    "",
    "Folder of TFRecords in slim's form, train-*, and labels.txt, as convert_images writes them.",
)
path_flags.define(
    "output_dir", "", "Folder to write: new, empty, or an earlier result, which is replaced."
)
flags.DEFINE_enum(
    "network",
    None,
    list(networks.NETWORKS),
    f"The network. Default: that of --fine_tune_checkpoint, else {networks.DEFAULT}.",
)
path_flags.define(
    "fine_tune_checkpoint",
    "",
    "Checkpoint (its prefix, or its folder) with the base: one of this project, or a published "
    "classifier. Default: for efficientnet_lite0, 1 or 2, their published weights.",
)
flags.DEFINE_integer(
    "image_size",
    None,
    "Height and width of the input in pixels, at least 32. Default: that of the checkpoint's "
    "model.json, else what the network was published for.",
)
flags.DEFINE_float(
    "depth_multiplier",
    None,
    "Factor of the numbers of channels of the base's layers. Default: that of the checkpoint's "
    "model.json, else 1.",
)
flags.DEFINE_bool(
    "quantize",
    None,
    "Make a quantised network, or a float one. Default: quantised, if the checkpoint has ranges or "
    "they follow from it, as for all published weights.",
)
flags.DEFINE_integer(
    "views",
    None,
    "Parts of each photo to use, the whole photo first. Default: 4, and 6 for fewer than 20 photos "
    "of each class.",
)


def main() -> None:
    """Reads the flags, fits, writes, and prints what was done."""
    program.require("dataset_dir", "output_dir")
    if FLAGS.views is not None and FLAGS.views < 1:
        raise ValueError(f"expected --views of at least 1, got {FLAGS.views}")
    atomic_files.check_replaceable(FLAGS.output_dir, deployable.FILE_NAMES)
    begin = time.monotonic()
    task = task_flags.chosen(functools.partial(print, flush=True))
    dataset, names = _open_data()
    checkpoint = _find_checkpoint()
    model = _model(checkpoint, dataset, names)
    base, quantise = base_values.read(checkpoint, model, quantize=FLAGS.quantize)
    model = dataclasses.replace(deployable.portable(model, names), quantize=quantise)
    views = FLAGS.views or view_features.number_of_views(dataset)
    print(
        f"Network: {model.describe()}; the base has {_describe_base(checkpoint)}.",
        f"Data: {dataset.num_examples:,} photos in {dataset.source}; {views} views of each.",
        sep="\n",
        flush=True,
    )
    if task is not None:
        _run_task(task, base, model, dataset, views)
        return
    folder = os.path.dirname(os.path.realpath(FLAGS.output_dir)) or "."
    with (
        ProgressBar() as progress,
        view_features.computed(
            base, model, dataset, views=views, folder=folder, on_progress=progress.show
        ) as found,
    ):
        progress.close()
        fitted = _fit(found, base, model, FLAGS.output_dir)
        in_network = found.seconds
    seconds, count = time.monotonic() - begin, dataset.num_examples
    _report(
        fitted,
        f"{seconds:.1f} s, of which {in_network:.1f} s to compute features "
        f"({count / in_network:.0f} photos/s, {count * views / in_network:.0f} images/s).",
    )


def _run_task(
    task: Task, base: Mapping[str, np.ndarray], model: ModelConfig, dataset: Dataset, views: int
) -> None:
    """Computes the features of this task, and fits if those of all tasks are complete."""
    plan = task_features.plan(base, model, dataset, views=views, task=task)
    folder = task_folder.opened(FLAGS.output_dir, plan)
    title = f"Task {task.index} of {task.count}"
    complete = f"{title}: {FLAGS.output_dir} is complete, there is nothing to do."
    if folder.is_complete():
        folder.clean()
        print(complete)
        return
    try:
        with ProgressBar() as progress:
            missing = task_features.compute(
                folder, base, model, dataset, views=views, task=task, on_progress=progress.show
            )
        if missing:
            print(
                f"{title}: its features are ready. Parts of other tasks that are missing: "
                f"{missing:,}. The task that computes the last one writes {FLAGS.output_dir}."
            )
            return
        with (
            task_features.joined(folder, dataset, views=views, task=task) as found,
            folder.scratch() as scratch,
        ):
            path = os.path.join(scratch, "model")
            fitted = _fit(found, base, model, path)
            atomic_files.check_replaceable(FLAGS.output_dir, deployable.FILE_NAMES)
            folder.publish(path)
            in_network = found.seconds
    except (OSError, tf.errors.OpError):
        # Another process of the same task may have been faster, and the parts are gone.
        if not folder.is_complete():
            raise
        print(complete)
        return
    _report(fitted, f"{in_network:.1f} s in all tasks to compute features.")


def _fit(
    found: ViewFeatures, base: Mapping[str, np.ndarray], model: ModelConfig, folder: str
) -> Fitted:
    """Fits, and writes the network to a folder."""
    print(f"Features: computed in {found.seconds:.1f} s. Fitting.", flush=True)
    fitted = fitted_classifier.fit(found.features, found.labels, model.labels or (), model)
    deployable.write(folder, model, deployable.with_room(dict(base) | fitted.values, model))
    return fitted


def _open_data() -> tuple[Dataset, tuple[str, ...]]:
    """The photos, and the names of their classes."""
    dataset = open_dataset(FLAGS.dataset_dir, "train")
    if dataset.labels is None:
        raise ValueError(
            f"expected the names of the classes in {dataset.source}, one per line in labels.txt, "
            "got no such file; write one, or convert the photos with convert_images"
        )
    info = dataset_info.read(FLAGS.dataset_dir)
    if info is not None and "train" in info.class_counts:
        # Before the network takes a minute.
        counts = np.array(info.class_counts["train"])
        fitted_classifier.check_counts(counts, dataset.labels)
    return dataset, dataset.labels


def _find_checkpoint() -> Checkpoint:
    """The checkpoint with the base."""
    if FLAGS.fine_tune_checkpoint:
        return checkpoints.find(FLAGS.fine_tune_checkpoint)
    network = FLAGS.network or networks.DEFAULT
    shipped = shipped_networks.find(network)
    if shipped is None:
        raise ValueError(
            f"expected --fine_tune_checkpoint with --network={network}, since only the weights of "
            f"{', '.join(shipped_networks.NETWORKS)} come with the build, got none"
        )
    return checkpoints.find(shipped)


def _describe_base(checkpoint: Checkpoint) -> str:
    return f"the weights of {checkpoint}" if FLAGS.fine_tune_checkpoint else "its published weights"


def _model(checkpoint: Checkpoint, dataset: Dataset, names: tuple[str, ...]) -> ModelConfig:
    """The network to make, except whether it is quantised."""
    shown = networks.of_variables(checkpoint.shapes)
    name = FLAGS.network or (networks.DEFAULT if shown is None else shown.name)
    if shown is None or shown.name != name:
        raise ValueError(
            f"expected a checkpoint of {name}, got {checkpoint}, which is one of "
            f"{'another network' if shown is None else shown.name}; leave --network out, or name "
            "another checkpoint"
        )
    known = model_config.read(checkpoint.folder) or ModelConfig(
        network=name, image_size=networks.get(name).image_size
    )
    given = program.given(["image_size", "depth_multiplier"])
    return ModelConfig(
        network=name,
        image_size=given.get("image_size", known.image_size),
        depth_multiplier=given.get("depth_multiplier", known.depth_multiplier),
        num_classes=len(names),
        labels=names,
        dataset=dataset.source,
    )


def _report(fitted: Fitted, seconds: str) -> None:
    held_out = fitted.held_out
    if held_out is None:
        print(
            f"Embedding: weight {fitted.weight:g} of the covariance within classes, and scale "
            f"factor {fitted.scale_factor:g}, the defaults: most classes have only one photo, so "
            "that none can be held out to choose them."
        )
    else:
        tried = ", ".join(f"{w:g}: {a:.1%}" for w, a in held_out.accuracies.items())
        print(
            f"Embedding: weight {fitted.weight:g} of the covariance within classes, chosen by "
            f"cross-validation ({tried}).",
            f"Accuracy on {len(held_out.labels):,} photos, each held out once: "
            f"{held_out.accuracies[fitted.weight]:.1%}; calibration error "
            f"{fitted.calibration_error:.3f} with the scale factor {fitted.scale_factor:g}.",
            sep="\n",
        )
    print(
        f"Written to {FLAGS.output_dir}",
        seconds,
        f"Next: ./bazelw run eval -- --checkpoint_dir={FLAGS.output_dir} "
        f"--dataset_dir={FLAGS.dataset_dir}",
        sep="\n",
    )


if __name__ == "__main__":
    runner.run(main)
