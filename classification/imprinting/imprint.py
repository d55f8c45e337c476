r"""Adds classes to a network from a few photos each, without training.

  ./bazelw run imprint -- --images_dir=DIR --output=OUT.tflite [--model=IN.tflite] [--keep_classes]
  ./bazelw run imprint -- --model=JOINED.tflite --embedder=EXTRACTOR.tflite \
      --images_dir=DIR --output=OUT.tflite
  ./bazelw run imprint -- --checkpoint=IN --images_dir=DIR --output=OUT

The first two forms are those of imprinting/commands/imprint.py, which also works without
TensorFlow and is described there: DIR holds a folder for each class, with the class's name and its
photos. OUT.tflite has the classes of DIR, with --keep_classes after those of IN.tflite. Without
--model, IN.tflite is EfficientNet-Lite0 with the 1,000 classes of ImageNet, which the build makes.
A class's vector is the mean of the embeddings of its photos, scaled to unit length (Qi, Brown and
Lowe, arXiv 1712.07136, section 3.2). JOINED.tflite is what join_tflite made for the Edge TPU, and
EXTRACTOR.tflite is its extractor before it was compiled.

The checkpoint IN, one of this project or a published classifier, becomes a folder OUT. Continue
with `train --fine_tune_checkpoint=OUT` (the paper's "imprinting + FT") or with
`CHECKPOINT=OUT ./bazelw build frozen_tflite`.
"""

from absl import flags

from classification.nets import network_flags
from imprinting.base import path_flags, program
from imprinting.commands import imprint

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(imprint)
flags.adopt_module_key_flags(network_flags)

path_flags.define(
    "checkpoint",
    "",
    "Instead of --model: a folder of checkpoints, whose newest is used, or a checkpoint's prefix. "
    "If there is no model.json beside it, --image_size and the like say what network it is. The "
    "output is a folder.",
)


def main() -> None:
    """Imprints, and prints what was written."""
    if FLAGS.model and FLAGS.checkpoint:
        raise ValueError("expected either --model or --checkpoint, got both")
    if FLAGS.checkpoint:
        program.require("images_dir", "output")
        if FLAGS.embedder:
            raise ValueError("expected --embedder only with --model, got it with --checkpoint")
        # It loads TensorFlow, which takes seconds.
        from classification.imprinting import checkpoint_program

        checkpoint_program.run(imprint.options())
        return
    described = network_flags.given()
    if described:
        raise ValueError(
            f"expected --{next(iter(described))} only with --checkpoint, got it without: a .tflite "
            "says what network it is"
        )
    imprint.main()


if __name__ == "__main__":
    program.run(main)
