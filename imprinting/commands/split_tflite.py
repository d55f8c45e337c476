"""Splits a classifier into its two parts: the extractor, for the Edge TPU's compiler, and the head.

  ./bazelw run split_tflite -- --model=NAME.tflite --output_prefix=PREFIX

Writes PREFIX_extractor.tflite, from the image to what the embedding is normalised from, and
PREFIX_head.tflite, the rest with the classes and their names. `./bazelw run join_tflite`
puts the head and the extractor, which may be compiled by then, together.
"""

import os

from imprinting.base import atomic_files, path_flags, program
from imprinting.commands import model_path
from imprinting.tflite import inference, metadata, model_file, split

model_path.define("The .tflite.")
_PREFIX = path_flags.define("output_prefix", "", "What the names of the two files begin with.")


def main() -> None:
    """Writes the parts, and prints their sizes."""
    program.require("output_prefix")
    if not os.path.basename(_PREFIX.value):
        raise ValueError(
            f"expected --output_prefix to end with the beginning of a name, got {_PREFIX.value}; "
            f"for example {_PREFIX.value}model"
        )
    path = model_path.given()
    names = [f"{_PREFIX.value}_{part}.tflite" for part in ("extractor", "head")]
    for name in names:
        atomic_files.check_place(name)
        atomic_files.check_not_read(name, [path])
    with open(path, "rb") as file:
        data = file.read()
    try:
        model = inference.verify(data, compiled=False)
        about = metadata.about(model)
        parts = split.split(model)
        labels = metadata.labels_of(data, model, must_be_there=False)
        head = model_file.changed(parts.head, description=model.description)
        contents = (
            metadata.attach(parts.extractor, None, about),
            metadata.attach(head, labels, about),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    written = dict(zip(names, contents, strict=True))
    atomic_files.write_files(written)
    for name, content in written.items():
        print(f"Wrote {name}: {len(content):,} bytes.")


if __name__ == "__main__":
    program.run(main)
