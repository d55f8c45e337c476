"""A classifier that learns classes from a few photos each; see `Model`."""

import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from imprinting.base import atomic_files, labels
from imprinting.inference import default_model
from imprinting.inference.photo_classifier import Answer
from imprinting.new_classes import class_names, photos
from imprinting.new_classes.embedding_fit import FitEmbedding
from imprinting.new_classes.photo_imprinting import Options
from imprinting.new_classes.tflite_network import ImprintedTflite, TfliteNetwork
from imprinting.photos.pixel_reader import PixelReader, Source
from imprinting.tflite import imprint_target, inference, metadata, model_file
from imprinting.tflite.head_runner import HeadRunner
from imprinting.tflite.imprinting import ImprintingEngine

UNKNOWN = "unknown"


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    labels_file: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    num_threads: int = 1,
) -> "Model":
    """Loads a classifier.

    Args:
      path: a quantised .tflite that the on-device imprinting engines accept, such as
        `imprinting imprint`, `imprinting graft` or this project's build makes; or one that was
        joined with an extractor compiled for the Edge TPU. None for EfficientNet-Lite0 with the
        1,000 classes of ImageNet, which comes with the package.
      labels_file: a file of the names of the classes, one per line. None for the names that the
        model carries; classes without one are named by their numbers.
      device: "cpu"; "usb" or "pci" for an Edge TPU; or the path of another delegate's library.
      num_threads: the number of the interpreter's threads, at least 1.

    Raises:
      OSError: if a file cannot be read.
      ValueError: if the model is damaged or cannot be imprinted into, if the names do not fit it,
        or if there is no such device.
    """
    path = os.fspath(path) if path is not None else default_model.path()
    names = labels.read(os.fspath(labels_file)) if labels_file is not None else None
    with open(path, "rb") as file:
        data = file.read()
    try:
        return Model(data, given_labels=names, device=device, num_threads=num_threads)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


