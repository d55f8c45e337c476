r"""Joins an extractor and a head, which are the two parts of a classifier, to one .tflite.

  ./bazelw run join_tflite -- --extractor=NAME_extractor_edgetpu.tflite --head=NAME_head.tflite \
      --output=NAME_edgetpu.tflite

The extractor may be compiled for the Edge TPU:

  edgetpu_compiler NAME_extractor.tflite

The compiled operator and its options stay the same, byte for byte. The head is not compiled, so
that `imprint` and the on-device imprinting engines can change its classes. The result has the
head's description and labels, and TensorFlow Lite metadata.
"""

from imprinting.base import atomic_files, path_flags, program
from imprinting.tflite import pairs

_EXTRACTOR = path_flags.define(
    "extractor",
    "",
    "The part from the image to the embedding, NAME_extractor.tflite, or what the Edge TPU's "
    "compiler made of it, NAME_extractor_edgetpu.tflite.",
)
_HEAD = path_flags.define(
    "head", "", "The rest, from the embedding to the probabilities: NAME_head.tflite."
)
_OUTPUT = path_flags.define("output", "", "The .tflite to write.")


def main() -> None:
    """Joins the files, writes the result, and prints its size."""
    program.require("extractor", "head", "output")
    atomic_files.check_place(_OUTPUT.value)
    atomic_files.check_not_read(_OUTPUT.value, (_EXTRACTOR.value, _HEAD.value))
    parts = []
    for path in (_EXTRACTOR.value, _HEAD.value):
        with open(path, "rb") as file:
            parts.append(file.read())
    joined = pairs.join_files(*parts, names=(_EXTRACTOR.value, _HEAD.value))
    atomic_files.write_atomically(_OUTPUT.value, joined.tflite)
    print(f"Wrote {_OUTPUT.value}: {len(joined.tflite):,} bytes.")
    if joined.is_old:
        print(pairs.OLD)


if __name__ == "__main__":
    program.run(main)
