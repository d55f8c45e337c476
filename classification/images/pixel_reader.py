"""Image files as a deployed network takes them: cut, resized, in eight-bit numbers."""

import contextlib
import os
import threading
from types import TracebackType

import numpy as np
import tensorflow.compat.v1 as tf

from classification.data import preprocessing
from classification.images import image_files, windows

# Without it, the threads of a process's first session serve all others: each operation would go to
# them and come back, which takes longer than itself. TensorFlow asks once, for that first session.
os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")


class PixelReader:
    """Reads image files as evaluation sees them; a context manager.

    Several threads may use one at once.
    """

    def __init__(self, image_size: int) -> None:
        """Creates the reader.

        Args:
          image_size: height and width of what it returns, in pixels.
        """
        self._image_size = image_size
        with tf.Graph().as_default() as graph:
            encoded, window = tf.placeholder(tf.string, []), tf.placeholder(tf.int32, [4])
            whole = preprocessing.quanta_of_jpeg(encoded, window, image_size=image_size)
        self._session = _session(graph)
        self._encoded, self._window, self._whole = encoded, window, whole
        self._any: _AnyReader | None = None
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "PixelReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._session.close()

    def read(self, path: str, *, views: int = 1) -> np.ndarray:
        """Reads an image, and warns where it is damaged and has all its pixels.

        Args:
          path: the file.
          views: how many parts of it to take: the whole, then parts at many places and scales,
            every other one mirrored (see `windows.parts`).

        Returns:
          uint8 [views, image_size, image_size, 3]: the middle 87.5 % of each, resized; the
          network's input is (q - 128) / 128.

        Raises:
          BadImageError: see `image_files.Reader.read`.
          MemoryError: likewise.
        """
        pixels = self._read_jpeg(path) if views == 1 else None
        if pixels is not None:
            return pixels[np.newaxis]
        # Where all are plain JPEGs, nothing is made for others.
        with self._lock:
            if self._any is None:
                self._any = self._stack.enter_context(_AnyReader(self._image_size))
        return self._any.read(path, views)

    def _read_jpeg(self, path: str) -> np.ndarray | None:
        """The image in a plain JPEG file; None where it must be looked at more closely."""
        jpeg = image_files.plain_jpeg(path)
        window = jpeg and preprocessing.central_window(jpeg.height, jpeg.width)
        if jpeg is None or window is None:
            return None
        try:
            pixels = self._session.run(
                self._whole, {self._encoded: jpeg.encoded, self._window: np.array(window, np.int32)}
            )
        except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError):
            return None
        image_files.warn(path, jpeg.complaint)
        return pixels


class _AnyReader:
    """Reads images of all kinds, in several views."""

    def __init__(self, image_size: int) -> None:
        self._files = image_files.Reader()
        with tf.Graph().as_default() as graph:
            self._encoded = tf.placeholder(tf.string, [])
            self._decoded = preprocessing.decode(self._encoded)
            self._part = tf.placeholder(tf.uint8, [None, None, 3])
            self._pixels = preprocessing.quanta_for_evaluation(self._part, image_size=image_size)
        self._session = _session(graph)

    def __enter__(self) -> "_AnyReader":
        self._files.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._files.__exit__(None, None, None)
        self._session.close()

    def read(self, path: str, views: int) -> np.ndarray:
        file = self._files.read(path)
        image_files.warn(path, file.complaint)
        image = self._session.run(self._decoded, {self._encoded: file.encoded})
        height, width, _ = image.shape
        return np.stack(
            [
                self._session.run(self._pixels, {self._part: window.of(image)})
                for window in windows.parts(height, width, views)
            ]
        )


def _session(graph: tf.Graph) -> tf.Session:
    """A session in which each call stays in its own thread: it is the callers that are many."""
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1)
    # Finds nothing in these graphs, and takes longer than a photo.
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf.Session(graph=graph, config=config)
