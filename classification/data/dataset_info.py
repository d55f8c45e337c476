"""`dataset.json`: lists the record files of a data set and how many images they hold.

`convert_images` writes it beside the record files, so that readers need not count the
records. The record files may also be in another folder. The classes' names are in
`labels.txt` (see `records`).
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from classification.data import storage

FILE_NAME = "dataset.json"
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Shard:
    """A record file.

    Attributes:
      path: relative to the folder of `dataset.json`, or absolute, or with a scheme, as in
        `gs://bucket/file`.
      num_examples: number of records.
      num_bytes: its size. A file of another size has been changed.
    """

    path: str
    num_examples: int
    num_bytes: int

    def __post_init__(self) -> None:
        if type(self.path) is not str or not self.path:
            raise ValueError(f"expected path to be the name of a file, got {self.path!r}")
        for name in ("num_examples", "num_bytes"):
            _check_count(name, getattr(self, name))


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """The files of a data set, and how they were made.

    Attributes:
      splits: the record files of the splits "train", "validation" and "test", in the order in
        which they are read. There may be fewer splits.
      class_counts: number of images of each class in a split, index = label. Splits may be
        missing.
      seed: determines which images are for validation, and the order of the images; None if
        it is unknown.
      validation_fraction: the fraction of the images that was held out; None if the images
        came in folders of splits.
      split_folders: the folder that the images of a split came from, by split, if the images
        came in folders of splits.
      skipped: image files that could not be read, and the reasons.
      ignored: files that are not images.
    """

    splits: Mapping[str, tuple[Shard, ...]]
    class_counts: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    seed: int | None = None
    validation_fraction: float | None = None
    split_folders: Mapping[str, str] = dataclasses.field(default_factory=dict)
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = sorted(set(self.splits) - set(SPLITS))
        if unknown or not self.splits:
            raise ValueError(
                f"expected splits named {', '.join(SPLITS)}, got {', '.join(unknown) or 'none'}"
            )
        for split, counts in self.class_counts.items():
            if split not in self.splits:
                raise ValueError(
                    f"expected class_counts of {', '.join(self.splits)}, got some of {split}"
                )
            for count in counts:
                _check_count("class_counts", count)
            if sum(counts) != self.num_examples(split):
                raise ValueError(
                    f"expected class_counts to add up to {self.num_examples(split)}, the images "
                    f"of {split}, got {sum(counts)}"
                )
        if len({len(counts) for counts in self.class_counts.values()}) > 1:
            raise ValueError(
                "expected class_counts with the same number of classes in each split, got "
                "different numbers"
            )

    def num_examples(self, split: str) -> int:
        """The number of images in a split."""
        return sum(shard.num_examples for shard in self.splits[split])

    def to_json(self) -> str:
        """The content of `dataset.json`, to be encoded as UTF-8."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"


def read(folder: str) -> DatasetInfo | None:
    """Reads the `dataset.json` of a folder; None if there is none.

    Args:
      folder: on any of TensorFlow's file systems.

    Raises:
      ValueError: if the file does not have the format of `DatasetInfo.to_json`.
      OSError: if it cannot be read.
    """
    path = os.path.join(folder, FILE_NAME)
    if not storage.exists(path):
        return None
    data = storage.read(path)
    try:
        return _from_json(json.loads(data.decode()))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not describe a data set: {error}") from error


def _from_json(values: Any) -> DatasetInfo:
    if not isinstance(values, dict) or not isinstance(values.get("splits"), dict):
        raise ValueError('expected a JSON object with an object "splits", got none')
    splits = {
        split: tuple(Shard(**shard) for shard in shards)
        for split, shards in values.pop("splits").items()
    }
    class_counts = {
        split: tuple(counts) for split, counts in values.pop("class_counts", {}).items()
    }
    ignored = tuple(values.pop("ignored", ()))
    return DatasetInfo(splits=splits, class_counts=class_counts, ignored=ignored, **values)


def _check_count(name: str, value: Any) -> None:
    # In Python a bool is an int.
    if type(value) is not int or value < 0:
        raise ValueError(f"expected {name} to be a whole number from 0, got {value!r}")
