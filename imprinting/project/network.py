"""The network of a project: what it computes from photos, and a classifier with the user's classes.

What it computes is kept as quanta, so that classes can be changed without looking at photos again.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from imprinting.embedding import unit_vectors
from imprinting.new_classes import class_names
from imprinting.photos.pixel_reader import PixelReader, Source
from imprinting.project.records import Computed
from imprinting.tflite import (
    class_vectors,
    embedding_layer,
    imprint_target,
    inference,
    metadata,
    model_file,
    model_graph,
    split,
)
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.inference import Kernels, Runner
from imprinting.tflite.model_graph import Model

_TYPES = {"UINT8": np.uint8, "INT8": np.int8}


class NewClass(NamedTuple):
    """A class to imprint.

    Attributes:
      name: its name.
      embeddings: those of its photos, float [n, d], of unit length.
    """

    name: str
    embeddings: np.ndarray


class Built(NamedTuple):
    """A classifier.

    Attributes:
      tflite_model: the classifier.
      names: of its classes, in order.
      num_kept: how many of these, the first ones, are the network's own.
      base: the bytes of the network's file.
    """

    tflite_model: Model
    names: tuple[str, ...]
    num_kept: int
    base: bytes

    def file(self) -> bytes:
        """The bytes of its .tflite, with its labels."""
        return metadata.extend(self.tflite_model, self.names, data=self.base)


class Network:
    """A quantised classifier that accepts new classes. Several threads may use it.

    Attributes:
      data: the bytes of its file.
      labels: the names of its own classes, in order.
      classifier: the model in `data`.
      crop: which part of a photo it takes.
      image_size: height and width of its input, in pixels.
    """

    def __init__(self, data: bytes, *, workers: int | None = None) -> None:
        """Reads the network.

        Args:
          data: the bytes of a complete .tflite.
          workers: how many photos are computed at the same time; None for one per processor.

        Raises:
          ValueError: if the model is damaged or cannot be imprinted into.
        """
        tflite_model = inference.verify(data, compiled=False)
        metadata.check(tflite_model, data)
        target = imprint_target.read(tflite_model, None)
        engine = ImprintingEngine(target.classifier, keep_classes=True)
        names, _ = class_names.of(data, tflite_model, engine.num_classes)
        self.data, self.labels, self.classifier = data, tuple(names), target.classifier
        self.crop = target.crop
        self.tensors = [split.at_embedding(tflite_model).place]
        with contextlib.suppress(ValueError):
            self.tensors.append(embedding_layer.read(tflite_model).features.index)
        extractor = split.before(tflite_model, self.tensors)
        graph = model_graph.graph(extractor)
        self._outputs = graph.outputs
        self.image_size = graph.inputs[0].shape[1]
        self._reader = PixelReader(self.image_size, self.crop)
        self._free: queue.SimpleQueue[Runner] = queue.SimpleQueue()
        extractor_data = model_file.serialise(extractor)
        for _ in range(workers or os.cpu_count() or 1):
            self._free.put(Runner(extractor_data, kernels=Kernels.DEFAULT))
        self._fitted: tuple[str, Fitted] | None = None
        self._lock = threading.Lock()

    def compute(self, photo: Source, *, views: int = 1) -> Computed:
        """Computes the embedding of a photo, and the features before it.

        Args:
          photo: the photo.
          views: of how many parts of it; see `PixelReader.read`.

        Raises:
          BadImageError: if it cannot be read.
        """
        pixels = self._reader.read(photo, views=views)
        runner = self._free.get()
        try:
            quanta = [np.stack(each) for each in zip(*map(runner.run, pixels), strict=True)]
        finally:
            self._free.put(runner)
        return Computed(views, quanta[0].tobytes(), quanta[-1].tobytes())

    def values(self, computed: Sequence[Computed], *, views: int) -> tuple[np.ndarray, np.ndarray]:
        """The embeddings and features of photos in real numbers, float32 [n, views, d] each.

        Args:
          computed: the results of `compute`, each with at least so many views.
          views: how many views of each.
        """
        both = []
        for number in (0, -1):
            output = self._outputs[number]
            kind, depth = _TYPES[output.type], output.shape[-1]
            quanta = np.zeros([len(computed), views, depth], kind)
            for row, each in zip(quanta, computed, strict=True):
                found = np.frombuffer(each.embeddings if number == 0 else each.features, kind)
                row[:] = found.reshape(-1, depth)[:views]
            both.append(output.dequantise(quanta))
        return both[0], both[1]

    def fitted(self, digest: str, read: Callable[[], bytes]) -> "Fitted":
        """This network with a fitted head; the last one that was asked for is kept in memory.

        Args:
          digest: that of the fitted network.
          read: returns the bytes of its file.

        Raises:
          ValueError: if it is damaged, or was not made from this network.
        """
        with self._lock:
            if self._fitted is None or self._fitted[0] != digest:
                self._fitted = digest, self._checked(Fitted(read()))
            return self._fitted[1]

    def _checked(self, fitted: "Fitted") -> "Fitted":
        """Raises a ValueError if a fitted network was not made from this one."""
        models = self.classifier, fitted.classifier
        shapes = [class_vectors.read(model).shape for model in models]
        features = [embedding_layer.read(model).features.index for model in models]
        extractors = [
            model_file.serialise(split.before(model, [index]))
            for model, index in zip(models, features, strict=True)
        ]
        if shapes[0] != shapes[1] or extractors[0] != extractors[1]:
            raise ValueError(
                "expected a fit of the project's network, got one of another network; fit again"
            )
        return fitted

    def build(
        self,
        new: Sequence[NewClass],
        *,
        keep_classes: bool,
        fitted: "Fitted | None" = None,
    ) -> Built:
        """Imprints classes.

        Args:
          new: the classes, at least one unless classes are kept. The network's class of the same
            name is left out.
          keep_classes: whether the network's own classes are kept.
          fitted: the network with a fitted head, if the embeddings are those of such a network.

        Raises:
          ValueError: if there is no class, or the photos of one have nothing in common.
        """
        classifier = self.classifier if fitted is None else fitted.classifier
        replaced = self.replaced([each.name for each in new])
        # An engine cannot be without any class in between.
        keep_classes = keep_classes and len(replaced) < len(self.labels)
        engine = ImprintingEngine(classifier, keep_classes=keep_classes)
        kept = list(self.labels) if keep_classes else []
        if keep_classes:
            for number in reversed(replaced):
                engine.remove(number)
                del kept[number]
        for each in new:
            engine.add(engine.num_classes, each.embeddings)
        names = (*kept, *(each.name for each in new))
        return Built(engine.build().tflite_model, names, len(kept), self.data)

    def replaced(self, names: Sequence[str]) -> list[int]:
        """The numbers of the network's classes that have one of the names, in order."""
        wanted = {_same(name) for name in names}
        return [number for number, label in enumerate(self.labels) if _same(label) in wanted]


class Fitted:
    """A network whose head was fitted to photos.

    Attributes:
      classifier: the model.
    """

    def __init__(self, data: bytes) -> None:
        """Reads it. Raises a ValueError if it is damaged."""
        self.classifier = inference.verify(data, compiled=False)
        layer = embedding_layer.read(self.classifier)
        # In float32: features are rounded to eight bits anyway.
        self._kernel = layer.kernel.astype(np.float32)
        self._biases = layer.biases.astype(np.float32)

    def embed(self, features: np.ndarray) -> np.ndarray:
        """The embeddings of features [..., d], of unit length."""
        return unit_vectors.unit(features @ self._kernel.T + self._biases)


def _same(name: str) -> str:
    """What two names that mean the same class have in common."""
    return " ".join(name.casefold().split())
