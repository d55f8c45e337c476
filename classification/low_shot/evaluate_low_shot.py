r"""Measures what a few photos of each new class come to, by imprinting and by other ways.

  ./bazelw run evaluate_low_shot -- --model=MODEL.tflite --base_dir=BASE --novel_dir=NOVEL \
      --output_dir=REPORT

MODEL is a quantised classifier of the base classes, whose names it carries; --checkpoint names a
network as training has it, instead or besides. BASE and NOVEL hold photos of the base's classes,
and of others: in class folders, which stand in folders `train` and `test` (or `validation`, by any
usual name), or as TFRecords and labels.txt, as `./bazelw run convert_images` writes them. Of each
novel class, n of the train photos are drawn, for several n and seeds; test photos are then named
by what was learned of these.

Printed are four accuracies: of the novel classes' photos with these alone to choose from and with
all, of the base's with all to choose from, and of all; REPORT gets them as CSV, each draw, and as
a plot. "deployed" is what the .tflite itself does; all others compute class vectors and cosines in
float, from the network's embeddings. Fine-tuning is that of all class vectors; the rest of the
network stays as it is.

With --views above 1, templates are also averaged over parts of each photo.

What quantisation costs imprinting is told step by step, as far as there are networks to compare.
Of a quantised checkpoint, "float activations" are not rounded, though they stay in their ranges;
next, they are rounded, as in training; with --model besides, the base's class vectors are
rounded too, and the .tflite computes the embeddings; last, it computes all of it, "deployed".
Kernels before the embedding are quantised in all of these: for what that costs, let --checkpoint
name a network that was trained in float.
"""

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl import flags

from classification.base import runner
from classification.base.progress_bar import ProgressBar
from classification.images import image_folder
from classification.low_shot import (
    embedding_cache,
    embedding_sources,
    labelled_photos,
    low_shot_report,
    protocol,
)
from classification.low_shot.embedding_sources import Source
from classification.low_shot.labelled_photos import LabelledPhotos
from classification.low_shot.low_shot_report import Trial
from classification.low_shot.protocol import Embedded, Method, Task
from classification.nets import model_flags
from transforms.base import atomic_files, path_flags, program

FLAGS = flags.FLAGS

path_flags.define("model", "", "The .tflite: a quantised classifier of the base classes.")
path_flags.define(
    "checkpoint",
    "",
    "A folder of checkpoints of the base classes, of which the newest is taken, or a prefix.",
)
path_flags.define(
    "base_dir",
    "",
    "Photos of the base classes: train and test folders, or TFRecords, which are unpacked where "
    "temporary files go.",
)
path_flags.define("novel_dir", "", "Photos of the novel classes: likewise.")
path_flags.define("output_dir", "", "Folder for the report; none is written where it is empty.")
path_flags.define(
    "cache_dir", "", "Folder in which embeddings are kept, by the contents of model and photos."
)
flags.DEFINE_list("shots", ["1", "2", "5", "10", "20"], "Photos of each novel class to learn from.")
flags.DEFINE_integer("num_seeds", 20, "How often photos are drawn, for each number of them.")
flags.DEFINE_integer("views", 1, "Parts of each photo that templates may be averaged over.")
flags.DEFINE_boolean(
    "skip_bad_images",
    False,
    "Leave out photos that cannot be read, and list them. Otherwise they are an error.",
)

_IMPRINTING, _DEPLOYED = "imprinting", "imprinting, deployed"

FILES = ("low_shot.csv", "low_shot.png")


class _Compared(NamedTuple):
    method: Method
    is_deployed: bool


