"""Imprints classes from folders of photos into a checkpoint's network."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from classification.deployment import deployable, published_head
from classification.imprinting import checkpoint_head, checkpoint_imprinting
from classification.nets import networks
from classification.nets.checkpoint import Checkpoint
from classification.nets.l2norm_network import SCALE_FACTOR_START
from classification.nets.model_config import ModelConfig
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.new_classes import kept_classes, photo_imprinting
from imprinting.new_classes.computed import Computed
from imprinting.new_classes.photo_imprinting import Imprinted, OnProgress, Options
from imprinting.new_classes.photos import Photos
from imprinting.photos import unrelated_photos


@dataclasses.dataclass(frozen=True)
class ImprintedCheckpoint(Imprinted):
    """A checkpoint's network with new classes.

    Attributes:
      values: of its variables, by name.
      model: what the network is.
    """

    values: Mapping[str, np.ndarray]
    model: ModelConfig

    def write(self, path: str) -> None:
        """Writes a folder with the checkpoint, `model.json` and `labels.txt`."""
        deployable.write(path, self.model, self.values)


class CheckpointNetwork:
    """A checkpoint's network to imprint into: one of this project, or a published classifier."""

    def __init__(
        self, checkpoint: Checkpoint, model: ModelConfig, options: Options, labels_file: str = ""
    ):
        """Finds the names of the classes; the values are read by `imprint`.

        Args:
          checkpoint: the checkpoint.
          model: its network.
          options: how to imprint.
          labels_file: a file of the names of its classes, for `keep_classes`; '' means those of
            `model`, or of a labels.txt beside the checkpoint.

        Raises:
          OSError: if the file cannot be read.
          ValueError: if the names do not fit the network.
        """
        labels: tuple[str, ...] = tuple(map(str, range(model.num_classes)))
        if options.keep_classes:
            labels, _ = deployable.find_labels(labels_file, checkpoint.folder, model, flag="labels")
        self._checkpoint = checkpoint
        self._options = options
        self._labels = labels
        self._portable = deployable.portable(model, labels)

    def imprint(self, found: Photos, on_progress: OnProgress | None = None) -> ImprintedCheckpoint:
        """Imprints a class for each folder of photos.

        Args:
          found: the photos.
          on_progress: see `OnProgress`.

        Raises:
          ValueError: if the checkpoint cannot be read or is of another network, a folder has the
            name of one of its classes, photos cannot be read or have nothing in common, or kept
            classes would be lost.
        """
        options, model = self._options, self._portable
        if options.keep_classes:
            checkpoint_imprinting.check_new(found.classes, self._labels)
        values = published_head.read_any_values(self._checkpoint, model)
        if published_head.is_published(self._checkpoint) and not options.keep_classes:
            # Its own scale factor suits its own classes, of which there are far more.
            name = networks.get(model.network).names.scale_factor
            values[name] = np.array(SCALE_FACTOR_START, np.float32)
        views = options.num_views(found, fits=options.fits)
        computed = checkpoint_imprinting.compute(
            values, model, found.paths, views=views, on_progress=on_progress
        )
        readable = photo_imprinting.readable(found, computed.bad, options)
        others = Computed(np.zeros(0), np.zeros(0), {})
        if options.keep_classes:
            others = checkpoint_imprinting.compute(
                values, model, unrelated_photos.paths(), views=kept_classes.PARTS
            )
        values, embedding, fit_text = self._fit(values, computed, others, readable)
        new = computed.by_class(readable, embedding)
        comparison = ""
        if options.keep_classes:
            kept = checkpoint_imprinting.class_vectors(values, model)
            comparison = photo_imprinting.compare(kept, new, others.embedded(embedding), options)
        values, model = checkpoint_imprinting.imprint(
            values, model, self._labels, new, keep_classes=options.keep_classes
        )
        return ImprintedCheckpoint(
            model.labels or (),
            len(self._labels) if options.keep_classes else 0,
            len(found.names) - len(computed.bad),
            tuple(found.describe(computed.bad)),
            fit_text,
            comparison,
            values=values,
            model=model,
        )

    def _fit(
        self,
        values: dict[str, np.ndarray],
        computed: Computed,
        others: Computed,
        readable: Mapping[str, Sequence[int]],
    ) -> tuple[dict[str, np.ndarray], LinearEmbedding | None, str]:
        """The values with a fitted head, its embedding if it changed, and what was done."""
        options, model = self._options, self._portable
        if not options.fits:
            return values, None, ""
        try:
            head = checkpoint_head.read(values, model, keep_classes=options.keep_classes)
        except ValueError as error:
            return values, None, photo_imprinting.unchanged(error, options)
        fit, text = photo_imprinting.fit(computed, others.embeddings, readable, head, options)
        if fit is None:
            return values, None, text
        return checkpoint_head.fitted(values, model, fit), fit.embedding, text
