"""Classifies the frames of a camera or of a video, with OpenCV, which is not a requirement."""

import sys
import time
from typing import Any

import numpy as np

from imprinting.inference import answer_text
from imprinting.inference.photo_classifier import PhotoClassifier


def show(classifier: PhotoClassifier, source: str, *, top: int, threshold: float) -> None:
    """Prints the answers for each frame, until the video ends or the user presses Ctrl-C.

    On a terminal, the line of the last frame is replaced; otherwise each frame has a line.

    Args:
      classifier: the classifier.
      source: the number of a camera, or the path of a video.
      top: the number of classes to print.
      threshold: if the best class has a lower probability, the frame is unknown.

    Raises:
      ValueError: if OpenCV is missing, or there is no such camera or video.
    """
    capture = _open(source)
    try:
        count = 0
        while (frame := _next(capture)) is not None:
            start = time.perf_counter()
            answers = classifier.classify_one(frame, top=top)
            milliseconds = 1000 * (time.perf_counter() - start)
            _print(answers, threshold, milliseconds)
            count += 1
    except KeyboardInterrupt:
        return
    finally:
        capture.release()
        if sys.stdout.isatty():
            print()
    if not count:
        raise ValueError(f"expected frames from --camera={source}, got none; is it in use?")


def _open(source: str) -> Any:
    try:
        import cv2
    except ImportError as error:
        raise ValueError(
            "expected OpenCV, which --camera needs, got none; install it by "
            "`pip install opencv-python-headless`"
        ) from error
    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if not capture.isOpened():
        raise ValueError(
            f"expected the number of a camera or a video file as --camera, got {source}, which "
            "cannot be opened; cameras are numbered from 0"
        )
    return capture


def _next(capture: Any) -> np.ndarray | None:
    """The next frame, uint8 [height, width, 3] in RGB; None after the last."""
    is_there, frame = capture.read()
    # OpenCV has blue first.
    return np.ascontiguousarray(frame[..., ::-1]) if is_there else None


def _print(answers: Any, threshold: float, milliseconds: float) -> None:
    best = answers[0]
    text = "unknown"
    if best.probability >= threshold:
        text = "  ".join(f"{answer_text.digits(a.probability)} {a.label}" for a in answers)
    line = f"{milliseconds:5.1f} ms  {text}"
    if sys.stdout.isatty():
        # Erases the rest of the line (ECMA-48, EL).
        print(f"\r{line}\x1b[K", end="", flush=True)
    else:
        print(line, flush=True)
