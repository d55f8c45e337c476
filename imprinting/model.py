"""A classifier that learns classes from a few photos each; see `Model`."""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from imprinting import arguments
from imprinting.base import atomic_files, labels
from imprinting.inference import default_model
from imprinting.inference.photo_classifier import Answer
from imprinting.new_classes import class_names, class_numbers, photos
from imprinting.new_classes.embedding_fit import FitEmbedding
from imprinting.new_classes.photo_imprinting import Options
from imprinting.new_classes.tflite_network import ImprintedTflite, TfliteNetwork
from imprinting.photos.photo_file import BadImageError
from imprinting.photos.pixel_reader import PixelReader, Source
from imprinting.tflite import imprint_target, inference, metadata, model_file
from imprinting.tflite.head_runner import HeadRunner
from imprinting.tflite.imprinting import ImprintingEngine


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
    threads, delegate = arguments.num_threads(num_threads), inference.delegate(device)
    with open(path, "rb") as file:
        data = file.read()
    try:
        return Model(data, given_labels=names, delegate=delegate, num_threads=threads)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


class Model:
    """A classifier that learns classes from a few photos each, without training.

    A photo is the path of a JPEG, PNG, BMP, WebP or GIF file, the contents of such a file, an image
    of Pillow, or pixels: uint8 [height, width, 3] in RGB, or [height, width] in grey. It may have
    any size. What part of it the network sees, and how that is resized, is the same as in training,
    as the model's metadata says.

    Methods that change the model change it completely or not at all. Several threads may use a
    model; they take turns.
    """

    def __init__(
        self,
        data: bytes,
        *,
        given_labels: Sequence[str] | None = None,
        delegate: Any = None,
        num_threads: int = 1,
    ) -> None:
        """Reads a model.

        Args:
          data: the bytes of a .tflite; see `load`, which raises the same.
          given_labels: the names of the classes; None for those that the model carries.
          delegate: see `inference.delegate`.
          num_threads: the number of the interpreter's threads, at least 1.
        """
        self._delegate = delegate
        self._num_threads = arguments.num_threads(num_threads)
        self._lock = threading.RLock()
        self._read(data, given_labels)

    def _read(self, data: bytes, given: Sequence[str] | None = None) -> None:
        tflite_model = inference.verify(data)
        if model_file.is_compiled(tflite_model) and self._delegate is None:
            raise ValueError(
                "expected a model that a processor can run, got one that is compiled for the Edge "
                'TPU; add device="usb" or device="pci"'
            )
        metadata.check(tflite_model, data)
        target = imprint_target.read(tflite_model, None)
        engine = ImprintingEngine(target.classifier, keep_classes=True)
        names, _ = class_names.of(
            data, tflite_model, engine.num_classes, given, source="the file of labels"
        )
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
        count, least = arguments.top(top), arguments.threshold(threshold)
        pixels = self._pixels(photo)
        with self._lock:
            probabilities, names = self._runner.run(pixels).probabilities, self._names
        best = np.argsort(-probabilities, kind="stable")[:count]
        if probabilities[best[0]] < least:
            return [Answer(arguments.UNKNOWN, float(probabilities[best[0]]))]
        return [Answer(names[i], float(probabilities[i])) for i in best]

    def embed(self, photo: Source) -> np.ndarray:
        """The embedding of a photo, float32 [d], of unit length up to rounding to 1/128.

        Raises:
          ValueError: if the photo cannot be read.
        """
        pixels = self._pixels(photo)
        with self._lock:
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
        name, found = arguments.label(label), arguments.photos(photos)
        if not found:
            raise ValueError(f"expected at least one photo of {name}, got none")
        images = [self._pixels(photo, index) for index, photo in enumerate(found)]
        with self._lock:
            embeddings = np.stack([self._runner.run(image).embedding for image in images])
            engine = ImprintingEngine(self._classifier, keep_classes=True)
            (number,) = class_numbers.assign(
                [name], engine, self._names, are_folders=False
            ).values()
            engine.add(number, embeddings)
            is_new = number == len(self._names)
            self._change(engine, [*self._names, name] if is_new else self._names)

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
        fits = arguments.switch(fit, "fit")
        options = Options(
            keep_classes=arguments.switch(keep_classes, "keep_classes"),
            fit_embedding=FitEmbedding.AUTO if fits else FitEmbedding.NEVER,
            fit_scale_factor=fits,
            skip_bad_images=arguments.switch(skip_bad_images, "skip_bad_images"),
        )
        with self._lock:
            network = TfliteNetwork(self._bytes(), options, self._names, delegate=self._delegate)
            found = photos.find(os.fsdecode(folder))
            imprinted: ImprintedTflite = network.imprint(found, on_progress)
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
        name = arguments.label(new)
        with self._lock:
            number = arguments.class_number(old, self._names)
            self._names = [*self._names[:number], name, *self._names[number + 1 :]]

    def remove(self, label: str | int) -> None:
        """Removes a class; the classes after it move up by one.

        Args:
          label: its name or number.

        Raises:
          ValueError: if there is no such class, there are several, or it is the only one.
        """
        with self._lock:
            number = arguments.class_number(label, self._names)
            engine = ImprintingEngine(self._classifier, keep_classes=True)
            engine.remove(number)
            self._change(engine, [*self._names[:number], *self._names[number + 1 :]])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model as a .tflite, with its labels, completely or not at all.

        `load` and the on-device imprinting engines can continue with it.

        Raises:
          OSError: if it cannot be written.
          ValueError: if the path is empty.
        """
        place = os.fspath(path)
        if not place:
            raise ValueError("expected the path of a file to write, got an empty one")
        with self._lock:
            data = self._bytes()
        atomic_files.write_atomically(place, data)

    def _bytes(self) -> bytes:
        changed = self._target.with_classes_of(self._classifier)
        return metadata.extend(changed, self._names, data=self._data)

    def _change(self, engine: ImprintingEngine, names: Sequence[str]) -> None:
        classifier = engine.build().tflite_model
        self._runner.replace_head(classifier)
        self._classifier, self._names = classifier, [*names]

    def _pixels(self, photo: Source, index: int | None = None) -> np.ndarray:
        """What the network sees of a photo, uint8 [image_size, image_size, 3]."""
        try:
            (pixels,) = self._reader.read(photo)
        except BadImageError as error:
            raise ValueError(
                f"expected a photo that can be read, got {arguments.described(photo, index)}: "
                f"{error}"
            ) from error
        return pixels