class Model:
    """A classifier that learns classes from a few photos each, without training.

    A photo is the path of a JPEG, PNG, BMP, WebP or GIF file, the contents of such a file, an image
    of Pillow, or pixels: uint8 [height, width, 3] in RGB, or [height, width] in grey. It may have
    any size. What part of it the network sees, and how that is resized, is the same as in training,
    as the model's metadata says.

    Methods that change the model change it completely or not at all. A model may be used by one
    thread at a time.
    """

    def __init__(
        self,
        data: bytes,
        *,
        given_labels: Sequence[str] | None = None,
        device: str = "cpu",
        num_threads: int = 1,
    ) -> None:
        """Reads a model from the bytes of a .tflite; see `load`, which raises the same."""
        if num_threads < 1:
            raise ValueError(f"expected num_threads to be at least 1, got {num_threads}")
        self._delegate = inference.delegate(device)
        self._num_threads = num_threads
        self._read(data, given_labels)

    def _read(self, data: bytes, given: Sequence[str] | None = None) -> None:
        tflite_model = model_file.parse(data, compiled=True)
        if model_file.is_compiled(tflite_model) and self._delegate is None:
            raise ValueError(
                "expected a model that a processor can run, got one that is compiled for the Edge "
                'TPU; add device="usb" or device="pci"'
            )
        inference.verify(data)
        metadata.check(tflite_model, data)
        target = imprint_target.read(tflite_model, None)
        engine = ImprintingEngine(target.classifier, keep_classes=True)
        names, _ = class_names.of(data, engine.num_classes, given, source="the file of labels")
        runner = HeadRunner(target.classifier, delegate=self._delegate, threads=self._num_threads)
        reader = PixelReader(runner.image_size, target.crop)
        self._data, self._target, self._names = data, target, names
        self._classifier, self._runner, self._reader = target.classifier, runner, reader

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in order. Two classes may have the same name."""
        return tuple(self._names)

    @property
    def image_size(self) -> int:
        """Height and width of the network's input, in pixels."""
        return self._runner.image_size

    def classify(self, photo: Source, *, top: int = 5, threshold: float = 0.0) -> list[Answer]:
        """Classifies a photo.

        Args:
          photo: the photo.
          top: how many classes to return, at least 1.
          threshold: if the most probable class has a lower probability, the only answer is
            "unknown", with that probability; in [0, 1].

        Returns:
          The most probable classes, as (label, probability), the most probable first. Equally
          probable ones are in the order of the classes. Probabilities are multiples of 1/256.

        Raises:
          ValueError: if the photo cannot be read, or a number is out of range.
        """
        if top < 1:
            raise ValueError(f"expected top to be at least 1, got {top}")
        if not 0 <= threshold <= 1:
            raise ValueError(f"expected a threshold in [0, 1], got {threshold}")
        (pixels,) = self._reader.read(photo)
        probabilities = self._runner.run(pixels).probabilities
        best = np.argsort(-probabilities, kind="stable")[:top]
        if probabilities[best[0]] < threshold:
            return [Answer(UNKNOWN, float(probabilities[best[0]]))]
        return [Answer(self._names[i], float(probabilities[i])) for i in best]

    def embed(self, photo: Source) -> np.ndarray:
        """The embedding of a photo, float32 [d], of unit length up to rounding to 1/128.

        Raises:
          ValueError: if the photo cannot be read.
        """
        (pixels,) = self._reader.read(photo)
        return self._runner.run(pixels).embedding

    def imprint(self, label: str, photos: Source | Iterable[Source]) -> None:
        """Adds a class, or more photos to a class that was imprinted before.

        The class's vector becomes the mean of the embeddings of all its photos, scaled to unit
        length (Qi, Brown and Lowe, arXiv 1712.07136, section 3.2). This takes as long as
        classifying the photos.

        Args:
          label: the name of the class.
          photos: one photo or several.

        Raises:
          ValueError: if a photo cannot be read, there is none, the photos have nothing in common,
            the name is not a line of text, or a class with this name was trained.
        """
        found = _as_list(photos)
        if not found:
            raise ValueError(f"expected at least one photo of {label}, got none")
        label = _checked(label)
        embeddings = [self.embed(photo) for photo in found]
        engine = ImprintingEngine(self._classifier, keep_classes=True)
        numbers = [n for n, name in enumerate(self._names) if name == label]
        if len(numbers) > 1:
            raise _ambiguous(label, numbers)
        number = numbers[0] if numbers else engine.num_classes
        if numbers and not engine.is_imprinted(number):
            raise ValueError(
                f"expected a new class, or one that was imprinted, got {label}, class {number}, "
                "which was trained and cannot be changed; take another name"
            )
        engine.add(number, np.stack(embeddings))
        self._change(engine, self._names if numbers else [*self._names, label])

    def imprint_folder(
        self,
        folder: str | os.PathLike[str],
        *,
        fit: bool = True,
        keep_classes: bool = True,
        skip_bad_images: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> str:
        """Adds a class for each folder of photos in a folder; see `imprinting imprint --help`.

        Args:
          folder: contains a folder for each class, with the class's name and its photos.
          fit: whether the embedding and the scale factor are fitted to the photos, if that makes
            new classes more accurate in cross-validation.
          keep_classes: whether the model's classes stay, before the new ones.
          skip_bad_images: whether photos that cannot be read are left out.
          on_progress: called with the number of photos done and their total number.

        Returns:
          What was done and what to expect, in sentences.

        Raises:
          OSError: if there is no such folder.
          ValueError: if a folder has the name of a trained class, photos cannot be read or have
            nothing in common, or kept classes would hardly be recognised.
        """
        options = Options(
            keep_classes=keep_classes,
            fit_embedding=FitEmbedding.AUTO if fit else FitEmbedding.NEVER,
            fit_scale_factor=fit,
            skip_bad_images=skip_bad_images,
        )
        network = TfliteNetwork(self._bytes(), options, self._names, delegate=self._delegate)
        imprinted: ImprintedTflite = network.imprint(photos.find(os.fspath(folder)), on_progress)
        self._read(imprinted.tflite)
        return " ".join(filter(None, [imprinted.fit, imprinted.comparison]))

    def rename(self, old: str | int, new: str) -> None:
        """Gives a class another name.

        Args:
          old: its name or number.
          new: the new name; other classes may have it.

        Raises:
          ValueError: if there is no such class, there are several, or the new name is not a line
            of text.
        """
        number, name = self._number(old), _checked(new)
        self._names = [*self._names[:number], name, *self._names[number + 1 :]]

    def remove(self, label: str | int) -> None:
        """Removes a class; the classes after it move up by one.

        Args:
          label: its name or number.

        Raises:
          ValueError: if there is no such class, there are several, or it is the only one.
        """
        number = self._number(label)
        engine = ImprintingEngine(self._classifier, keep_classes=True)
        engine.remove(number)
        self._change(engine, [*self._names[:number], *self._names[number + 1 :]])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model as a .tflite, with its labels, completely or not at all.

        `load` and the on-device imprinting engines can continue with it.

        Raises:
          OSError: if it cannot be written.
        """
        atomic_files.write_atomically(os.fspath(path), self._bytes())

    def _bytes(self) -> bytes:
        changed = self._target.with_classes_of(self._classifier)
        return metadata.extend(changed, self._names, data=self._data)

    def _change(self, engine: ImprintingEngine, names: Sequence[str]) -> None:
        classifier = engine.build().tflite_model
        self._runner.replace_head(classifier)
        self._classifier, self._names = classifier, [*names]

    def _number(self, label: str | int) -> int:
        if isinstance(label, int):
            if not 0 <= label < len(self._names):
                raise ValueError(
                    f"expected the number of a class, 0..{len(self._names) - 1}, got {label}"
                )
            return label
        numbers = [number for number, name in enumerate(self._names) if name == label]
        if not numbers:
            raise ValueError(f"expected the name of a class, got {label!r}, which no class has")
        if len(numbers) > 1:
            raise _ambiguous(label, numbers)
        return numbers[0]


def _ambiguous(label: str, numbers: Sequence[int]) -> ValueError:
    return ValueError(
        f"expected the name of one class, got {label}, and classes {', '.join(map(str, numbers))} "
        "have it; give the number of one to `rename`"
    )


def _checked(label: str) -> str:
    name = labels.normalised(label)
    labels.check_names([name], "a model")
    if name != name.strip():
        raise ValueError(f"expected a label without space at either end, got {label!r}")
    return name


def _as_list(photos: Source | Iterable[Source]) -> list[Source]:
    is_one = isinstance(photos, (str, bytes, os.PathLike)) or hasattr(photos, "convert")
    if is_one or (isinstance(photos, np.ndarray) and photos.dtype != object and photos.ndim < 4):
        return [photos]  # type: ignore[list-item]
    return [*photos]  # type: ignore[misc]
