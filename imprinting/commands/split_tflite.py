"""Splits a classifier into its two parts: the extractor, for the Edge TPU's compiler, and the head.

  ./bazelw run split_tflite -- --model=NAME.tflite --output_prefix=PREFIX

Writes PREFIX_extractor.tflite, from the image to what the embedding is normalised from, and
PREFIX_head.tflite, the rest with the classes and their names. `join_tflite` puts the head and the
extractor, which may be compiled by then, together.
"""

from imprinting.base import atomic_files, path_flags, program
from imprinting.inference import default_model
from imprinting.tflite import inference, metadata, model_file, split

_MODEL = path_flags.define("model", "", "The .tflite. Default: the one that the program has.")
_PREFIX = path_flags.define("output_prefix", "", "What the names of the two files begin with.")


def main() -> None:
    """Writes the parts, and prints their sizes."""
    program.require("output_prefix")
    path = _MODEL.value or default_model.path()
    with open(path, "rb") as file:
        data = file.read()
    try:
        inference.verify(data)
        model = model_file.parse(data)
        about = metadata.about(model)
        parts = split.split(model)
        labels = metadata.labels_of(data, must_be_there=False)
        head = model_file.changed(parts.head, description=model.description)
        written = {
            f"{_PREFIX.value}_extractor.tflite": metadata.attach(parts.extractor, None, about),
            f"{_PREFIX.value}_head.tflite": metadata.attach(head, labels, about),
        }
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    atomic_files.write_files(written)
    for name, content in written.items():
        print(f"Wrote {name}: {len(content):,} bytes.")


if __name__ == "__main__":
    program.run(main)
