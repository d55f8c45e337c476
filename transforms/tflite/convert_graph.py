"""Converts a frozen and folded graph to a .tflite.

  convert_graph --graph=FOLDED.pb --output=MODEL.tflite

Quantised where the graph has fake-quant nodes, else float. Input and output are found in
the graph: its only Placeholder, and the end of its only Softmax.
"""

import third_party.tensorflow.quiet  # noqa: F401

# isort: split

from transforms.base import atomic_files, path_flags, program
from transforms.tflite import convert, graph_file

_GRAPH = path_flags.define("graph", "", "The graph, a binary GraphDef.")
_OUTPUT = path_flags.define("output", "", "Where to write the .tflite.")


def main() -> None:
    """Converts, and says what came out."""
    program.require("graph", "output")
    graph_def = graph_file.read(_GRAPH.value)
    try:
        data = convert.convert(graph_def)
    except ValueError as error:
        raise ValueError(f"{_GRAPH.value}: {error}") from error
    atomic_files.write_files({_OUTPUT.value: data})
    kind = "quantised" if graph_file.is_quantised(graph_def) else "float"
    print(f"Converted: {kind}, {len(data):,} bytes, {_OUTPUT.value}")


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
