r"""Freezes a graph: puts the values of a checkpoint's variables into it, as constants.

  ./bazelw run freeze_graph -- --input_graph=inference_graph.pb --input_binary \
      --input_checkpoint=model.ckpt-1000 --output_graph=frozen.pb \
      --output_node_names=MobilenetV1/Predictions/Reshape_1

What the output nodes do not need is left out, and devices are cleared.

Command lines for TensorFlow's tool of that name work here, too. Of its flags, those that change
nothing are accepted, with a note; those that ask for something else than this are an error.
"""

from absl import flags

from transforms import graph_transforms
from transforms.base import atomic_files, path_flags, program

FLAGS = flags.FLAGS

path_flags.define("input_graph", "", "File of the graph: a GraphDef.")
path_flags.define("input_checkpoint", "", "Prefix of the checkpoint, of format V1 or V2.")
flags.DEFINE_bool("input_binary", False, "Whether --input_graph is binary, and not text.")
path_flags.define("output_graph", "", "Where to write the frozen graph, in binary.")
flags.DEFINE_list("output_node_names", [], "Names of the output nodes, separated by commas.")
flags.DEFINE_bool("clear_devices", True, "Devices are always cleared; TensorFlow's tool may not.")

# TensorFlow's flags whose values change nothing here, and why.
_IGNORED = {
    "restore_op_name": "values are read from the checkpoint by their variables' names",
    "filename_tensor_name": "values are read from the checkpoint by their variables' names",
    "checkpoint_version": "the checkpoint's files tell its format",
    "saved_model_tags": "a graph has no tags",
}
# Those that ask for what is not done here, and what to do instead.
_REFUSED = {
    "input_saver": "values are read by the variables' names in --input_graph: leave it out, unless "
    "the saver restores under other names",
    "initializer_nodes": "no node is run: save a checkpoint after these were",
    "variable_names_whitelist": "all variables that the outputs need become constants: leave it "
    "out",
    "variable_names_denylist": "all variables that the outputs need become constants: leave it out",
    "variable_names_blacklist": "all variables that the outputs need become constants: leave it "
    "out",
    "input_meta_graph": "write its graph_def to a file, and give that as --input_graph",
    "input_saved_model_dir": "write its graph_def to a file, and give that as --input_graph",
}
for _name in _IGNORED:
    flags.DEFINE_string(_name, None, f"TensorFlow's flag; ignored: {_IGNORED[_name]}.")
for _name in _REFUSED:
    flags.DEFINE_string(_name, "", f"TensorFlow's flag; an error: {_REFUSED[_name]}.")


def _check_foreign_flags() -> str:
    """What to say of those of TensorFlow's flags that were given and are ignored.

    Raises:
      ValueError: for one that asks for what is not done here.
    """
    for name, instead in _REFUSED.items():
        if FLAGS[name].value:
            raise ValueError(f"expected no --{name}, got {FLAGS[name].value}; {instead}")
    whys: dict[str, list[str]] = {}
    for name, why in _IGNORED.items():
        if FLAGS[name].value is not None:
            whys.setdefault(why, []).append(f"--{name}")
    return "".join(f"Ignored {' and '.join(names)}: {why}.\n" for why, names in whys.items())


def main() -> None:
    """Reads, freezes, writes."""
    ignored = _check_foreign_flags()
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
    atomic_files.write_files({FLAGS.output_graph: frozen})
    print(ignored, end="")
    print(
        f"Frozen with {FLAGS.input_checkpoint} up to {', '.join(FLAGS.output_node_names)}.\n"
        f"Written to {FLAGS.output_graph} ({len(frozen):,} bytes)"
    )


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
