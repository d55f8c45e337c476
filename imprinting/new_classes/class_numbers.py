"""Assigns new photos to classes of a model, by the names of the classes."""

from collections.abc import Iterable, Sequence

from imprinting.base.labels import normalised
from imprinting.tflite.imprinting import ImprintingEngine


def assign(
    names: Iterable[str],
    engine: ImprintingEngine,
    labels: Sequence[str],
    *,
    are_folders: bool = True,
) -> dict[str, int]:
    """The class number of each name: that of a class of the model, or the next free one.

    Names are equal if they are the same in Unicode's form NFC.

    Args:
      names: the names, each once.
      engine: imprints the classes.
      labels: the names of its classes, in order.
      are_folders: whether the names are those of folders, for errors.

    Raises:
      ValueError: if several classes have the name, or a class that was trained.
    """
    what, advice = "", "take another name"
    if are_folders:
        what = "the folder "
        advice = "give the folder another name, or leave --keep_classes out"
    known: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        known.setdefault(normalised(label), []).append(number)
    numbers: dict[str, int] = {}
    following = engine.num_classes
    for name in names:
        found = known.get(normalised(name), [])
        if len(found) > 1:
            raise ValueError(
                f"expected a name of one class, got {what}{name}, and classes "
                f"{', '.join(map(str, found))} have that name; {advice}"
            )
        if found and not engine.is_imprinted(found[0]):
            raise ValueError(
                f"expected new classes, or ones that were imprinted, got {what}{name}: class "
                f"{found[0]} of that name was trained, and cannot be changed; {advice}"
            )
        numbers[name] = found[0] if found else following
        following += not found
    return numbers
