r"""Checks a .tflite and its parts, and writes them with labels and a report.

  check_tflite --model=MODEL.tflite --extractor=EXTRACTOR.tflite --head=HEAD.tflite \
      --frozen_graph=FROZEN.pb --images=IMAGES.npy --output_prefix=DIR/NAME

Writes DIR/NAME.tflite, NAME_extractor.tflite, NAME_head.tflite, NAME_report.json and
NAME_report.md. If a rule of the products is broken, or the model does not agree with the graph, it
writes nothing, prints a sentence for each problem, and exits with status 1.
"""

import hashlib
import os

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl import flags

from imprinting.base import atomic_files, labels, path_flags, program
from imprinting.tflite import inference
from imprinting.tflite.model_graph import Model
from transforms.conversion import check, graph_file, report

_MODEL = path_flags.define("model", "", "The .tflite, as converted.")
_EXTRACTOR = path_flags.define("extractor", "", "Its part before the L2_NORMALIZATION.")
_HEAD = path_flags.define("head", "", "The rest of it.")
_FROZEN_GRAPH = path_flags.define(
    "frozen_graph", "", "The frozen graph that it was made from, before folding."
)
_FOLDED_GRAPH = path_flags.define(
    "folded_graph", "", "The folded graph, whose hash is put into the report."
)
_LABELS = path_flags.define("labels", "", "File of class names, one per line. Default: unknown.")
_IMAGES = path_flags.define(
    "images",
    "",
    "Images to compare on, a .npy of uint8 [n, s, s, 3] with n at least 64.",
)
_SOURCES = flags.DEFINE_multi_string(
    "sources",
    [],
    "Another file that it was made from, as FILE or NAME=FILE, whose name and hash are put into "
    "the report. May be repeated.",
)
_OUTPUT_PREFIX = path_flags.define(
    "output_prefix", "", "Folder, and the beginning of the names of the files."
)


def _read_tflite(path: str) -> Model:
    with open(path, "rb") as file:
        data = file.read()
    try:
        tflite_model = inference.verify(data, compiled=False)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return tflite_model


def _images(path: str) -> np.ndarray:
    try:
        images = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: expected a .npy file of images, got {error}") from error
    if not isinstance(images, np.ndarray):
        images.close()
        raise ValueError(f"{path}: expected one array in a .npy file, got several in a .npz")
    return images


def _hashes() -> dict[str, str]:
    """Name -> SHA-256 of all files that the products were made from, without their folders."""
    given = {
        "frozen graph": _FROZEN_GRAPH.value,
        "folded graph": _FOLDED_GRAPH.value,
        "labels": _LABELS.value,
        "images": _IMAGES.value,
    }
    paths = {name: path for name, path in given.items() if path}
    for source in _SOURCES.value:
        name, equals, path = source.partition("=")
        if not equals or os.path.exists(source):
            name, path = os.path.basename(source), source
        if name in paths:
            raise ValueError(
                f"expected --sources with different names, got {name} twice; use NAME=FILE for one"
            )
        paths[name] = path
    hashes = {}
    for name, path in paths.items():
        with open(path, "rb") as file:
            hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _read_labels(path: str) -> tuple[str, ...]:
    with open(path, "rb") as file:
        return labels.parse(file.read(), path)


def main() -> None:
    """Checks the model, writes it, and prints how well it agrees."""
    program.require("model", "extractor", "head", "frozen_graph", "images", "output_prefix")
    folder, name = os.path.split(_OUTPUT_PREFIX.value)
    if not name:
        raise ValueError(f"expected --output_prefix=DIR/NAME, got {_OUTPUT_PREFIX.value}")
    hashes = _hashes()
    checked = check.check(
        tflite_model=_read_tflite(_MODEL.value),
        extractor=_read_tflite(_EXTRACTOR.value),
        head=_read_tflite(_HEAD.value),
        frozen=graph_file.read(_FROZEN_GRAPH.value),
        images=_images(_IMAGES.value),
        labels=_read_labels(_LABELS.value) if _LABELS.value else None,
    )
    files = report.files(checked, name=name, made_from=hashes)
    atomic_files.write_files({os.path.join(folder, path): data for path, data in files.items()})
    for kernels, figures in checked.agreement.items():
        values = ", ".join(f"{figure.name} {figure.value:.5g}" for figure in figures)
        print(f"Agrees with the {kernels.value} kernels: {values}")
    print(f"Written: {', '.join(files)}")


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
