"""Assigns folders of photos to classes of a model."""

from collections.abc import Iterable, Sequence

from imprinting.base.labels import normalised
from imprinting.tflite.imprinting import ImprintingEngine


def assign(names: Iterable[str], engine: ImprintingEngine, labels: Sequence[str]) -> dict[str, int]:
    """The class number of each name: that of a class of the model, or the next free one.

    Names are equal if they are the same in Unicode's form NFC.

    Args:
      names: those of the folders, each once.
      engine: imprints the classes.
      labels: the names of its classes, in order.

    Raises:
      ValueError: if several classes have the name, or a class that was trained.
    """
    known: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        known.setdefault(normalised(label), []).append(number)
    numbers: dict[str, int] = {}
    following = engine.num_classes
    for name in names:
        found = known.get(normalised(name), [])
        if len(found) > 1:
            raise ValueError(
                f"expected a name of one class, got the folder {name}, and classes "
                f"{', '.join(map(str, found))} have that name; give the folder another"
            )
        if found and not engine.is_imprinted(found[0]):
            raise ValueError(
                f"expected new classes, or ones that were imprinted, got the folder {name}: class "
                f"{found[0]} of that name was trained, and cannot be changed; give the folder "
                "another name, or leave --keep_classes out"
            )
        numbers[name] = found[0] if found else following
        following += not found
    return numbers
