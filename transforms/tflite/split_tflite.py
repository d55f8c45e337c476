"""Cuts a .tflite in two at its embedding.

  split_tflite --model=MODEL.tflite --extractor=EXTRACTOR.tflite --head=HEAD.tflite

The extractor's output is the head's input, of the same type, shape, scale and zero point.
"""

import third_party.tensorflow.quiet  # noqa: F401

# isort: split

from transforms.base import atomic_files, path_flags, program
from transforms.tflite import model_file, split

_MODEL = path_flags.define("model", "", "The .tflite to cut.")
_EXTRACTOR = path_flags.define("extractor", "", "Where to write the part up to the embedding.")
_HEAD = path_flags.define("head", "", "Where to write the rest.")


def main() -> None:
    """Cuts, and says what came out."""
    program.require("model", "extractor", "head")
    model = model_file.read(_MODEL.value)
    try:
        parts = split.split(model)
    except ValueError as error:
        raise ValueError(f"{_MODEL.value}: {error}") from error
    contents = {
        _EXTRACTOR.value: model_file.serialise(parts.extractor),
        _HEAD.value: model_file.serialise(parts.head),
    }
    atomic_files.write_files(contents)
    for path, data in contents.items():
        print(f"Written: {len(data):,} bytes, {path}")


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
