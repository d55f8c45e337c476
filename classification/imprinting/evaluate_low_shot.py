"""Measures what a few photos of each new class come to, by imprinting and by other ways.

  ./bazelw run evaluate_low_shot -- --model=MODEL.tflite --base_dir=BASE --novel_dir=NOVEL \
      --output_dir=REPORT

MODEL is a quantised classifier of the base classes, whose names it carries. BASE and NOVEL hold
photos in class folders, which stand in folders `train` and `test` (or `validation`): of the base's
classes, and of others. Of each novel class, n of the train photos are drawn, for several n and
seeds; test photos are then named by what was learned of these.

Printed are four accuracies: of the novel classes' photos with these alone to choose from and with
all, of the base's with all to choose from, and of all; REPORT gets them as CSV, each draw, and as
a plot. "deployed" is what the .tflite itself does; all others compute class vectors and cosines
in float, from the .tflite's embeddings, so that imprinting beside it tells what the last layers'
quanta cost. With --views above 1, templates are also averaged over parts of each photo.
"""

import os
import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl import flags

from classification import files, program
from classification.data import image_folder
from classification.imprinting import deployed, embedding_cache, low_shot, low_shot_report
from classification.imprinting.low_shot import Embedded, Method, Task
from classification.imprinting.low_shot_report import Trial
from classification.progress_bar import ProgressBar
from transforms.tflite import metadata, model_file
from transforms.tflite.imprinting import ImprintingEngine
from transforms.tflite.model_graph import Model

FLAGS = flags.FLAGS

flags.DEFINE_string("model", "", "The .tflite: a quantised classifier of the base classes.")
flags.DEFINE_string("base_dir", "", "Photos of the base classes: train and test folders.")
flags.DEFINE_string("novel_dir", "", "Photos of the novel classes: likewise.")
flags.DEFINE_string("output_dir", "", "Folder for the report; none is written where it is empty.")
flags.DEFINE_string(
    "cache_dir", "", "Folder in which embeddings are kept, by the contents of model and photos."
)
flags.DEFINE_list("shots", ["1", "2", "5", "10", "20"], "Photos of each novel class to learn from.")
flags.DEFINE_integer("num_seeds", 20, "How often photos are drawn, for each number of them.")
flags.DEFINE_integer("views", 1, "Parts of each photo that templates may be averaged over.")

FILES = ("low_shot.csv", "low_shot.png")


class _Split(NamedTuple):
    """Photos of one split, base and novel classes in one."""

    paths: list[str]
    labels: list[int]


def main() -> None:
    """Embeds all photos, measures, prints and writes the report."""
    for name in ("model", "base_dir", "novel_dir"):
        if not FLAGS[name].value:
            raise ValueError(f"expected a path as --{name}, got none; --help tells what of")
    shots, num_seeds = _shots(), FLAGS.num_seeds
    for name, value in (("num_seeds", num_seeds), ("views", FLAGS.views)):
        if value < 1:
            raise ValueError(f"expected --{name} to be at least 1, got {value}")
    if FLAGS.output_dir:
        files.check_replaceable(FLAGS.output_dir, FILES)
    # About damaged EXIF data, large images and the like: nothing that users must mend.
    warnings.filterwarnings("ignore", module="PIL")
    model, base_names = _read(FLAGS.model)
    splits, num_classes = _find(base_names)
    with ProgressBar() as progress:
        train, test = (
            _embed(model, splits[split], views, progress.show)
            for split, views in (("train", FLAGS.views), ("test", 1))
        )
    vectors, scale = deployed.base_vectors(model), deployed.scale_factor(model)
    methods = _methods(model)
    trials = []
    for name, method in methods.items():
        for n in shots:
            for seed in range(num_seeds):
                examples = low_shot.draw(train, num_base=len(base_names), shots=n, seed=seed)
                task = Task(vectors, examples, num_classes, scale, seed)
                scores = method(task)(test.plain)
                found = low_shot.accuracies(scores, test.labels, num_base=len(base_names))
                trials.append(Trial(name, n, seed, found))
    is_base = test.labels < len(base_names)
    right = (test.plain[is_base] @ vectors.T).argmax(axis=1) == test.labels[is_base]
    base_alone = float(right.mean())
    low_shot_report.show(trials, base_alone=base_alone)
    if FLAGS.output_dir:
        with files.whole_folder(FLAGS.output_dir, FILES) as partial:
            contents = (
                low_shot_report.to_csv(trials),
                low_shot_report.plot(trials, base_alone=base_alone),
            )
            for name, data in zip(FILES, contents, strict=True):
                files.write_whole(os.path.join(partial, name), data)
        print(f"Written: {', '.join(os.path.join(FLAGS.output_dir, name) for name in FILES)}")


