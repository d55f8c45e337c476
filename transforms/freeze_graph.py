r"""Freezes a graph: replaces its variables by constants with their values from a checkpoint.

  ./bazelw run freeze_graph -- --input_graph=inference_graph.pb --input_binary \
      --input_checkpoint=model.ckpt-1000 --output_graph=frozen.pb \
      --output_node_names=MobilenetV1/Predictions/Reshape_1

Nodes that the output nodes do not depend on are removed, and devices are cleared.

Command lines for TensorFlow's tool with the same name work here too. Those of its flags that have
no effect here are ignored, with a message; those that ask for something else are an error.
"""

from absl import flags

from imprinting.base import atomic_files, path_flags, program
from transforms import graph_transforms

FLAGS = flags.FLAGS

path_flags.define("input_graph", "", "File with the graph, a GraphDef.")
path_flags.define("input_checkpoint", "", "Prefix of the checkpoint, in format V1 or V2.")
flags.DEFINE_bool("input_binary", False, "Whether --input_graph is binary instead of text.")
path_flags.define("output_graph", "", "File to write the frozen graph to, in binary.")
flags.DEFINE_list("output_node_names", [], "Names of the output nodes, separated by commas.")
flags.DEFINE_bool("clear_devices", True, "Must be true: devices are always cleared.")

# Flags of TensorFlow's tool that have no effect here, and why.
_IGNORED = {
    "restore_op_name": "values are read from the checkpoint by their variables' names",
    "filename_tensor_name": "values are read from the checkpoint by their variables' names",
    "checkpoint_version": "the format is recognised from the checkpoint's files",
    "saved_model_tags": "a graph has no tags",
}
_ALL_VARIABLES = "omit it: all variables that the outputs depend on become constants"
_ONLY_GRAPH_DEF = "write its graph_def to a file, and give that as --input_graph"
# Flags of TensorFlow's tool that are not supported, and what to do instead.
_UNSUPPORTED = {
    "input_saver": "omit it: values are read by the variables' names in --input_graph; a saver "
    "that uses other names is not supported",
    "initializer_nodes": "no nodes are run: run them before the checkpoint is saved",
    "variable_names_whitelist": _ALL_VARIABLES,
    "variable_names_denylist": _ALL_VARIABLES,
    "variable_names_blacklist": _ALL_VARIABLES,
    "input_meta_graph": _ONLY_GRAPH_DEF,
    "input_saved_model_dir": _ONLY_GRAPH_DEF,
}
for _name in _IGNORED:
    flags.DEFINE_string(_name, None, f"Ignored flag of TensorFlow's tool: {_IGNORED[_name]}.")
for _name in _UNSUPPORTED:
    flags.DEFINE_string(_name, "", f"Unsupported flag of TensorFlow's tool: {_UNSUPPORTED[_name]}.")


def _check_tensorflow_flags() -> str:
    """Returns a message about the flags of TensorFlow's tool that were given and are ignored.

    Raises:
      ValueError: if an unsupported flag was given.
    """
    for name, instead in _UNSUPPORTED.items():
        if FLAGS[name].value:
            raise ValueError(f"expected no --{name}, got {FLAGS[name].value}; {instead}")
    names_by_reason: dict[str, list[str]] = {}
    for name, reason in _IGNORED.items():
        if FLAGS[name].value is not None:
            names_by_reason.setdefault(reason, []).append(f"--{name}")
    return "".join(
        f"Ignored {' and '.join(names)}: {reason}.\n" for reason, names in names_by_reason.items()
    )


def main() -> None:
    """Reads, freezes and writes the graph."""
    ignored = _check_tensorflow_flags()
    program.require("input_graph", "input_checkpoint", "output_graph", "output_node_names")
    if not FLAGS.clear_devices:
        raise ValueError("expected --clear_devices, got --noclear_devices; omit it")
    with open(FLAGS.input_graph, "rb") as file:
        graph = file.read()
    if not FLAGS.input_binary:
        try:
            graph = graph_transforms.from_text(graph)
        except ValueError as error:
            raise ValueError(
                f"{FLAGS.input_graph}: {error}; if it is binary, add --input_binary"
            ) from error
    frozen = graph_transforms.freeze(
        graph, checkpoint=FLAGS.input_checkpoint, outputs=FLAGS.output_node_names
    )
    atomic_files.write_files({FLAGS.output_graph: frozen})
    print(ignored, end="")
    print(
        f"Frozen with {FLAGS.input_checkpoint}, for outputs {', '.join(FLAGS.output_node_names)}.\n"
        f"Written to {FLAGS.output_graph} ({len(frozen):,} bytes)"
    )


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
