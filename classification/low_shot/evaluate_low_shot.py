r"""Measures how well a network learns new classes from a few photos, by imprinting and other ways.

  ./bazelw run evaluate_low_shot -- --model=MODEL.tflite --base_dir=BASE --novel_dir=NOVEL \
      --output_dir=REPORT

MODEL is a quantised classifier of the base classes, which carries their names. --checkpoint names
a network as it is trained, instead of MODEL or besides it. BASE and NOVEL contain photos of the
base classes and of others: either in class folders within folders `train` and `test` (or
`validation`, or another usual name), or as the TFRecords and labels.txt that `./bazelw run
convert_images` writes. For several numbers n and seeds, n of the train photos of each novel class
are drawn and learned from; then the test photos are classified.

The program prints four accuracies: of the novel classes' photos among the novel classes, of the
same photos among all classes, of the base's photos among all classes, and of all photos; then the
harmonic mean of the second and the third, for networks that keep their classes. REPORT gets each
draw as CSV, and a plot. "deployed" is what the .tflite itself computes; all other methods compute
class vectors and cosines in float, from the network's embeddings. Fine-tuning trains all class
vectors; the rest of the network is unchanged. "fitted" also fits the embedding to the photos, in
closed form, as `imprint --fit_embedding` does.

With --views above 1, templates are also averaged over parts of each photo, and the embedding is
fitted to these parts. It can then be fitted even to one photo of each class; `imprint` uses 4 to 7.

The cost of quantisation is reported step by step, as far as there are networks to compare. In the
"float activations" of a quantised checkpoint, activations stay within their ranges but are not
rounded. Next, they are rounded, as in training. With --model besides, the base's class vectors are
also rounded, and the .tflite computes the embeddings. Last, it computes everything, "deployed".
Kernels before the embedding are quantised in all of these. To measure what that costs, let
--checkpoint name a network that was trained in float.
"""

import os
import warnings

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from classification.base import runner
from classification.low_shot import embedding_sources, low_shot_report, trials
from classification.low_shot.embedding_sources import Source
from classification.low_shot.trials import Settings
from classification.nets import checkpoints, model_flags
from imprinting.base import atomic_files, path_flags, program
from imprinting.base.progress_bar import ProgressBar

FLAGS = flags.FLAGS

path_flags.define("model", "", "The .tflite: a quantised classifier of the base classes.")
path_flags.define(
    "checkpoint",
    "",
    "A folder of checkpoints of the base classes, whose newest is used, or a checkpoint's prefix.",
)
path_flags.define(
    "base_dir",
    "",
    "Photos of the base classes: train and test folders, or TFRecords, which are unpacked into the "
    "folder of temporary files.",
)
path_flags.define("novel_dir", "", "Photos of the novel classes, in the same form.")
path_flags.define("output_dir", "", "Folder for the report. Default: none is written.")
path_flags.define(
    "cache_dir", "", "Folder in which embeddings are kept, by the content of model and photos."
)
flags.DEFINE_list(
    "shots", ["1", "2", "5", "10", "20"], "Numbers of photos of each novel class to learn from."
)
flags.DEFINE_integer("num_seeds", 20, "How often photos are drawn, for each of these numbers.")
flags.DEFINE_integer(
    "views",
    1,
    "Parts of each photo that templates may be averaged over, and the embedding fitted to.",
)
flags.DEFINE_boolean(
    "skip_bad_images",
    False,
    "Skip photos that cannot be read, and list them. Otherwise they are an error.",
)

FILES = ("low_shot.csv", "low_shot.png")


def main() -> None:
    """Measures, prints the table, and writes the report."""
    program.require(("model", "checkpoint"), "base_dir", "novel_dir")
    settings = Settings(
        shots=_shots(),
        num_seeds=FLAGS.num_seeds,
        views=FLAGS.views,
        skip_bad_images=FLAGS.skip_bad_images,
        cache_dir=FLAGS.cache_dir,
    )
    described = model_flags.given()
    if described:
        raise ValueError(
            f"expected no --{next(iter(described))}: a .tflite, or the model.json beside a "
            "checkpoint, says what network it is"
        )
    if FLAGS.output_dir:
        atomic_files.check_replaceable(FLAGS.output_dir, FILES)
    # Warnings about damaged EXIF data, large images and the like, which users need not correct.
    warnings.filterwarnings("ignore", module="PIL")
    sources = _sources()
    with ProgressBar() as progress:
        results = trials.run(
            sources,
            FLAGS.base_dir,
            FLAGS.novel_dir,
            settings,
            network=FLAGS.model or FLAGS.checkpoint,
            say=print,
            on_progress=progress.show,
        )
    low_shot_report.show(results)
    if FLAGS.output_dir:
        with atomic_files.atomic_folder(FLAGS.output_dir, FILES) as partial:
            contents = (low_shot_report.to_csv(results), low_shot_report.plot(results))
            for name, data in zip(FILES, contents, strict=True):
                atomic_files.write_atomically(os.path.join(partial, name), data)
        print(f"Written: {', '.join(os.path.join(FLAGS.output_dir, name) for name in FILES)}")


def _shots() -> tuple[int, ...]:
    try:
        return tuple(sorted({int(n) for n in FLAGS.shots}))
    except ValueError as error:
        raise ValueError(
            f"expected numbers of at least 1 as --shots, as in 1,5,20, got {','.join(FLAGS.shots)}"
        ) from error


def _sources() -> list[Source]:
    """The networks that --model and --checkpoint name."""
    sources = [embedding_sources.of_model(FLAGS.model)] if FLAGS.model else []
    if FLAGS.checkpoint:
        checkpoint = checkpoints.find(FLAGS.checkpoint)
        model = model_flags.resolve(checkpoint, {}, say=print)
        sources += embedding_sources.of_checkpoint(checkpoint, model)
    return sources


if __name__ == "__main__":
    runner.run(main)
