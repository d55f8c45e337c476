"""The features of a data set's photos, in several views, in a file that is mapped to memory."""

import concurrent.futures
import contextlib
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from classification.data import imagenet, records
from classification.data.dataset import Dataset
from classification.deployment import features
from classification.nets import networks
from classification.nets.model_config import ModelConfig
from imprinting.base import atomic_files
from imprinting.photos.photo_file import BadImageError
from imprinting.photos.pixel_reader import PixelReader

# With fewer photos of a class, more views of each are needed. With 20 photos of each of 66 kinds of
# groceries, 4 views classify two percent more than one, and 6 views half a percent more than 4.
_MANY_PHOTOS = 20
_VIEWS, _VIEWS_OF_MANY = 6, 4
# Views that the network computes at once.
_BATCH_SIZE = 32
_COPIED_AT_ONCE = 16 << 20

# A file, the number of a record in it, and the record.
Record = tuple[str, int, bytes]


class ViewFeatures(NamedTuple):
    """Features of photos.

    Attributes:
      features: float32 [n, v, d], of v views of each photo, the complete photo first.
      labels: int64 [n].
      seconds: how long reading and computing took.
    """

    features: np.ndarray
    labels: np.ndarray
    seconds: float


def number_of_views(dataset: Dataset) -> int:
    """The number of views of each photo that suits a data set's number of photos."""
    photos = dataset.num_examples / dataset.num_classes
    return _VIEWS_OF_MANY if photos >= _MANY_PHOTOS else _VIEWS


def photos_per_batch(views: int) -> int:
    """The number of photos that the network computes at once."""
    return max(1, _BATCH_SIZE // views)


@contextlib.contextmanager
def computed(
    values: Mapping[str, np.ndarray],
    model: ModelConfig,
    dataset: Dataset,
    *,
    views: int,
    folder: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[ViewFeatures]:
    """Computes features, and keeps them in a file without a name until the context ends.

    The file has four bytes for each feature: 27 MB for 1,320 photos in 4 views by
    EfficientNet-Lite, and 26 GB for ImageNet. Memory does not grow with the photos, but for what
    the system keeps of the file.

    Args:
      values: those of the base's variables; see `features.of_images`.
      model: the network.
      dataset: the photos, in record files.
      views: the number of parts of each photo; see `windows.parts`.
      folder: where the file is; on most systems it has no name there, and is never left over.
      on_progress: called with the number of photos done and the total number.

    Raises:
      OSError: if a file cannot be read or written.
      ValueError: if a record is damaged or lacks an image or a label, the number of records has
        changed, or the network computes NaN or infinity.
    """
    total, labels = dataset.num_examples, list[int]()
    shape: tuple[int, ...] = ()
    begin = time.monotonic()
    found = batches(values, model, dataset, records.iterate(dataset.files), views=views)
    with atomic_files.name_path_in_errors(folder), tempfile.TemporaryFile(dir=folder) as file:
        with contextlib.closing(found):
            for batch in found:
                shape = batch.features.shape[1:]
                # Not through a memory mapping: a full disk would then kill the process.
                file.write(batch.features.tobytes())
                labels += batch.labels
                if on_progress is not None:
                    on_progress(len(labels), total)
        if len(labels) != total:
            raise ValueError(
                f"expected {total} images in {dataset.source}, got {len(labels)}: it has changed"
            )
        file.flush()
        mapped = np.memmap(file, "<f4", "r", shape=(total, *shape))
        yield ViewFeatures(mapped, np.array(labels, np.int64), time.monotonic() - begin)


@contextlib.contextmanager
def joined(
    paths: Sequence[str], labels: Sequence[int], *, views: int, seconds: float, folder: str
) -> Iterator[ViewFeatures]:
    """Joins files of features to one without a name, which is kept until the context ends.

    Args:
      paths: the files, of consecutive photos, as little-endian float32 [n, v, d].
      labels: those of all photos.
      views: the number of views of each photo.
      seconds: how long computing took.
      folder: where the file is.

    Raises:
      OSError: if a file cannot be read or written.
    """
    with atomic_files.name_path_in_errors(folder), tempfile.TemporaryFile(dir=folder) as file:
        for path in paths:
            with open(path, "rb") as part:
                shutil.copyfileobj(part, file, _COPIED_AT_ONCE)
        file.flush()
        mapped = np.memmap(file, "<f4", "r").reshape(len(labels), views, -1)
        yield ViewFeatures(mapped, np.array(labels, np.int64), seconds)


class Batch(NamedTuple):
    """What the network computes at once.

    Attributes:
      features: little-endian float32 [n, v, d].
      labels: of the photos.
    """

    features: np.ndarray
    labels: list[int]


def batches(
    values: Mapping[str, np.ndarray],
    model: ModelConfig,
    dataset: Dataset,
    found: Generator[Record, None, None],
    *,
    views: int,
) -> Generator[Batch, None, None]:
    """Computes features of photos, `photos_per_batch` at once; see `computed`.

    On some processors, the last bits of a photo's features may depend on the size of its batch.

    Args:
      values: those of the base's variables.
      model: the network.
      dataset: the data set of the photos.
      found: the photos' records, as `records.iterate` yields them.
      views: the number of parts of each photo.
    """
    labels = list[int]()
    images = _images(model, dataset, found, views, labels)
    computed_features = features.of_images(values, model, images)
    # After an error, too, TensorFlow's graphs must be left in the reverse order.
    with contextlib.closing(computed_features), contextlib.closing(images):
        for batch in computed_features:
            _check_finite(batch, model)
            yield Batch(batch.astype("<f4").reshape(len(labels), views, -1), labels.copy())
            labels.clear()


def _images(
    model: ModelConfig,
    dataset: Dataset,
    found: Generator[Record, None, None],
    views: int,
    labels: list[int],
) -> Generator[np.ndarray, None, None]:
    """Views of photos, uint8 [photos * views, size, size, 3]; appends the photos' labels."""

    def read(record: Record) -> tuple[np.ndarray, int]:
        path, index, payload = record
        try:
            encoded, label = imagenet.labelled_image(payload, num_classes=dataset.num_classes)
            return reader.read(encoded, views=views), label
        except BadImageError as error:
            raise ValueError(f"record {index} of {path}: {error}; leave it out") from error
        except ValueError as error:
            raise ValueError(f"record {index} of {path}: {error}") from error

    reader = PixelReader(model.image_size, networks.get(model.network).crop)
    with (
        concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool,
        contextlib.closing(found),
    ):
        while some := list(itertools.islice(found, photos_per_batch(views))):
            images, known = zip(*pool.map(read, some), strict=True)
            labels += known
            yield np.concatenate(images)


def _check_finite(batch: np.ndarray, model: ModelConfig) -> None:
    if not np.isfinite(batch).all():
        raise ValueError(
            f"expected finite features of photos, got NaN or infinity from the {model.network} of "
            "the checkpoint: it has diverged in training; take another"
        )