def _shots() -> list[int]:
    try:
        shots = sorted({int(n) for n in FLAGS.shots})
    except ValueError:
        shots = []
    if not shots or shots[0] < 1:
        raise ValueError(
            f"expected numbers of at least 1 as --shots, as in 1,5,20, got {','.join(FLAGS.shots)}"
        )
    return shots


def _read(path: str) -> tuple[Model, tuple[str, ...]]:
    with open(path, "rb") as file:
        data = file.read()
    try:
        model = model_file.parse(data)
        # Refuses what cannot be imprinted into.
        ImprintingEngine(model, keep_classes=True)
        labels = metadata.labels_of(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if labels is None:
        raise ValueError(
            f"{path}: expected a model that carries its classes' names, got one without labels; "
            "./bazelw build frozen_tflite makes one of a checkpoint whose model.json has them"
        )
    return model, labels


def _find(base_names: tuple[str, ...]) -> tuple[Mapping[str, _Split], int]:
    """The photos, by split, and how many classes there are."""
    labels = {name: label for label, name in enumerate(base_names)}
    splits = {"train": _Split([], []), "test": _Split([], [])}
    for flag, path in (("base_dir", FLAGS.base_dir), ("novel_dir", FLAGS.novel_dir)):
        folder = image_folder.scan(path)
        for name in folder.class_names:
            if (name in base_names) != (flag == "base_dir"):
                raise ValueError(
                    f"expected {'the' if flag == 'base_dir' else 'none of the'} classes of "
                    f"{FLAGS.model} in --{flag}, got {name}"
                )
            labels.setdefault(name, len(labels))
        for split, found in splits.items():
            for image in folder.splits["train" if split == "train" else "validation"]:
                found.paths.append(os.path.join(folder.path, image.name))
                found.labels.append(labels[folder.class_names[image.label]])
    return splits, len(labels)


def _embed(
    model: Model, split: _Split, views: int, on_progress: Callable[[int, int], None]
) -> Embedded:
    embeddings, bad = embedding_cache.embed(
        model, split.paths, views=views, folder=FLAGS.cache_dir, on_progress=on_progress
    )
    if bad:
        described = [f"{split.paths[index]}: {why}" for index, why in sorted(bad.items())]
        raise ValueError(
            f"expected photos that can be read, got {len(bad)} that cannot "
            f"({image_folder.shorten(described)}); mend or remove them"
        )
    return Embedded(embeddings, np.array(split.labels))


def _methods(model: Model) -> dict[str, Method]:
    """What is compared; where there are views, those that average over them beside the others."""
    imprint = deployed.Deployed(model)
    methods: dict[str, Method] = {"imprinting, deployed": imprint, **low_shot.METHODS}
    methods = {name: _of_whole(method) for name, method in methods.items()}
    if FLAGS.views > 1:
        methods["imprinting, augmented, deployed"] = imprint
        methods["imprinting, augmented"] = low_shot.imprint
    return methods


def _of_whole(method: Method) -> Method:
    """A method that is given each photo as evaluation sees it, alone."""

    def learn(task: Task) -> low_shot.Classifier:
        plain = Embedded(task.examples.plain, task.examples.labels)
        return method(Task(task.base_vectors, plain, task.num_classes, task.scale, task.seed))

    return learn


if __name__ == "__main__":
    program.run(main)
