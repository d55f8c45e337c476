"""The names of a .tflite's classes, which it may carry in part, or not at all."""

from collections.abc import Sequence

from imprinting.base import labels as label_files
from imprinting.tflite import metadata
from imprinting.tflite.model_graph import Model


def of(
    data: bytes,
    tflite_model: Model,
    num_classes: int,
    given: Sequence[str] | None = None,
    *,
    source: str = "labels",
) -> tuple[list[str], int]:
    """Names all classes of a .tflite.

    Args:
      data: the bytes of the .tflite.
      tflite_model: the model in these bytes.
      num_classes: the number of its classes.
      given: their names; None means those that it carries.
      source: what an error about the number of names that are given calls their source.

    Returns:
      The names, in order, and how many of these are numbers, for lack of a name.

    Raises:
      ValueError: if there are names for more classes, or names that are empty, or if the number of
        names that are given is not that of classes.
    """
    if given is not None and num_classes:
        label_files.check_count(given, num_classes, source)
        return [*given], 0
    if not num_classes:
        return [], 0
    # An on-device engine keeps the description of the labels, but loses their file.
    labels = metadata.labels_of(data, tflite_model, must_be_there=False) or ()
    has_empty = "" in map(str.strip, labels)
    if len(labels) > num_classes or has_empty:
        raise ValueError(
            f"expected names of at most its {num_classes} classes, got {len(labels)}"
            f"{', some of them empty' if has_empty else ''}; give others with --labels"
        )
    return [*labels, *map(str, range(len(labels), num_classes))], num_classes - len(labels)
