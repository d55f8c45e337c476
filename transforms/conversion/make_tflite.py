"""Makes a .tflite and its two parts from a graph and a checkpoint.

  make_tflite --graph=GRAPH.pb --checkpoint=PREFIX \
      --frozen=F.pb --folded=G.pb --model=M.tflite --extractor=E.tflite --head=H.tflite

The graph is frozen with the checkpoint's values, folded, converted, and split before its
L2_NORMALIZATION.
The .tflite is quantised if the graph has fake-quant nodes, otherwise float. The files are not
checked; check_tflite does that.
"""

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from imprinting.base import atomic_files, path_flags, program
from imprinting.tflite import model_file, model_graph
from transforms.conversion import products

_GRAPH = path_flags.define("graph", "", "The network's graph for inference, a binary GraphDef.")
_CHECKPOINT = path_flags.define("checkpoint", "", "The prefix of the checkpoint.")
_INPUT_NAME = flags.DEFINE_string(
    "input_name", "", "The node that takes the image. Default: the only Placeholder."
)
_OUTPUT_NAME = flags.DEFINE_string(
    "output_name",
    "",
    "The node that gives the probabilities. Default: the last one after the only Softmax.",
)
_FROZEN = path_flags.define("frozen", "", "Where to write the frozen graph.")
_FOLDED = path_flags.define("folded", "", "Where to write the frozen and folded graph.")
_MODEL = path_flags.define("model", "", "Where to write the .tflite.")
_EXTRACTOR = path_flags.define(
    "extractor", "", "Where to write its part before the L2_NORMALIZATION."
)
_HEAD = path_flags.define("head", "", "Where to write the rest of it.")


def main() -> None:
    """Writes the files, and prints their sizes."""
    program.require("graph", "checkpoint")
    program.require("frozen", "folded", "model", "extractor", "head")
    for output in (_FROZEN, _FOLDED, _MODEL, _EXTRACTOR, _HEAD):
        atomic_files.check_place(output.value)
    with open(_GRAPH.value, "rb") as file:
        graph = file.read()
    try:
        made = products.make(
            graph,
            checkpoint=_CHECKPOINT.value,
            input_name=_INPUT_NAME.value or None,
            output_name=_OUTPUT_NAME.value or None,
        )
    except ValueError as error:
        raise ValueError(f"{_GRAPH.value}: {error}") from error
    contents = {
        _FROZEN.value: made.frozen,
        _FOLDED.value: made.folded,
        _MODEL.value: model_file.serialise(made.tflite_model),
        _EXTRACTOR.value: model_file.serialise(made.parts.extractor),
        _HEAD.value: model_file.serialise(made.parts.head),
    }
    atomic_files.write_files(contents)
    input_type = model_graph.graph(made.tflite_model).inputs[0].type
    kind = "Quantised" if input_type == "UINT8" else "Float"
    print(f"{kind}. Written:")
    for path, data in contents.items():
        print(f"  {len(data):>12,} bytes  {path}")


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
