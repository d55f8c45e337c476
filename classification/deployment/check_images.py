"""Images to check a network on, in the form that a deployed network takes; always the same ones.

They are files that the user names, or digits that are held out from training, or parts of the
photographs that come with the build.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from classification.data import dataset, imagenet, preprocessing, records
from classification.images import image_files
from imprinting.base import pixel_scaling
from imprinting.base.photo_crop import Crop
from imprinting.photos import photo_file, unrelated_photos, windows
from imprinting.photos.photo_file import BadImageError

_IMAGE_HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


class Sample(NamedTuple):
    """Images to check a network on.

    Attributes:
      images: uint8 [n, image_size, image_size, 3]; the network's input is (q - 128) / 128.
      description: which images they are, for the user.
    """

    images: np.ndarray
    description: str


class _Image(NamedTuple):
    """The content of an image file, or of a record."""

    name: str
    encoded: bytes


def of_digits(count: int, *, image_size: int) -> Sample:
    """Some of the digits that are held out from training, spread evenly over them.

    Args:
      count: the number of digits.
      image_size: their height and width, in pixels.

    Raises:
      ValueError: if a number is below 1, or there are fewer digits.
    """
    _check(count, image_size)
    digits = dataset.open_dataset(None, "validation")
    total = digits.num_examples
    if count > total:
        raise ValueError(
            f"expected at most {total} images, the number of digits that are held out, got "
            f"{count}; take fewer, or name image files"
        )
    with tf.Graph().as_default(), tf.Session() as session:
        batches = digits.batches(batch_size=total, image_size=image_size, is_training=False)
        images = session.run(tf.data.make_one_shot_iterator(batches).get_next()["image"])
    chosen = pixel_scaling.to_quanta(images[_spread(count, total)])
    return Sample(chosen, f"{count} of the {total} handwritten digits held out from training")


def of_photographs(count: int, *, image_size: int, crop: Crop = Crop.STRETCHED) -> Sample:
    """Parts of the two photographs that come with the build.

    Args:
      count: the number of parts, half of them from each photograph.
      image_size: their height and width, in pixels.
      crop: which part of each is used.

    Raises:
      FileNotFoundError: if the photographs are missing.
      ValueError: if a number is below 1.
    """
    images = of_files(unrelated_photos.paths(), count, image_size=image_size, crop=crop).images
    return Sample(images, f"{count} parts of scikit-learn's photographs china.jpg and flower.jpg")


def of_files(
    paths: Sequence[str], count: int, *, image_size: int, crop: Crop = Crop.STRETCHED
) -> Sample:
    """Images in files: some of them, or several parts of each.

    If there are more images than `count`, those returned are spread evenly over all. If there are
    fewer, each is returned complete, followed by parts of it at many places and scales (see
    `windows.parts`).

    Args:
      paths: JPEG and PNG files, and TFRecord files in slim's form (see `imagenet`).
      count: the number of images to return.
      image_size: their height and width, in pixels.
      crop: which part of each is used.

    Returns:
      The images in the order of the files, preprocessed as in evaluation: the middle of each image
      or part, resized.

    Raises:
      OSError: if a file cannot be read.
      ValueError: if there is no image, a file or record is damaged or of another kind, an image
        cannot be decoded or lacks pixels, or a number is below 1.
    """
    _check(count, image_size)
    sizes = [(path, _count(path)) for path in paths]
    total = sum(size for _, size in sizes)
    if not total:
        raise ValueError(
            f"expected at least one image, got none in {', '.join(paths) or 'no file'}; name JPEG "
            "or PNG files, or TFRecord files in slim's form"
        )
    if count < total:
        chosen, parts = _spread(count, total), [1] * count
        description = f"{count} of the {total} images given"
    else:
        chosen = np.arange(total)
        parts = [count // total + (i < count % total) for i in range(total)]
        description = f"the {total} images given"
        if count > total:
            description = f"{count} parts of {description}, which are fewer than asked for"
    with _cutter(image_size, crop) as cut, image_files.Reader() as reader:
        images = [
            pixel_scaling.to_quanta(pixels)
            for image, number in zip(_read(sizes, chosen, reader), parts, strict=True)
            for pixels in cut(image, number)
        ]
    return Sample(np.stack(images), description)


def count_images(paths: Sequence[str]) -> int:
    """The number of images in files; see `of_files`, which raises the same."""
    return sum(map(_count, paths))


@contextlib.contextmanager
def _cutter(image_size: int, crop: Crop) -> Iterator[Callable[[_Image, int], list[np.ndarray]]]:
    """A function that cuts parts out of an image as evaluation does, float32 [s, s, 3]."""
    with tf.Graph().as_default(), tf.Session() as session:
        encoded = tf.placeholder(tf.string, [])
        decoded = preprocessing.decode(encoded)
        part = tf.placeholder(tf.uint8, [None, None, 3])
        result = preprocessing.crop_for_evaluation(part, image_size=image_size, crop=crop)

        def cut(image: _Image, count: int) -> list[np.ndarray]:
            try:
                pixels = session.run(decoded, {encoded: image.encoded})
            except tf.errors.OpError as error:
                raise ValueError(
                    f"expected a JPEG or PNG image as {image.name}, got one that cannot be "
                    "decoded: it is damaged or of another kind; leave it out, or write it again"
                ) from error
            height, width, _ = pixels.shape
            return [
                session.run(result, {part: window.of(pixels)})
                for window in windows.parts(height, width, count)
            ]

        yield cut


def _check(count: int, image_size: int) -> None:
    for name, value in (("number of images", count), ("image_size", image_size)):
        if value < 1:
            raise ValueError(f"expected a {name} of at least 1, got {value}")


def _spread(count: int, total: int) -> np.ndarray:
    """Indices of count out of total, in order and evenly spaced."""
    return np.arange(count) * total // count


def _count(path: str) -> int:
    """How many images a file holds."""
    if _is_image(path):
        return 1
    try:
        return records.count(path)
    except ValueError as error:
        raise ValueError(
            f"expected a JPEG or PNG image, or TFRecords, in {path}, got neither: {error}"
        ) from error


def _is_image(path: str) -> bool:
    with open(path, "rb") as file:
        head = file.read(max(map(len, _IMAGE_HEADS)))
    return head.startswith(_IMAGE_HEADS)


def _read(
    sizes: Sequence[tuple[str, int]], chosen: np.ndarray, reader: image_files.Reader
) -> Iterator[_Image]:
    """The chosen images, by their numbers over all files."""
    start = 0
    for path, size in sizes:
        indices = [int(i) - start for i in chosen if start <= i < start + size]
        start += size
        if not indices:
            continue
        if _is_image(path):
            try:
                image = reader.read(path)
            except BadImageError as error:
                raise ValueError(
                    f"expected images that can be read, got {path}: {error}; leave it out, or "
                    "write it again"
                ) from error
            photo_file.warn(path, image.complaint)
            yield _Image(path, image.encoded)
            continue
        for index, record in zip(indices, records.read(path, indices), strict=True):
            name = f"record {index} of {path}"
            try:
                yield _Image(name, imagenet.encoded_image(record))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
