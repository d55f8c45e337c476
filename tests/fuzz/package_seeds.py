"""Writes the valid files that the fuzzer of the package changes."""

import pathlib
import shutil

from imprinting.tflite import metadata, model_file, node_testing
from tests.fuzz import photo_mutations
from transforms.conversion import testing

# Of these files, more copies are changed than of the others.
FREQUENT = "product"


def write(folder: pathlib.Path, product: str | None) -> None:
    """Writes models and photos.

    Args:
      folder: becomes the folder of `models`, `photos`, and `classes`, two photos of a class.
      product: a .tflite of usual size that is also changed; None for none.
    """
    models = folder / "models"
    models.mkdir(parents=True)
    made = {
        "uint8": testing.small(),
        "int8": testing.small(int8=True),
        "float": testing.small(quantise=False),
    }
    for name, small in made.items():
        labelled = metadata.attach(model_file.parse(small.model), testing.LABELS)
        (models / f"{FREQUENT}_{name}.tflite").write_bytes(labelled)
        for part in ("extractor", "head", "embedder", "classes"):
            (models / f"part_{name}_{part}.tflite").write_bytes(getattr(small, part))
    compiled = testing.compiled(made["uint8"].model, kept=5)
    (models / "part_compiled.tflite").write_bytes(compiled)
    for name, kind in node_testing.cases():
        data = model_file.serialise(node_testing.classifier(name, kind))
        (models / f"operator_{name}_{kind}.tflite").write_bytes(data)
    if product is not None:
        shutil.copy(product, models / "large.tflite")
    photos = folder / "photos"
    photos.mkdir()
    for name, data in photo_mutations.photos().items():
        (photos / name).write_bytes(data)
    classes = folder / "classes" / "new"
    classes.mkdir(parents=True)
    for name in ("a.jpg", "a.png"):
        shutil.copy(photos / name, classes / name)
