"""Writes the graph of a network with an L2-normalised embedding and last layer.

  ./bazelw run export

writes the graph of the newest network below models/, beside its checkpoints. The graph contains no
weights; freeze_graph adds them.

The `model.json` of --checkpoint_dir describes the network. Without --checkpoint_dir, flags describe
it if one of --network, --image_size, --num_classes, --depth_multiplier, --quantize and
--learned_embedding_range is given; then --output_file is required. Without these flags, it is the
newest network below models/. If there is no `model.json`, or no network yet, flags and their
defaults describe it.
"""

import os

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from classification.base import runner
from classification.deployment import export
from classification.nets import checkpoints, model_flags
from classification.nets.model_config import ModelConfig
from imprinting.base import path_flags

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(model_flags)

flags.DEFINE_bool(
    "is_training",
    False,
    "Write the graph of training, with dropout, batch norm on the batch's statistics, and the "
    "operations that update statistics and ranges.",
)
flags.DEFINE_integer("batch_size", None, "Number of images in a batch. Default: any number.")
path_flags.define(
    "output_file",
    "",
    "Where to write the graph. Default: inference_graph.pb, or .pbtxt, beside the checkpoints.",
)
flags.DEFINE_bool("write_text_graphdef", False, "Write the graph as text.")
path_flags.define(
    "checkpoint_dir",
    "",
    "Folder of the checkpoints, or a checkpoint's prefix, of the network to write the graph of.",
)


def _network(given: bool) -> str | None:
    """The network's checkpoint or its folder; None if only flags describe the network.

    Args:
      given: whether a flag that describes the network was set by hand.
    """
    if FLAGS.checkpoint_dir:
        return FLAGS.checkpoint_dir
    if given:
        return None
    try:
        return checkpoints.newest_model()
    except FileNotFoundError:
        if FLAGS.output_file:
            return None
        raise


def main() -> None:
    """Writes the graph, and prints its input and output."""
    given = model_flags.given()
    network = _network(bool(given))
    # No checkpoint's network has 0 classes: 0 means to write the graph up to the embedding.
    embedding_only = given.get("num_classes") == 0
    if embedding_only:
        del given["num_classes"]
    if network is None:
        checkpoint, model = None, ModelConfig(**model_flags.with_defaults(given))
    else:
        checkpoint = checkpoints.find(network)
        model = model_flags.resolve(checkpoint, given, say=print)
    path = FLAGS.output_file
    if not path:
        if checkpoint is None:
            raise ValueError(
                "expected --output_file with flags that describe a network, or --checkpoint_dir, "
                "got neither"
            )
        ending = "pbtxt" if FLAGS.write_text_graphdef else "pb"
        path = os.path.join(checkpoint.folder, f"inference_graph.{ending}")
    graph = export.build(
        model=model,
        batch_size=FLAGS.batch_size,
        is_training=FLAGS.is_training,
        embedding_only=embedding_only,
        checkpoint=checkpoint,
    )
    graph.write(path, text=FLAGS.write_text_graphdef)
    source = "described by flags" if checkpoint is None else f"of {checkpoint.folder}"
    classes = "up to the embedding" if embedding_only else ""
    print(f"Network {source}: {model.describe(classes)}.")
    print(f"Input: {graph.input_name}")
    print(f"Output: {graph.output_name}")
    print(f"Written to {path}")


if __name__ == "__main__":
    runner.run(main)
