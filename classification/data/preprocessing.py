"""Turns an encoded image into the network's input, as tf-slim does for mobilenet_v1.

The method is the "inception" preprocessing (Szegedy et al., "Going Deeper with
Convolutions", arXiv 1409.4842, section 6; Howard, arXiv 1312.5402). Slim has two forms of
it; this is the faster one, with which its MobileNets were trained: bilinear resizing,
brightness and saturation. The parameters are those of slim's own graph.

All random choices depend only on a seed, so that equal seeds give equal images.
"""

import tensorflow as tf

from imprinting.base.photo_crop import FRACTION, Crop

# A JPEG's colours are stored at half the resolution and interpolated, so a window that is decoded
# without the rest of the image needs one more column on each side.
_MARGIN = 1

# The crop's fraction of the image's area, and its width divided by its height.
_AREA_RANGE = (0.05, 1.0)
_ASPECT_RATIO_RANGE = (0.75, 1.33)
_MIN_OBJECT_COVERED = 0.1
_MAX_ATTEMPTS = 100

_MAX_BRIGHTNESS_DELTA = 32.0 / 255.0
_SATURATION_RANGE = (0.5, 1.5)
# Slim draws one of four orders of distortion. In the faster form, the first of them means
# brightness before saturation, and the other three mean saturation before brightness.
_BRIGHTNESS_FIRST = 0.25


def for_training(encoded: tf.Tensor, seed: tf.Tensor, *, image_size: int) -> tf.Tensor:
    """A random crop of an image, randomly flipped and with distorted colours.

    Args:
      encoded: string [], a JPEG, PNG, GIF or BMP file.
      seed: int64 [2], which determines all random choices.
      image_size: the height and width of the result, in pixels.

    Returns:
      float32 [image_size, image_size, 3] in [-1, 1].

    Raises (when run):
      tf.errors.InvalidArgumentError: the bytes are not an image of these kinds.
    """
    seeds = tf.random.split(seed, 2)
    image = _resize(_to_float(_random_crop(encoded, seeds[0])), image_size)
    draws = tf.random.stateless_uniform([4], seeds[1])
    image = tf.cond(draws[0] < 0.5, lambda: tf.reverse(image, [1]), lambda: image)
    return _to_input(_distort_colours(image, draws[1:]))


def for_evaluation(
    encoded: tf.Tensor, *, image_size: int, crop: Crop = Crop.STRETCHED
) -> tf.Tensor:
    """The middle of an image, resized.

    Args:
      encoded: string [], a JPEG, PNG, GIF or BMP file.
      image_size: the height and width of the result, in pixels.
      crop: which part of the image.

    Returns:
      float32 [image_size, image_size, 3] in [-1, 1].

    Raises (when run):
      tf.errors.InvalidArgumentError: the bytes are not an image of these kinds.
    """
    return crop_for_evaluation(decode(encoded), image_size=image_size, crop=crop)


def crop_for_evaluation(
    image: tf.Tensor, *, image_size: int, crop: Crop = Crop.STRETCHED
) -> tf.Tensor:
    """The result of `for_evaluation` for a decoded image.

    Args:
      image: uint8 [height, width, 3].
      image_size: the height and width of the result, in pixels.
      crop: which part of the image.

    Returns:
      float32 [image_size, image_size, 3] in [-1, 1].
    """
    return _to_input(_resize(_to_float(_central_crop(image, crop)), image_size))


def quanta_for_evaluation(
    image: tf.Tensor, *, image_size: int, crop: Crop = Crop.STRETCHED
) -> tf.Tensor:
    """The input of a deployed network: the result of `crop_for_evaluation`, quantised.

    Args:
      image: uint8 [height, width, 3].
      image_size: the height and width of the result, in pixels.
      crop: which part of the image.

    Returns:
      uint8 [image_size, image_size, 3]; the network's input is (q - 128) / 128.
    """
    return _to_quanta(_central_crop(image, crop), image_size)


def quanta_of_jpeg(encoded: tf.Tensor, window: tf.Tensor, *, image_size: int) -> tf.Tensor:
    """The result of `quanta_for_evaluation` for a JPEG, of which only a window is decoded.

    Args:
      encoded: string [], a JPEG file.
      window: int32 [4], see `central_window`.
      image_size: the height and width of the result, in pixels.
    """
    part = tf.image.decode_and_crop_jpeg(encoded, window, channels=3)
    return _to_quanta(part[:, _MARGIN:-_MARGIN], image_size)


