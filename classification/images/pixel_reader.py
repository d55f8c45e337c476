"""Reads image files as the input of a deployed network: cropped, resized, in eight bits."""

import contextlib
import os
import threading

import numpy as np
import tensorflow.compat.v1 as tf

from classification.data import preprocessing
from classification.images import image_files, windows
from classification.images.image_files import BadImageError
from transforms.base.photo_crop import Crop

# Otherwise the threads of the process's first session run the operations of all sessions, and
# passing an operation to them takes longer than the operation itself. TensorFlow reads this only
# once, when the first session is created.
os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")


class PixelReader(contextlib.ExitStack):
    """Reads image files as evaluation does; a context manager.

    Several threads may use it at the same time.
    """

    def __init__(self, image_size: int, crop: Crop = Crop.STRETCHED) -> None:
        """Creates the reader.

        Args:
          image_size: height and width of its results, in pixels.
          crop: which part of a photo they are.
        """
        super().__init__()
        self._image_size, self._crop = image_size, crop
        with tf.Graph().as_default() as graph:
            encoded, window = tf.placeholder(tf.string, []), tf.placeholder(tf.int32, [4])
            pixels = preprocessing.quanta_of_jpeg(encoded, window, image_size=image_size)
        self._session = _session(graph)
        self.callback(self._session.close)
        self._encoded, self._window, self._pixels = encoded, window, pixels
        self._any: _AnyReader | None = None
        self._lock = threading.Lock()

    def read(self, path: str, *, views: int = 1) -> np.ndarray:
        """Reads an image, and warns if it is damaged but has all its pixels.

        Args:
          path: the file.
          views: the number of views: the complete image, then parts at many places and scales,
            every other one mirrored (see `windows.parts`).

        Returns:
          uint8 [views, image_size, image_size, 3]: the middle of each view, resized; the network's
          input is (q - 128) / 128.

        Raises:
          BadImageError: see `image_files.Reader.read`.
          MemoryError: see `image_files.Reader.read`.
        """
        pixels = self._read_jpeg(path) if views == 1 else None
        if pixels is not None:
            return pixels[np.newaxis]
        return self._any_reader().read(path, views)

    def read_encoded(self, encoded: bytes, *, views: int = 1) -> np.ndarray:
        """The same for an image in a record, a JPEG or PNG file that TensorFlow decodes.

        Raises:
          BadImageError: it cannot be decoded.
        """
        try:
            return self._any_reader().read_encoded(encoded, views)
        except tf.errors.InvalidArgumentError as error:
            raise BadImageError(
                "expected a JPEG or PNG image, got one that cannot be decoded"
            ) from error

    def _any_reader(self) -> "_AnyReader":
        # Created only when it is needed: often all images are plain JPEGs.
        with self._lock:
            if self._any is None:
                self._any = self.enter_context(_AnyReader(self._image_size, self._crop))
            return self._any

    def _read_jpeg(self, path: str) -> np.ndarray | None:
        """The image in a plain JPEG file; None for files that need an `_AnyReader`."""
        jpeg = image_files.plain_jpeg(path)
        window = jpeg and preprocessing.central_window(jpeg.height, jpeg.width, self._crop)
        if jpeg is None or window is None:
            return None
        try:
            pixels = self._session.run(
                self._pixels,
                {self._encoded: jpeg.encoded, self._window: np.array(window, np.int32)},
            )
        except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError):
            return None
        image_files.warn(path, jpeg.complaint)
        return pixels


class _AnyReader(contextlib.ExitStack):
    """Reads images of all kinds, in several views."""

    def __init__(self, image_size: int, crop: Crop) -> None:
        super().__init__()
        self._files = self.enter_context(image_files.Reader())
        with tf.Graph().as_default() as graph:
            self._encoded = tf.placeholder(tf.string, [])
            self._decoded = preprocessing.decode(self._encoded)
            self._part = tf.placeholder(tf.uint8, [None, None, 3])
            self._pixels = preprocessing.quanta_for_evaluation(
                self._part, image_size=image_size, crop=crop
            )
        self._session = _session(graph)
        self.callback(self._session.close)

    def read(self, path: str, views: int) -> np.ndarray:
        file = self._files.read(path)
        image_files.warn(path, file.complaint)
        return self.read_encoded(file.encoded, views)

    def read_encoded(self, encoded: bytes, views: int) -> np.ndarray:
        image = self._session.run(self._decoded, {self._encoded: encoded})
        height, width, _ = image.shape
        return np.stack(
            [
                self._session.run(self._pixels, {self._part: window.of(image)})
                for window in windows.parts(height, width, views)
            ]
        )


def _session(graph: tf.Graph) -> tf.Session:
    """A session whose calls run in the threads of the callers."""
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1)
    # It does not improve these graphs, and takes longer than reading a photo.
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf.Session(graph=graph, config=config)
