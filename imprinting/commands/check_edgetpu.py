r"""Predicts what the Edge TPU's compiler will do with each operator of a .tflite.

  ./bazelw run check_edgetpu -- --model=NAME_extractor.tflite

Prints for each operator whether it is mapped to the Edge TPU, or left on the CPU and why; how many
bytes of parameters there are, of 8 MiB of memory on the chip; and the command that compiles the
model. Compile the extractor: the head stays on the CPU, so that its classes can be changed.

The rules are those of Coral's documentation, whose pages are listed at the end. The compiler has
limits that are not documented, so the log that it writes has the last word.
"""

from imprinting.base import path_flags, program
from imprinting.tflite import edge_tpu, edge_tpu_text, model_file

_MODEL = path_flags.define(
    "model", "", "The .tflite, before it is compiled: NAME_extractor.tflite of a pair."
)


def main() -> None:
    """Prints the prediction."""
    program.require("model")
    prediction = edge_tpu.predict(model_file.read(_MODEL.value))
    if prediction.refusal:
        raise ValueError(f"{_MODEL.value}: {prediction.refusal}")
    print(edge_tpu_text.describe(prediction, _MODEL.value))


if __name__ == "__main__":
    program.run(main)