def central_window(height: int, width: int, crop: Crop) -> tuple[int, int, int, int] | None:
    """The window of a JPEG that evaluation uses, with one more column on each side.

    Args:
      height: the image's, in pixels.
      width: the image's, in pixels.
      crop: which part of the image.

    Returns:
      Top, left, height and width; None if the image has no such columns.
    """
    top, left, rows, columns = crop.window(height, width)
    if left < _MARGIN or left + columns + _MARGIN > width:
        return None
    return top, left - _MARGIN, rows, columns + 2 * _MARGIN


def _central_crop(image: tf.Tensor, crop: Crop) -> tf.Tensor:
    """The window that `Crop.window` returns, of an image uint8 [height, width, 3]."""
    if crop is Crop.STRETCHED:
        return tf.image.central_crop(image, FRACTION)
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    # In float64, as in Python, so that both round to the same side.
    shorter = tf.cast(tf.minimum(height, width), tf.float64)
    side = tf.maximum(1, tf.cast(tf.round(shorter * FRACTION), tf.int32))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    return image[top : top + side, left : left + side]


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes an image to uint8 [height, width, 3]; of an animation, the first frame."""
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])


def _random_crop(encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A random window of the image, uint8 [height, width, 3]."""

    def of_jpeg() -> tf.Tensor:
        shape = tf.io.extract_jpeg_shape(encoded)
        top, left, height, width = _random_window(shape, seed)
        # Decoding only the window is faster.
        start = tf.maximum(left - _MARGIN, 0)
        end = tf.minimum(left + width + _MARGIN, shape[1])
        crop = tf.image.decode_and_crop_jpeg(
            encoded, tf.stack([top, start, height, end - start]), channels=3
        )
        return crop[:, left - start : left - start + width]

    def of_others() -> tf.Tensor:
        image = decode(encoded)
        top, left, height, width = _random_window(tf.shape(image), seed)
        return image[top : top + height, left : left + width]

    return tf.cond(tf.io.is_jpeg(encoded), of_jpeg, of_others)


def _random_window(shape: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Top, left, height and width, in pixels, of a random window in an image of this shape."""
    whole = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        bounding_boxes=whole,
        seed=seed,
        min_object_covered=_MIN_OBJECT_COVERED,
        aspect_ratio_range=_ASPECT_RATIO_RANGE,
        area_range=_AREA_RANGE,
        max_attempts=_MAX_ATTEMPTS,
    )
    return begin[0], begin[1], size[0], size[1]


def _to_float(image: tf.Tensor) -> tf.Tensor:
    return tf.image.convert_image_dtype(image, tf.float32)


def _resize(image: tf.Tensor, image_size: int) -> tf.Tensor:
    # As TensorFlow 1's resize_bilinear; tf.image.resize samples at other positions.
    return tf.raw_ops.ResizeBilinear(
        images=image[tf.newaxis],
        size=[image_size, image_size],
        align_corners=False,
        half_pixel_centers=False,
    )[0]


def _to_quanta(image: tf.Tensor, image_size: int) -> tf.Tensor:
    # The same as q = 128 x + 128 with x = 2 (p / 255 - 0.5), in a third of the passes.
    quanta = tf.round(_resize(image, image_size) * (256.0 / 255.0))
    return tf.cast(tf.minimum(quanta, 255.0), tf.uint8)


def _distort_colours(image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Distorts an image in [0, 1] as three random numbers from [0, 1) say."""
    delta = _MAX_BRIGHTNESS_DELTA * (2.0 * draws[1] - 1.0)
    low, high = _SATURATION_RANGE
    factor = low + (high - low) * draws[2]
    image = tf.cond(
        draws[0] < _BRIGHTNESS_FIRST,
        lambda: tf.image.adjust_saturation(image + delta, factor),
        lambda: tf.image.adjust_saturation(image, factor) + delta,
    )
    return tf.clip_by_value(image, 0.0, 1.0)


def _to_input(image: tf.Tensor) -> tf.Tensor:
    return (image - 0.5) * 2.0
