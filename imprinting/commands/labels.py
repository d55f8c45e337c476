"""Prints the names of a model's classes, or changes them.

  ./bazelw run labels -- [--model=FILE.tflite]
  ./bazelw run labels -- --model=IN.tflite --output=OUT.tflite --rename=OLD=NEW --remove=NAME

The names are printed one per line, in the order of the classes, as in labels.txt. --rename gives a
class another name, and --remove removes a class; both may be repeated, and OLD and NAME may be the
number of a class. Names are changed first. IN.tflite is a classifier as imprint makes it.
"""

from absl import flags

from imprinting import model
from imprinting.base import path_flags, program
from imprinting.inference import default_model
from imprinting.tflite import metadata

FLAGS = flags.FLAGS

path_flags.define("model", "", "The .tflite. Default: the one that the program has.")
path_flags.define("output", "", "The .tflite to write, which may be the one that is read.")
flags.DEFINE_multi_string("rename", [], "OLD=NEW: gives the class OLD the name NEW.")
flags.DEFINE_multi_string("remove", [], "The class to remove.")


def main() -> None:
    """Prints the names, or writes the changed model."""
    path = FLAGS.model or default_model.path()
    changes = bool(FLAGS.rename or FLAGS.remove)
    if changes != bool(FLAGS.output):
        raise ValueError(
            "expected --output with --rename or --remove, and only then, got "
            + ("--output without them" if FLAGS.output else "them without --output")
        )
    if not changes:
        with open(path, "rb") as file:
            data = file.read()
        names = metadata.labels_of(data)
        if names is None:
            raise ValueError(f"{path}: expected a model with names of its classes, got none")
        print("\n".join(names))
        return
    changed = model.load(path)
    for pair in FLAGS.rename:
        old, separator, new = pair.partition("=")
        if not separator:
            raise ValueError(f"expected --rename=OLD=NEW, got {pair}")
        changed.rename(_class(old, changed), new)
    for name in FLAGS.remove:
        changed.remove(_class(name, changed))
    changed.save(FLAGS.output)
    print(f"Wrote {FLAGS.output}: {len(changed.labels):,} classes.")


def _class(text: str, changed: model.Model) -> str | int:
    """A class as the user gives it: its name, or its number if no class has that name."""
    return int(text) if text.isdecimal() and text not in changed.labels else text


if __name__ == "__main__":
    program.run(main)
