r"""Freezes a graph: puts the values of a checkpoint's variables into it, as constants.

  ./bazelw run freeze_graph -- --input_graph=inference_graph.pb --input_binary \
      --input_checkpoint=model.ckpt-1000 --output_graph=frozen.pb \
      --output_node_names=MobilenetV1/Predictions/Reshape_1

What the output nodes do not need is left out, and devices are cleared.
"""

from absl import flags

from transforms import graph_transforms, path_flags, program

FLAGS = flags.FLAGS

path_flags.define("input_graph", "", "File of the graph: a GraphDef.")
path_flags.define("input_checkpoint", "", "Prefix of the checkpoint, of format V1 or V2.")
flags.DEFINE_bool("input_binary", False, "Whether --input_graph is binary, and not text.")
path_flags.define("output_graph", "", "Where to write the frozen graph, in binary.")
flags.DEFINE_list("output_node_names", [], "Names of the output nodes, separated by commas.")
flags.DEFINE_bool("clear_devices", True, "Devices are always cleared; TensorFlow's tool may not.")


def main() -> None:
    """Reads, freezes, writes."""
    program.require("input_graph", "input_checkpoint", "output_graph", "output_node_names")
    if not FLAGS.clear_devices:
        raise ValueError("expected --clear_devices: constants of a frozen graph are on no device")
    with open(FLAGS.input_graph, "rb") as file:
        graph = file.read()
    if not FLAGS.input_binary:
        try:
            graph = graph_transforms.from_text(graph)
        except ValueError as error:
            raise ValueError(
                f"{FLAGS.input_graph}: {error} If it is, add --input_binary."
            ) from error
    frozen = graph_transforms.freeze(
        graph, checkpoint=FLAGS.input_checkpoint, outputs=FLAGS.output_node_names
    )
    program.write_files({FLAGS.output_graph: frozen})
    print(
        f"Frozen with {FLAGS.input_checkpoint} up to {', '.join(FLAGS.output_node_names)}.\n"
        f"Written to {FLAGS.output_graph} ({len(frozen):,} bytes)"
    )


if __name__ == "__main__":
    program.run(main)
