"""What classes can be imprinted into: a classifier, a compiled one, or the head of a pair."""

import dataclasses

from imprinting.base.photo_crop import Crop
from imprinting.tflite import join, metadata, model_file, model_graph, pairs, split
from imprinting.tflite.model_graph import Model


@dataclasses.dataclass(frozen=True)
class ImprintTarget:
    """A model to imprint classes into.

    Attributes:
      classifier: the model whose classes `imprinting.ImprintingEngine` changes.
      embedder: a model whose part up to the L2_NORMALIZATION computes the embeddings; None if only
        an Edge TPU can compute them, with `classifier`.
      crop: the part of a photo that the network takes.
      is_old: whether the model is of an old pair; see `pairs.OLD`.
    """

    classifier: Model
    embedder: Model | None
    crop: Crop
    is_old: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether the model computes embeddings itself, without a compiled part."""
        return self.embedder is self.classifier

    def with_classes_of(self, classifier: Model) -> Model:
        """Returns the model with the classes of a changed `classifier`.

        Everything before the head, and the metadata, is that of the original model.
        """
        return classifier


@dataclasses.dataclass(frozen=True)
class _HeadTarget(ImprintTarget):
    """A head, whose `classifier` was joined from it and the embedder.

    Attributes:
      original: the model.
      compiled: the compiled extractor before the head; None if the model is only the head.
    """

    original: Model = None
    compiled: Model | None = None

    @property
    def is_complete(self) -> bool:
        return False

    def with_classes_of(self, classifier: Model) -> Model:
        cut = split.at_embedding if self.is_old else split.split
        changed = cut(classifier).head
        if self.compiled is not None:
            changed = join.connect(self.compiled, changed)
        return metadata.copied(
            model_file.changed(changed, description=classifier.description), self.original
        )


def read(tflite_model: Model, embedder: Model | None) -> ImprintTarget:
    """Finds out what of a model is changed, and what computes its embeddings.

    Args:
      tflite_model: a classifier, which may be joined with a compiled extractor; or the head of a
        pair.
      embedder: for a compiled extractor or a head: the uncompiled extractor, or the classifier that
        it is a part of; otherwise None.

    Raises:
      ValueError: if the embedder is missing, unnecessary, or does not fit.
    """
    is_head = pairs.is_head(tflite_model)
    is_compiled = model_file.is_compiled(tflite_model)
    crop = metadata.crop_of(tflite_model)
    if embedder is None:
        return _without_embedder(tflite_model, crop, is_head=is_head, is_compiled=is_compiled)
    if not is_head and not is_compiled:
        raise ValueError(
            "expected --embedder only for a file with a compiled extractor or for a head, got it "
            "for a classifier that computes its own embeddings; leave it out"
        )
    if metadata.about(embedder) is not None:
        crop = metadata.crop_of(embedder)
    pair = None if is_head else pairs.parts(tflite_model)
    if pair is not None:
        _check_image(pair.extractor, embedder)
    joined = pairs.complete(embedder, tflite_model if pair is None else pair.head)
    full = joined.joined()
    if pair is not None and not pair.is_old:
        return ImprintTarget(tflite_model, full, crop)
    return _HeadTarget(
        full,
        full,
        crop,
        joined.is_old,
        original=tflite_model,
        compiled=None if pair is None else pair.extractor,
    )


def _without_embedder(
    tflite_model: Model, crop: Crop, *, is_head: bool, is_compiled: bool
) -> ImprintTarget:
    if is_head:
        raise ValueError(
            "expected --embedder with a head, which cannot compute embeddings, got only the head; "
            "add --embedder=NAME_extractor.tflite, or name a complete .tflite"
        )
    if not is_compiled:
        return ImprintTarget(tflite_model, tflite_model, crop)
    if pairs.parts(tflite_model).is_old:
        raise ValueError(
            "expected --embedder with a file that was joined from an old pair, got none; add "
            "--embedder=NAME_extractor.tflite, the extractor before it was compiled"
        )
    return ImprintTarget(tflite_model, None, crop)


def _check_image(compiled: Model, embedder: Model) -> None:
    """Checks that two models take the same images."""
    expected, found = (model_graph.graph(m).inputs for m in (compiled, embedder))
    if [*map(str, expected)] != [*map(str, found)]:
        raise ValueError(
            f"expected an embedder that takes what the compiled extractor takes, "
            f"{' and '.join(map(str, expected))}, got one that takes "
            f"{' and '.join(map(str, found)) or 'nothing'}; name the extractor that was compiled"
        )
