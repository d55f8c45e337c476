r"""Draws photos with a network's answers before and after imprinting, as one JPEG file.

  ./bazelw run python -- tests/pictures/before_and_after.py BEFORE.tflite AFTER.tflite OUT.jpg \
      PHOTO...

The folder that a photo is in names its class. docs/README.md says how the picture in the main
README was made.
"""

import dataclasses
import io
import pathlib
import sys

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from PIL import Image, ImageDraw, ImageFont, ImageOps

from imprinting.photos.pixel_reader import PixelReader
from imprinting.tflite import inference, metadata, model_file, model_graph
from imprinting.tflite.inference import Kernels

_COLUMNS = 4
_SIDE, _GAP, _LINE = 232, 14, 19
_TEXT = 13
_BLACK, _RIGHT, _WRONG = "#24292f", "#1a7f37", "#cf222e"


@dataclasses.dataclass(frozen=True)
class Answer:
    """A network's answer for one photo.

    Attributes:
      name: of the class with the highest probability.
      probability: of that class, from 0 to 1.
    """

    name: str
    probability: float


@dataclasses.dataclass(frozen=True)
class Row:
    """A photo with its answers.

    Attributes:
      path: the photo's file, in a folder named after its class.
      before: the answer before imprinting.
      after: the answer after imprinting.
      is_new: whether the class was imprinted.
    """

    path: pathlib.Path
    before: Answer
    after: Answer
    is_new: bool


def read_labels(tflite: bytes) -> tuple[str, ...]:
    """Returns the class names in a .tflite.

    Raises:
      ValueError: if there are none.
    """
    labels = metadata.labels_of(tflite)
    if not labels:
        raise ValueError("expected a model with labels, got one without")
    return labels


def classify(tflite: bytes, paths: list[pathlib.Path]) -> list[Answer]:
    """Returns a quantised classifier's answers for image files.

    Args:
      tflite: the bytes of a quantised classifier with labels.
      paths: image files.

    Raises:
      BadImageError: if a file cannot be read as an image.
      ValueError: if the model has no labels.
    """
    model = model_file.parse(tflite)
    graph = model_graph.graph(model)
    labels = read_labels(tflite)
    runner = inference.Runner(tflite, kernels=Kernels.DEFAULT)
    answers = []
    reader = PixelReader(graph.inputs[0].shape[1], metadata.crop_of(model))
    for path in paths:
        (quanta,) = runner.run(reader.read(str(path))[0])
        probabilities = graph.outputs[0].dequantise(quanta)
        best = int(probabilities.argmax())
        answers.append(Answer(labels[best], float(probabilities[best])))
    return answers


def draw(rows: list[Row]) -> bytes:
    """Returns a JPEG file of the photos, four in a line, each above its class and its answers."""
    lines = -(-len(rows) // _COLUMNS)
    width, height = _SIDE + _GAP, _SIDE + 3 * _LINE + 2 * _GAP
    picture = Image.new("RGB", (_GAP + _COLUMNS * width, _GAP + lines * height), "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_TEXT)
    for index, row in enumerate(rows):
        x = _GAP + index % _COLUMNS * width
        y = _GAP + index // _COLUMNS * height
        with Image.open(row.path) as photo:
            square = ImageOps.fit(ImageOps.exif_transpose(photo).convert("RGB"), (_SIDE, _SIDE))
        picture.paste(square, (x, y))
        name = row.path.parent.name
        kind = "new class" if row.is_new else "trained class"
        texts = [(f"{name} ({kind})", _BLACK)]
        for when, answer in (("before", row.before), ("after", row.after)):
            colour = _RIGHT if answer.name == name else _WRONG
            texts.append((f"{when}: {answer.name}, {answer.probability:.0%}", colour))
        for line, (text, colour) in enumerate(texts):
            pen.text((x, y + _SIDE + 6 + line * _LINE), text, fill=colour, font=font)
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=85, optimize=True)
    return file.getvalue()


def main() -> None:
    """Classifies the photos by both networks, and writes the picture."""
    if len(sys.argv) < 5:
        sys.exit("expected the arguments BEFORE.tflite AFTER.tflite OUT.jpg PHOTO...")
    models = [pathlib.Path(path).read_bytes() for path in sys.argv[1:3]]
    paths = [pathlib.Path(path) for path in sys.argv[4:]]
    answers = [classify(model, paths) for model in models]
    trained = read_labels(models[0])
    rows = [
        Row(path, before, after, path.parent.name not in trained)
        for path, before, after in zip(paths, *answers, strict=True)
    ]
    pathlib.Path(sys.argv[3]).write_bytes(draw(rows))


if __name__ == "__main__":
    main()