def main() -> None:
    """Embeds all photos, measures, prints and writes the report."""
    program.require(("model", "checkpoint"), "base_dir", "novel_dir")
    shots, num_seeds = _shots(), FLAGS.num_seeds
    for name, value in (("num_seeds", num_seeds), ("views", FLAGS.views)):
        if value < 1:
            raise ValueError(f"expected --{name} to be at least 1, got {value}")
    described = model_flags.given()
    if described:
        raise ValueError(
            f"expected no --{next(iter(described))}: a .tflite, or the model.json beside a "
            "checkpoint, tells what network it is"
        )
    if FLAGS.output_dir:
        atomic_files.check_replaceable(FLAGS.output_dir, FILES)
    # About damaged EXIF data, large images and the like: nothing that users must mend.
    warnings.filterwarnings("ignore", module="PIL")
    sources = _sources()
    embedded, num_classes = _embed_all(sources, max(shots))
    trials: list[Trial] = []
    alone: dict[str, float] = {}
    for source, (train, test) in zip(sources, embedded, strict=True):
        methods = _methods(source) if source is sources[0] else _imprinting(source)
        trials += _measure(source, methods, train, test, num_classes, shots, num_seeds)
        is_base = test.labels < len(source.labels)
        named = source.classify(test.plain[is_base]).argmax(axis=1)
        alone[source.name] = float((named == test.labels[is_base]).mean())
    low_shot_report.show(trials, base_alone=alone, steps=_steps(sources))
    if FLAGS.output_dir:
        with atomic_files.atomic_folder(FLAGS.output_dir, FILES) as partial:
            contents = (
                low_shot_report.to_csv(trials),
                low_shot_report.plot(trials, base_alone=alone),
            )
            for name, data in zip(FILES, contents, strict=True):
                atomic_files.write_atomically(os.path.join(partial, name), data)
        print(f"Written: {', '.join(os.path.join(FLAGS.output_dir, name) for name in FILES)}")


def _measure(
    source: Source,
    methods: Mapping[str, _Compared],
    train: Embedded,
    test: Embedded,
    num_classes: int,
    shots: list[int],
    num_seeds: int,
) -> list[Trial]:
    """Learns from every draw by every method."""
    num_base = len(source.labels)
    trials = []
    for name, (method, is_deployed) in methods.items():
        for n in shots:
            for seed in range(num_seeds):
                examples = protocol.draw(train, num_base=num_base, shots=n, seed=seed)
                task = Task(source.vectors, examples, num_classes, source.scale, seed)
                found = protocol.accuracies(
                    method(task)(test.plain),
                    test.labels,
                    num_base=num_base,
                    # With base classes to choose from, quanta leave nothing of what lies between
                    # the novel ones: a model of these alone tells.
                    novel_scores=method(task.without_base())(test.plain) if is_deployed else None,
                )
                trials.append(Trial(name, n, seed, found))
    return trials


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


def _sources() -> list[Source]:
    """What --model and --checkpoint name, which is of the same classes."""
    sources = [embedding_sources.of_model(FLAGS.model)] if FLAGS.model else []
    if FLAGS.checkpoint:
        config = model_flags.resolve(FLAGS.checkpoint, {})
        sources += embedding_sources.of_checkpoint(FLAGS.checkpoint, config)
    for source in sources[1:]:
        if source.labels != sources[0].labels:
            raise ValueError(
                f"expected networks of the same classes, got others in {FLAGS.checkpoint} than in "
                f"{FLAGS.model}"
            )
    return sources


def _embed_all(
    sources: Sequence[Source], shots: int
) -> tuple[list[tuple[Embedded, Embedded]], int]:
    """What each source makes of the photos of train and of test, and how many classes there are."""
    with tempfile.TemporaryDirectory() as scratch, ProgressBar() as progress:
        splits, names = labelled_photos.find(
            FLAGS.base_dir,
            FLAGS.novel_dir,
            sources[0].labels,
            network=FLAGS.model or FLAGS.checkpoint,
            scratch=scratch,
        )
        for split, purpose in (("train", "learn from"), ("test", "test with")):
            print(f"Photos to {purpose}: {' and '.join(splits[split].sources)}.")
        num_base = len(sources[0].labels)
        labelled_photos.check_shots(splits["train"], names, num_base=num_base, shots=shots)
        embedded = []
        for source in sources:
            # Of further networks, photos as a whole will do.
            views = FLAGS.views if source is sources[0] else 1
            train, splits["train"] = _embed(source, splits["train"], views, progress.show)
            test, splits["test"] = _embed(source, splits["test"], 1, progress.show)
            labelled_photos.check_shots(splits["train"], names, num_base=num_base, shots=shots)
            labelled_photos.check_tests(splits["test"], num_base=num_base)
            embedded.append((train, test))
    return embedded, len(names)


