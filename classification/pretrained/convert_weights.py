"""Makes a network of this project from the published weights of an EfficientNet-Lite.

  ./bazelw run //classification/pretrained:convert_weights -- --network=efficientnet_lite0 \
      --weights=FILE.pth --synsets=FILE --lemmas=FILE --output_dir=DIR

This writes a checkpoint, model.json and labels.txt. Nothing is trained: quantisation ranges are
computed from batch norm, and the embedding from the moments of the features of some photos, which
measure_moments writes (see deployment/head_values.py). Equal files give equal bytes.
"""

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from classification.base import runner
from classification.deployment import deployable, published_head
from classification.nets import networks
from classification.nets.efficientnet_lite_blocks import VARIANTS
from classification.nets.model_config import ModelConfig
from classification.pretrained import efficientnet_lite_weights, imagenet_labels, pytorch_file
from imprinting.base import labels as label_files
from imprinting.base import path_flags, program
from imprinting.embedding.leading_moments import LeadingMoments

FLAGS = flags.FLAGS
_VARIANTS = {variant.name: variant for variant in VARIANTS}

flags.DEFINE_enum("network", "efficientnet_lite0", list(_VARIANTS), "The network.")
path_flags.define("weights", "", "The weights: a PyTorch file in the legacy format.")
path_flags.define("synsets", "", "File of the WordNet ID of each class, in order, one per line.")
path_flags.define("lemmas", "", "File of lines ID, tab, names, for these IDs and others.")
path_flags.define(
    "moments",
    "",
    "The moments of the network's features. Default: the features' mean, computed from batch norm, "
    "which is less accurate once classes are imprinted.",
)
flags.DEFINE_bool("quantize", True, "Whether the network is quantised.")
path_flags.define("output_dir", "", "Folder to write: new, empty, or an earlier result.")


def main() -> None:
    """Reads the files, writes the folder, and prints what was done."""
    program.require("weights", "synsets", "lemmas", "output_dir")
    labels = imagenet_labels.read(FLAGS.synsets, FLAGS.lemmas)
    state = pytorch_file.read(FLAGS.weights)
    try:
        values = efficientnet_lite_weights.variables(state, _VARIANTS[FLAGS.network])
    except ValueError as error:
        raise ValueError(f"{FLAGS.weights}: {error}") from error
    network = networks.get(FLAGS.network)
    rows = values[network.published.kernel]
    label_files.check_count(
        labels, rows.shape[1], FLAGS.synsets, otherwise="name the files of its classes"
    )
    model = ModelConfig(
        network=network.name,
        image_size=network.image_size,
        num_classes=len(labels),
        quantize=FLAGS.quantize,
        labels=labels,
        dataset="ImageNet",
    )
    moments = LeadingMoments.load(FLAGS.moments) if FLAGS.moments else None
    values = published_head.make_values(values, rows, model, moments)
    deployable.write(FLAGS.output_dir, model, values)
    print(f"Network: {model.describe()}.")
    print(f"Written to {FLAGS.output_dir}")


if __name__ == "__main__":
    runner.run(main)
