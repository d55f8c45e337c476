"""Image files as a deployed network takes them: cut, resized, in eight-bit numbers."""

from types import TracebackType

import numpy as np
import tensorflow.compat.v1 as tf

from classification.data import image_files, preprocessing, sample


class PixelReader:
    """Reads image files as evaluation sees them; a context manager.

    Several threads may use one at once.
    """

    def __init__(self, image_size: int) -> None:
        """Creates the reader.

        Args:
          image_size: height and width of what it returns, in pixels.
        """
        self._files = image_files.Reader()
        with tf.Graph().as_default() as graph:
            self._encoded = tf.placeholder(tf.string, [])
            self._decoded = preprocessing.decode(self._encoded)
            self._part = tf.placeholder(tf.uint8, [None, None, 3])
            self._pixels = preprocessing.quanta_for_evaluation(self._part, image_size=image_size)
            self._whole = preprocessing.quanta_of_jpeg(self._encoded, image_size=image_size)
        # Each call in its own thread: it is the callers that are many.
        self._session = tf.Session(
            graph=graph,
            config=tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1),
        )

    def __enter__(self) -> "PixelReader":
        self._files.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.__exit__(kind, error, traceback)
        self._session.close()

    def read(self, path: str, *, views: int = 1) -> np.ndarray:
        """Reads an image.

        Args:
          path: the file.
          views: how many parts of it to take: the whole, then parts at many places and scales,
            every other one mirrored (see `sample.windows`).

        Returns:
          uint8 [views, image_size, image_size, 3]: the middle 87.5 % of each, resized; the
          network's input is (q - 128) / 128.

        Raises:
          BadImageError: see `image_files.Reader.read`.
          MemoryError: likewise.
        """
        if views == 1:
            encoded = image_files.plain_jpeg(path)
            if encoded is not None:
                try:
                    return self._session.run(self._whole, {self._encoded: encoded})[np.newaxis]
                except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError):
                    # Below it is told what is wrong, or another way is found.
                    pass
        encoded = self._files.read(path).encoded
        image = self._session.run(self._decoded, {self._encoded: encoded})
        height, width, _ = image.shape
        return np.stack(
            [
                self._session.run(self._pixels, {self._part: window.of(image)})
                for window in sample.windows(height, width, views)
            ]
        )