def _embed(
    source: Source, photos: LabelledPhotos, views: int, on_progress: Callable[[int, int], None]
) -> tuple[Embedded, LabelledPhotos]:
    """The embeddings of photos, and those of the photos that can be read."""
    embeddings, bad = embedding_cache.embed(
        lambda paths: source.compute(list(paths), views=views, on_progress=on_progress),
        photos.paths,
        key=f"{views} ".encode() + source.key,
        folder=FLAGS.cache_dir,
    )
    described = image_folder.shorten(
        f"{photos.names[index]}: {why}" for index, why in sorted(bad.items())
    )
    if bad and not FLAGS.skip_bad_images:
        raise ValueError(
            f"expected photos that can be read, got {len(bad)} that cannot ({described}); mend or "
            "remove them, or leave them out by --skip_bad_images"
        )
    if bad:
        print(f"Left out, since unreadable: {len(bad):,} ({described}).")
    kept = labelled_photos.without(photos, bad)
    embeddings = np.delete(embeddings, list(bad), axis=0)
    return Embedded(embeddings, np.array(kept.labels)), kept


def _methods(source: Source) -> dict[str, _Compared]:
    """What is compared; where there are views, those that average over them beside the others."""
    own: dict[str, _Compared] = {}
    if source.deployed is not None:
        own[_DEPLOYED] = _Compared(source.deployed, True)
    methods = {name: _Compared(method, False) for name, method in protocol.METHODS.items()}
    compared = {
        name: _Compared(_of_whole(method), is_deployed)
        for name, (method, is_deployed) in {**own, **methods}.items()
    }
    if FLAGS.views > 1:
        for name, method in {**own, _IMPRINTING: methods[_IMPRINTING]}.items():
            compared[name.replace(_IMPRINTING, f"{_IMPRINTING}, augmented")] = method
    return compared


def _imprinting(source: Source) -> dict[str, _Compared]:
    """What of further networks is measured: what tells the cost of quantisation."""
    return {f"{_IMPRINTING}, {source.name}": _Compared(protocol.imprint, False)}


def _steps(sources: Sequence[Source]) -> list[tuple[str, str]]:
    """What quantisation does to a network, one thing after another, and the method that has it."""
    names = [_IMPRINTING, *(f"{_IMPRINTING}, {source.name}" for source in sources[1:])]
    found = {source.name: name for source, name in zip(sources, names, strict=True)}
    unrounded = found.get(embedding_sources.UNROUNDED)
    steps = [
        ("", unrounded),
        ("rounding of activations", found.get("checkpoint")),
        # A network that was trained in float is another one.
        (
            "conversion to a .tflite" if unrounded else "quantised training and conversion",
            found.get(".tflite"),
        ),
        ("rounding in its last layers", _DEPLOYED if sources[0].deployed else None),
    ]
    return [(what, method) for what, method in steps if method]


def _of_whole(method: Method) -> Method:
    """A method that is given each photo as evaluation sees it, alone."""

    def learn(task: Task) -> protocol.Classifier:
        plain = Embedded(task.examples.plain, task.examples.labels)
        return method(Task(task.base_vectors, plain, task.num_classes, task.scale, task.seed))

    return learn


if __name__ == "__main__":
    runner.run(main)
