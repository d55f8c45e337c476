"""Trials of low-shot learning: each draw of photos, learned by each method.

In a notebook, with a .tflite that carries the names of its classes:

  sources = [embedding_sources.of_model("model.tflite")]
  results = trials.run(sources, "base", "novel", Settings(shots=(1, 5), num_seeds=3))
  low_shot_report.show(results)
"""

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from classification.low_shot import (
    embedding_cache,
    embedding_sources,
    fitted_method,
    labelled_photos,
    protocol,
)
from classification.low_shot.embedded import Embedded
from classification.low_shot.embedding_sources import Source
from classification.low_shot.labelled_photos import LabelledPhotos
from classification.low_shot.protocol import Method, Results, Task, Trial
from imprinting.photos import image_folder

_IMPRINTING, _DEPLOYED, _FITTED = "imprinting", "imprinting, deployed", "imprinting, fitted"

# Called with the number of photos that are done, and of all photos.
OnProgress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
      shots: numbers of photos of each novel class to learn from, in increasing order.
      num_seeds: how often photos are drawn, for each number of them.
      views: parts of each photo that templates may be averaged over, and an embedding fitted to.
      skip_bad_images: whether photos that cannot be read are skipped; otherwise they are an error.
      cache_dir: a folder in which embeddings are kept; '' keeps none.
    """

    shots: tuple[int, ...] = (1, 2, 5, 10, 20)
    num_seeds: int = 20
    views: int = 1
    skip_bad_images: bool = False
    cache_dir: str = ""

    def __post_init__(self) -> None:
        if not self.shots or min(self.shots) < 1:
            raise ValueError(
                "expected numbers of at least 1 as --shots, as in 1,5,20, got "
                f"{','.join(map(str, self.shots))}"
            )
        for name in ("num_seeds", "views"):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"expected --{name} to be at least 1, got {value}")


class _Compared(NamedTuple):
    """A method, and whether it learns the novel classes alone differently than next to others."""

    method: Method
    differs_alone: bool


def _say_nothing(text: str) -> None:
    del text


def run(
    sources: Sequence[Source],
    base_dir: str,
    novel_dir: str,
    settings: Settings,
    *,
    network: str = "the network",
    say: Callable[[str], None] = _say_nothing,
    on_progress: OnProgress | None = None,
) -> Results:
    """Computes the embeddings of all photos, and learns from every draw by every method.

    All methods are measured on the first source; on the others, imprinting alone, which shows what
    quantisation costs.

    Args:
      sources: networks of the same base classes; at least one.
      base_dir: photos of the base classes; see `labelled_photos.find`.
      novel_dir: photos of the novel classes, likewise.
      settings: what is measured.
      network: what errors call the network.
      say: called with lines about the photos.
      on_progress: see `OnProgress`.

    Raises:
      OSError: if a folder or a file cannot be read.
      ValueError: if the sources are of different classes, photos are missing or cannot be read, or
        a class has too few.
    """
    for source in sources[1:]:
        if source.labels != sources[0].labels:
            raise ValueError(
                "expected networks of the same classes, got different ones in "
                f"{sources[0].path} and {source.path}"
            )
    with tempfile.TemporaryDirectory() as scratch:
        splits, names = labelled_photos.find(
            base_dir, novel_dir, sources[0].labels, network=network, scratch=scratch
        )
        for split, purpose in (("train", "learn from"), ("test", "test with")):
            say(f"Photos to {purpose}: {' and '.join(splits[split].sources)}.")
        embedded = _embed_all(sources, splits, names, settings, say, on_progress)
    trials: list[Trial] = []
    alone: dict[str, float] = {}
    for source, (train, test) in zip(sources, embedded, strict=True):
        is_first = source is sources[0]
        methods = _methods(source, settings.views) if is_first else _imprinting(source)
        trials += _measure(source, methods, train, test, len(names), settings)
        base = test.of_classes(0, len(source.labels))
        alone[source.name] = protocol.accuracy(source.classify, base)
    return Results(trials, alone, _steps(sources))


def _embed_all(
    sources: Sequence[Source],
    splits: dict[str, LabelledPhotos],
    names: Sequence[str],
    settings: Settings,
    say: Callable[[str], None],
    on_progress: OnProgress | None,
) -> list[tuple[Embedded, Embedded]]:
    """The embeddings that each source computes of the photos of train and of test."""
    num_base, most = len(sources[0].labels), max(settings.shots)
    labelled_photos.check_shots(splits["train"], names, num_base=num_base, shots=most)
    embedded = []
    for source in sources:

        def embed(split: str, views: int, source: Source = source) -> Embedded:
            found, splits[split] = _embed(source, splits[split], views, settings, say, on_progress)
            return found

        # For further networks, complete photos are enough.
        train = embed("train", settings.views if source is sources[0] else 1)
        test = embed("test", 1)
        labelled_photos.check_shots(splits["train"], names, num_base=num_base, shots=most)
        labelled_photos.check_tests(splits["test"], num_base=num_base)
        embedded.append((train, test))
    return embedded


def _embed(
    source: Source,
    photos: LabelledPhotos,
    views: int,
    settings: Settings,
    say: Callable[[str], None],
    on_progress: OnProgress | None,
) -> tuple[Embedded, LabelledPhotos]:
    """The embeddings of the photos that can be read, and these photos."""
    embeddings = embedding_cache.embed(
        lambda paths: source.compute(paths, views=views),
        photos.paths,
        key=f"{views} ".encode() + source.key,
        folder=settings.cache_dir,
        on_progress=on_progress,
    )
    bad = embeddings.bad
    described = image_folder.shorten(
        f"{photos.names[index]}: {why}" for index, why in sorted(bad.items())
    )
    if bad and not settings.skip_bad_images:
        raise ValueError(
            f"expected photos that can be read, got {len(bad)} that cannot ({described}); repair "
            "or remove them, or skip them with --skip_bad_images"
        )
    if bad:
        say(f"Skipped because they cannot be read: {len(bad):,} ({described}).")
    kept = labelled_photos.without(photos, bad)
    rows = embeddings.rows[embeddings.rows >= 0]
    return Embedded(embeddings.values, np.array(kept.labels), rows), kept


def _measure(
    source: Source,
    methods: Mapping[str, _Compared],
    train: Embedded,
    test: Embedded,
    num_classes: int,
    settings: Settings,
) -> list[Trial]:
    """Learns from every draw by every method."""
    num_base = len(source.labels)
    found = []
    for name, (method, differs_alone) in methods.items():
        for n in settings.shots:
            for seed in range(settings.num_seeds):
                examples = protocol.draw(train, num_base=num_base, shots=n, seed=seed)
                task = Task(source.vectors, examples, num_classes, source.scale, seed)
                accuracies = protocol.measure(
                    method(task),
                    test,
                    num_base=num_base,
                    # Among all classes, quanta do not separate the novel ones from each other; a
                    # model of the novel classes alone does. A fit may also change more if no base
                    # classes suffer from it.
                    classify_novel=method(task.without_base()) if differs_alone else None,
                )
                found.append(Trial(name, n, seed, accuracies))
    return found


def _methods(source: Source, views: int) -> dict[str, _Compared]:
    """The methods: of whole photos, with several views also the mean over them, and fitted."""
    own: dict[str, _Compared] = {}
    if source.deployed is not None:
        own[_DEPLOYED] = _Compared(source.deployed, True)
    methods = {name: _Compared(method, False) for name, method in protocol.METHODS.items()}
    compared = {
        name: _Compared(_of_whole(method), differs_alone)
        for name, (method, differs_alone) in {**own, **methods}.items()
    }
    if views > 1:
        for name, method in {**own, _IMPRINTING: methods[_IMPRINTING]}.items():
            compared[name.replace(_IMPRINTING, f"{_IMPRINTING}, augmented")] = method
    # Like `imprint`, it uses all views that there are: they tell what varies within a photo.
    compared[_FITTED] = _Compared(fitted_method.imprint_fitted, True)
    return compared


def _imprinting(source: Source) -> dict[str, _Compared]:
    """The method that is measured on further networks: it shows what quantisation costs."""
    return {f"{_IMPRINTING}, {source.name}": _Compared(protocol.imprint, False)}


def _steps(sources: Sequence[Source]) -> list[tuple[str, str]]:
    """The steps of quantisation, one after another, and the method that is measured after each."""
    names = [_IMPRINTING, *(f"{_IMPRINTING}, {source.name}" for source in sources[1:])]
    found = {source.name: name for source, name in zip(sources, names, strict=True)}
    unrounded = found.get(embedding_sources.UNROUNDED)
    steps = [
        ("", unrounded),
        ("rounding of activations", found.get("checkpoint")),
        # A network that was trained in float is a different one.
        (
            "conversion to a .tflite" if unrounded else "quantised training and conversion",
            found.get(".tflite"),
        ),
        ("rounding in its last layers", _DEPLOYED if sources[0].deployed else None),
    ]
    return [(what, method) for what, method in steps if method]


def _of_whole(method: Method) -> Method:
    """A method that gets only the first view of each photo, which is the one of evaluation."""

    def learn(task: Task) -> protocol.Classifier:
        return method(dataclasses.replace(task, examples=task.examples.whole))

    return learn
