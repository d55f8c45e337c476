"""Which part of a photo a network sees, when it is evaluated and when it is deployed.

The part is resized to the network's input, bilinearly, as TensorFlow 1's resize_bilinear does.
"""

import enum

# The fraction of the photo's height and width, or of the shorter of them.
FRACTION = 0.875


class Crop(enum.Enum):
    """A part of a photo.

    Attributes:
      STRETCHED: the middle 87.5 % of its height and of its width, which resizing makes square, as
        in tf-slim.
      SQUARE: a square in the middle, whose side is 87.5 % of the shorter side, as in Google's
        training of EfficientNet.
    """

    STRETCHED = "stretched"
    SQUARE = "square"

    def window(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Returns the part's top, left, height and width.

        Args:
          height: that of the photo, in pixels, at least 1.
          width: the same.
        """
        if self is Crop.SQUARE:
            side = max(1, round(min(height, width) * FRACTION))
            return (height - side + 1) // 2, (width - side + 1) // 2, side, side
        # Rounded as tf.image.central_crop does.
        top, left = (int((size - size * FRACTION) / 2) for size in (height, width))
        return top, left, height - 2 * top, width - 2 * left
