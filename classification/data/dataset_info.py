"""`dataset.json`: which record files a data set is made of, and how many images they hold.

`convert_images` writes it beside them, and whoever reads them need not count. The record
files may lie elsewhere. The classes' names stand in `labels.txt` (see `records`).
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
      num_examples: records in it.
      num_bytes: its size, which tells that another file has taken its place.
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
    """What is known of a data set.

    Attributes:
      splits: the record files of "train", "validation" and "test", as far as there are, in
        the order in which they are read.
      class_counts: images of each class in a split, index = label; a split may be left out.
      seed: from which the choice of images for validation and their order follow; None where
        unknown.
      validation_fraction: the part of the images that was held out; None where the images
        came in splits.
      split_folders: by the split, the folder that its images came in, where they came in splits.
      skipped: image files that could not be read, and why.
      ignored: files that were not taken for images.
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
                raise ValueError(f"expected class_counts of splits, got some of {split}")
            for count in counts:
                _check_count("class_counts", count)
            if sum(counts) != self.num_examples(split):
                raise ValueError(
                    f"expected class_counts to add up to {self.num_examples(split)}, the images "
                    f"of {split}, got {sum(counts)}"
                )
        if len({len(counts) for counts in self.class_counts.values()}) > 1:
            raise ValueError("expected class_counts of as many classes in each split")

    def num_examples(self, split: str) -> int:
        """How many images a split holds."""
        return sum(shard.num_examples for shard in self.splits[split])

    def to_json(self) -> str:
        """What `dataset.json` holds, which is stored as UTF-8."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"


def read(folder: str) -> DatasetInfo | None:
    """Reads folder's `dataset.json`; None where there is none.

    Args:
      folder: on any of TensorFlow's file systems.

    Raises:
      ValueError: if the file is not what `DatasetInfo.to_json` gives.
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
        raise ValueError('expected a JSON object with an object "splits"')
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
    # bool is an int to Python.
    if type(value) is not int or value < 0:
        raise ValueError(f"expected {name} to be a whole number from 0, got {value!r}")
