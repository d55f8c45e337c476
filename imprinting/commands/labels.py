"""Prints the names of a model's classes, or changes them.

  ./bazelw run labels -- [--model=FILE.tflite]
  ./bazelw run labels -- --model=IN.tflite --output=OUT.tflite --rename=OLD=NEW --remove=NAME

The names are printed one per line, in the order of the classes, as in labels.txt. --rename gives a
class another name, and --remove removes a class; both may be repeated, and OLD and NAME may be the
number of a class in IN.tflite, from 0. Names are changed first. IN.tflite is a classifier as
`./bazelw run imprint` makes it.
"""

from collections.abc import Sequence

from absl import flags

from imprinting import arguments, model
from imprinting.base import path_flags, program
from imprinting.base.labels import normalised
from imprinting.commands import model_path
from imprinting.tflite import metadata

FLAGS = flags.FLAGS

model_path.define("The .tflite.")
path_flags.define("output", "", "The .tflite to write, which may be the one that is read.")
flags.DEFINE_multi_string(
    "rename", [], "OLD=NEW: gives the class OLD, a name or number, the name NEW."
)
flags.DEFINE_multi_string("remove", [], "The class to remove: its name or number.")


def main() -> None:
    """Prints the names, or writes the changed model."""
    path = model_path.given()
    changes = bool(FLAGS.rename or FLAGS.remove)
    if changes != bool(FLAGS.output):
        raise ValueError(
            "expected --output with --rename or --remove, and only then, got "
            + ("--output without them" if FLAGS.output else "them without --output")
        )
    if not changes:
        print("\n".join(_names(path)))
        return
    changed = model.load(path)
    for pair in FLAGS.rename:
        old, separator, new = pair.partition("=")
        if not separator:
            raise ValueError(f"expected --rename=OLD=NEW, got {pair}")
        changed.rename(_number(old, changed.labels), new)
    # From the last on, so that the numbers of those before it stay the same.
    for number in sorted({_number(name, changed.labels) for name in FLAGS.remove}, reverse=True):
        changed.remove(number)
    changed.save(FLAGS.output)
    print(f"Wrote {FLAGS.output}: {len(changed.labels):,} classes.")


def _names(path: str) -> tuple[str, ...]:
    with open(path, "rb") as file:
        data = file.read()
    try:
        names = metadata.labels_of(data)
        if names is None:
            raise ValueError("expected a model with names of its classes, got none")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return names


def _number(text: str, names: Sequence[str]) -> int:
    """The number of a class as the user gives it: its name, or its number if none has that name."""
    is_number = text.isdecimal() and normalised(text) not in names
    return arguments.class_number(int(text) if is_number else text, names)


if __name__ == "__main__":
    program.run(main)
