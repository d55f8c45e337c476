"""Makes a classifier of any origin one that new classes can be imprinted into, without training.

The last layer is replaced. The rows of its weights become class vectors of unit length; their
lengths and the biases are lost. With photos of all kinds, the embedding whitens the features
(`linear_embedding`), and the class vectors are those that say the same. With fewer photos, it is
the features minus their mean. Without photos, it is the features themselves.

The mean matters most next to old classes: features are often never negative, so without it,
embeddings of all images are similar, and so are all imprinted classes.

In a notebook:

  with open("in.tflite", "rb") as file:
      grafted = grafting.graft(file.read(), photo_paths.find(["photos"]).photos)
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from imprinting.base.photo_crop import Crop
from imprinting.embedding import linear_embedding, probabilities, unit_vectors
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.embedding.moments import Moments
from imprinting.new_classes import class_names, tflite_embedder
from imprinting.new_classes.photo_imprinting import OnProgress
from imprinting.photos import class_folders, unrelated_photos
from imprinting.tflite import graft as surgery
from imprinting.tflite import inference, last_layer, metadata, model_graph
from imprinting.tflite.last_layer import Cut
from imprinting.tflite.model_graph import Model

# With fewer photos, features minus their mean are at least as good as whitened ones. Of 500 photos
# of ImageNet, 40 whiten the features of a MobileNet V1 better than that (.774 instead of .764 right
# on other photos), and those of an EfficientNet-Lite0 a little worse (.812 instead of .818).
LEAST_WHITENED = 40
# Enough for a covariance; of more photos, so many are used, spread evenly.
MOST_PHOTOS = 4000
# A classifier that keeps fewer of its answers has lost its classes.
LEAST_SAME = 0.5
_NO_CLASSIFIER = (
    "expected a classifier, got a model that gives features, such as the extractor of a pair; name "
    "the complete .tflite"
)
# A matrix of so many rows and columns takes seconds to invert, and 16 MB in a file.
MOST_FEATURES = 4096
# Parts of each of the photographs that come with the project, to compare probabilities.
_PARTS = 32
# The range of the components of an embedding, in standard deviations.
_DEVIATIONS = 6.0
# The range of cosines, relative to the greatest: of photos of the classes, or of others.
_MARGIN, _MARGIN_OTHERS = 1.25, 2.0
# Numbers are rounded to so many decimal places, fewer than processors agree on.
_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Grafted:
    """A classifier with another head.

    Attributes:
      tflite: the file's bytes.
      names: of its classes, in order.
      num_unnamed: how many of these have no names, and are named by their numbers.
      num_features: the number of features.
      embedding: what the embedding is, as part of a sentence.
      scale_factor: the factor of the cosines.
      num_photos: the number of photos that could be read.
      same: the fraction of the photos with the same most probable class as before, in real numbers;
        None without photos.
      unreadable: the photos that were left out, and why.
      input_range: the real numbers that the network takes for the pixels 0 and 255, if they are
        unusual; otherwise None. See `last_layer.Cut.has_usual_input`.
    """

    tflite: bytes
    names: tuple[str, ...]
    num_unnamed: int
    num_features: int
    embedding: str
    scale_factor: float
    num_photos: int
    same: float | None
    unreadable: tuple[str, ...]
    input_range: tuple[float, float] | None


def graft(
    data: bytes,
    photos: Sequence[str] = (),
    labels: Sequence[str] | None = None,
    *,
    labels_source: str = "labels",
    title: str = "Classifier",
    crop: Crop | None = None,
    skip_bad_images: bool = False,
    on_progress: OnProgress | None = None,
) -> Grafted:
    """Replaces the last layer of a classifier.

    Args:
      data: the bytes of a quantised classifier that `last_layer.cut` can cut.
      photos: paths of photos like those that the classifier was made for, of all kinds of things.
        Of more than `MOST_PHOTOS`, so many are used.
      labels: the names of its classes; None means those that it carries.
      labels_source: what an error about the number of `labels` calls their source.
      title: the network's name, if the file has no metadata.
      crop: the part of a photo that the classifier takes; None means the one that its metadata
        says, which is STRETCHED if it says nothing.
      skip_bad_images: whether photos that cannot be read are left out; otherwise they are an error.
      on_progress: see `OnProgress`.

    Raises:
      ValueError: if the classifier is damaged, only an extractor or cannot be cut, the names do
        not fit it, photos cannot be read, or all photos have the same features.
    """
    source = inference.verify(data, compiled=False)
    if metadata.is_extractor(source):
        raise ValueError(_NO_CLASSIFIER)
    cut = last_layer.cut(source)
    _check(cut, photos)
    metadata.check(source, data)
    names, num_unnamed = class_names.of(data, source, len(cut.rows), labels, source=labels_source)
    if num_unnamed == len(names) and not model_graph.graph(source).named("SOFTMAX"):
        raise ValueError(f"{_NO_CLASSIFIER}, or the names of its classes with --labels")
    found_crop = crop or metadata.crop_of(source)
    if len(photos) > MOST_PHOTOS:
        photos = [photos[i * len(photos) // MOST_PHOTOS] for i in range(MOST_PHOTOS)]
    features, bad = _features(cut, photos, found_crop, on_progress)
    described = [f"{class_folders.printable(photos[i])}: {why}" for i, why in sorted(bad.items())]
    if bad and not (skip_bad_images and len(features)):
        raise ValueError(
            f"expected photos that can be read, got {len(bad)} that cannot among {len(photos)} "
            f"({class_folders.shorten(described)}); repair or remove them"
            + (", or skip them with --skip_bad_images" if len(features) else "")
        )
    count = len(features) if photos else 0
    embedding = _embedding(features, count)
    head, same = _head(cut, embedding, features, count)
    grafted = surgery.attach(cut, head)
    return Grafted(
        _with_metadata(grafted, source, data, names, title, crop),
        tuple(names),
        num_unnamed,
        features.shape[1],
        _describe(embedding, count),
        head.scale_factor,
        count,
        same if count else None,
        tuple(described),
        None if cut.has_usual_input else cut.input_range,
    )


def _check(cut: Cut, photos: Sequence[str]) -> None:
    """Checks what would otherwise be found after the features were computed."""
    empty = np.flatnonzero(~cut.rows.any(axis=1))
    if len(empty):
        raise ValueError(
            "expected a classifier whose last layer has a direction for each class, got one of "
            f"zeros for class {empty[0]}; it was never trained"
        )
    depth = cut.rows.shape[1]
    if photos and depth > MOST_FEATURES:
        raise ValueError(
            f"expected at most {MOST_FEATURES:,} features for an embedding, got {depth:,}; leave "
            "out --images, or start from a classifier with a pooling before its last layer"
        )
    # The same rules are checked again at the end. Now, this takes no time.
    surgery.attach(cut, surgery.Head(None, unit_vectors.unit(cut.rows), 1.0, 1.0))


def _features(
    cut: Cut, photos: Sequence[str], crop: Crop, on_progress: OnProgress | None
) -> tuple[np.ndarray, Mapping[int, str]]:
    """The features of photos, float64 [n, d], and the reasons why others cannot be read.

    Without photos, they are those of parts of the photographs that come with the project.
    """
    found = tflite_embedder.compute(
        cut.body,
        [cut.features.index],
        photos or unrelated_photos.paths(),
        views=1 if photos else _PARTS,
        on_progress=on_progress if photos else None,
        crop=crop,
    )
    readable = [index for index in range(len(found.tensors[0])) if index not in found.bad]
    values = found.tensors[0][readable].astype(np.float64)
    return values.reshape(-1, values.shape[2]), found.bad


def _embedding(features: np.ndarray, count: int) -> LinearEmbedding | None:
    """The embedding that the photos allow; None without photos."""
    if not count:
        return None
    moments, size = Moments.of(features), features.shape[1]
    if not moments.scatter.any():
        raise ValueError(
            "expected photos with different features, got the same for all; give more photos, of "
            "all kinds of things"
        )
    if count < LEAST_WHITENED:
        return LinearEmbedding(np.eye(size), moments.mean)
    metric = linear_embedding.whitened(moments.covariance, count)
    embedding = LinearEmbedding.of_metric(metric, moments.mean, size=size)
    return LinearEmbedding(embedding.kernel.round(_DIGITS), moments.mean)


def _head(
    cut: Cut, embedding: LinearEmbedding | None, features: np.ndarray, count: int
) -> tuple[surgery.Head, float]:
    """The head, and for which fraction of the features it finds the same class as before."""
    size = features.shape[1]
    plain = LinearEmbedding(np.eye(size), np.zeros([size]))
    used = embedding or plain
    vectors = linear_embedding.map_functionals(cut.rows, plain, used)
    embeddings = used.of(features)
    cosines = unit_vectors.unit(embeddings) @ vectors.T
    logits = features @ cut.rows.T + cut.biases
    layer = None
    if embedding is not None:
        reach = _three_digits(_DEVIATIONS * float(embeddings.std(axis=0).max()))
        layer = surgery.Embedding(embedding.kernel, -embedding.kernel @ embedding.mean, reach)
    margin = _MARGIN if count >= LEAST_WHITENED else _MARGIN_OTHERS
    head = surgery.Head(
        layer,
        vectors.round(_DIGITS),
        probabilities.as_confident(cosines, logits),
        min(1.0, _three_digits(margin * float(np.abs(cosines).max()))),
    )
    same = float((cosines.argmax(axis=1) == logits.argmax(axis=1)).mean())
    return head, same


def _with_metadata(
    grafted: Model,
    source: Model,
    data: bytes,
    names: Sequence[str],
    title: str,
    crop: Crop | None,
) -> bytes:
    """The bytes of the classifier, with the metadata that it had before, or new."""
    about = metadata.about(source)
    if about is None or crop not in (None, about.crop):
        about = metadata.About(title if about is None else about.title, crop or Crop.STRETCHED)
        return metadata.attach(grafted, names, about)
    return metadata.extend(metadata.copied(grafted, source), names, data=data)


def _describe(embedding: LinearEmbedding | None, count: int) -> str:
    if embedding is None:
        return "features as they are"
    if count < LEAST_WHITENED:
        return f"features minus the mean of those of {count:,} photo{'s' * (count != 1)}"
    return f"features whitened by those of {count:,} photos"


def _three_digits(measured: float) -> float:
    return float(f"{measured:.3g}")
