r"""Applies graph transforms, TensorFlow's and this project's fold_l2_norm, to a graph.

  ./bazelw run transform_graph -- --in_graph=frozen.pb --out_graph=folded.pb --inputs=input \
      --outputs=MobilenetV1/Predictions/Reshape_1 \
      --transforms='strip_unused_nodes fold_constants'

Transforms are given as NAME or NAME(PARAMETER=VALUE, PARAMETER=VALUE), separated by spaces.

In TensorFlow, fold_constants computes the fake-quant nodes of kernels, so that a quantised network
loses its ranges, and does not fold constants of more than 10 MiB. Here it keeps fake-quant nodes
and folds constants of any size, unless --fold_fake_quant is given.
"""

from absl import flags

from imprinting.base import atomic_files, path_flags, program
from transforms import graph_transforms

FLAGS = flags.FLAGS

path_flags.define("in_graph", "", "File with the graph, a GraphDef, in binary or as text.")
path_flags.define("out_graph", "", "File to write the result to, in binary.")
flags.DEFINE_list("inputs", [], "Names of the inputs, separated by commas.")
flags.DEFINE_list("outputs", [], "Names of the outputs, separated by commas.")
flags.DEFINE_string(
    "transforms",
    "",
    "Transforms to apply, in turn. There are "
    + ", ".join(graph_transforms.transform_names())
    + ".",
)
flags.DEFINE_bool(
    "fold_fake_quant",
    False,
    "Whether fold_constants behaves as in TensorFlow: folds fake-quant nodes, whose ranges are "
    "lost, and does not fold constants of more than 10 MiB.",
)


def _is_text(data: bytes) -> bool:
    """Whether a graph is in text form: a binary one has unprintable bytes."""
    try:
        return all(c.isprintable() or c.isspace() for c in data[:1000].decode())
    except UnicodeDecodeError:
        return False


def main() -> None:
    """Reads, transforms and writes the graph."""
    program.require("in_graph", "out_graph", "outputs", "transforms")
    with open(FLAGS.in_graph, "rb") as file:
        graph = file.read()
    transforms = graph_transforms.parse_transforms(FLAGS.transforms)
    if _is_text(graph):
        graph = graph_transforms.from_text(graph)
    result = graph_transforms.transform(
        graph,
        inputs=FLAGS.inputs,
        outputs=FLAGS.outputs,
        transforms=transforms,
        fold_fake_quant=FLAGS.fold_fake_quant,
    )
    atomic_files.write_files({FLAGS.out_graph: result})
    names = [name for name, _ in transforms]
    if "fold_constants" in names and not FLAGS.fold_fake_quant and b"FakeQuant" in graph:
        print(
            "fold_constants kept the fake-quant nodes and their quantisation ranges; "
            "--fold_fake_quant folds them, as TensorFlow does."
        )
    if unknown := graph_transforms.unknown_ops(result):
        print(
            f"TensorFlow does not know the ops {', '.join(unknown)}, so it was not checked that "
            "the result can be imported."
        )
    print(
        f"Applied {', '.join(names)}.\nWritten to {FLAGS.out_graph} ({len(result):,} bytes, "
        f"{len(graph):,} before)"
    )


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
