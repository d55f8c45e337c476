"""`model.json`, which describes the network of the checkpoints in its folder.

Training writes it; evaluation, export and conversion read it, so that users describe a
network only once. Flags that contradict it are an error.
"""

import dataclasses
import json
import math
import os
from typing import Any

from classification.nets import networks
from imprinting.base import atomic_files
from imprinting.base.labels import normalised

FILE_NAME = "model.json"


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A network that `factory.build` builds.

    Attributes:
      network: its name in `networks.NETWORKS`.
      image_size: height and width of the input, in pixels.
      depth_multiplier: of the channels of the base's layers.
      num_classes: number of classes.
      quantize: whether it is quantised.
      learned_embedding_range: see `fake_quant.Quantization`.
      labels: the classes' names, in order; None if they are unknown.
      dataset: what it was trained on: "digits" or a folder. In a network that is ready for
        deployment, only the folder's name (see `deployable.portable`).
    """

    network: str = "mobilenet_v1"
    image_size: int = 224
    depth_multiplier: float = 1.0
    num_classes: int = 1001
    quantize: bool = False
    learned_embedding_range: bool = False
    labels: tuple[str, ...] | None = None
    dataset: str = ""

    def __post_init__(self) -> None:
        # Exact types: in Python a bool is an int, and users may write 1 for 1.0.
        kinds = {
            "network": (str,),
            "image_size": (int,),
            "depth_multiplier": (float, int),
            "num_classes": (int,),
            "quantize": (bool,),
            "learned_embedding_range": (bool,),
            "labels": (tuple, type(None)),
            "dataset": (str,),
        }
        for name, types in kinds.items():
            value = getattr(self, name)
            if type(value) not in types:
                raise ValueError(f"expected {name} to be {types[0].__name__}, got {value!r}")
        for name in ("image_size", "num_classes", "depth_multiplier"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"expected {name} to be above 0, got {value}")
        if self.labels is None:
            return
        if len(self.labels) != self.num_classes:
            raise ValueError(
                f"expected {self.num_classes} labels, one for each class, got {len(self.labels)}"
            )
        for label in self.labels:
            if type(label) is not str:
                raise ValueError(f"expected labels to be str, got {label!r}")

    def describe(self, classes: str = "") -> str:
        """The network in a few words, for people.

        Args:
          classes: what to say about the classes; '' for their number.
        """
        multiplier = self.depth_multiplier
        return (
            f"{self.network}, {'quantised' if self.quantize else 'float'}, "
            f"{classes or f'{self.num_classes} classes'}, {self.image_size} x {self.image_size} "
            f"pixels{'' if multiplier == 1 else f', depth multiplier {multiplier:g}'}"
        )

    def write(self, folder: str) -> None:
        """Writes `model.json` in a folder, atomically."""
        text = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"
        atomic_files.write_atomically(os.path.join(folder, FILE_NAME), text.encode())


def read(folder: str) -> ModelConfig | None:
    """Reads the `model.json` of a folder; None if there is none.

    Raises:
      ValueError: if the file does not have the format that `ModelConfig.write` writes.
    """
    path = os.path.join(folder, FILE_NAME)
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        if not isinstance(values, dict):
            raise ValueError(f"expected a JSON object, got {type(values).__name__}")
        if isinstance(values.get("labels"), list):
            values["labels"] = tuple(
                normalised(label) if isinstance(label, str) else label for label in values["labels"]
            )
        model = ModelConfig(**values)
        networks.get(model.network)
        return model
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} does not describe a network: {error}") from error


def resolve(known: ModelConfig | None, given: dict[str, Any], *, source: str) -> ModelConfig:
    """Combines a `model.json` with the user's flags.

    Args:
      known: what `read` returned.
      given: the attributes that the user has set.
      source: the folder of the `model.json`, for the error message.

    Raises:
      ValueError: if a flag contradicts `model.json`.
    """
    if known is None:
        return ModelConfig(**given)
    for name, value in given.items():
        if value != getattr(known, name):
            raise ValueError(
                f"--{name}={value} contradicts {os.path.join(source, FILE_NAME)}, which says "
                f"{getattr(known, name)}; leave the flag out, or name another checkpoint"
            )
    return known
