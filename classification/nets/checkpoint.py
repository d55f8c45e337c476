"""A checkpoint: what it holds, and which of its variables fit those of a graph."""

import dataclasses
import functools
import os
import re
from collections.abc import Iterable

import numpy as np
import tensorflow.compat.v1 as tf

from classification.nets import networks, variable_names

_SHOWN = 5
# The ends of the names of variables that correct moving averages of ranges for their start.
_HELPERS = ("/biased", "/local_step")
_AVERAGE = "/ExponentialMovingAverage"
# Ranges of kernels and of activations, as this project and TensorFlow 1's tools name them.
_RANGE = re.compile(r"/(weights|act|activation_\w+)_quant/(min|max)$")
# What TensorFlow's reader raises for damaged files: it chooses some error types by the message.
_READ_ERRORS = (tf.errors.OpError, IndexError, RuntimeError, ValueError)


class Checkpoint:
    """A checkpoint of any of TensorFlow's formats. Nothing is read before it is needed.

    Attributes:
      prefix: what the names of its files begin with.
      folder: where the `model.json` of its network is.
    """

    def __init__(self, prefix: str, folder: str | None = None):
        """Creates it without reading anything.

        Args:
          prefix: what the names of its files begin with.
          folder: where the `model.json` of its network is; None means beside its files.
        """
        self.prefix = prefix
        self.folder = folder or os.path.dirname(prefix) or "."

    def __str__(self) -> str:
        return self.prefix

    def __repr__(self) -> str:
        return f"Checkpoint({self.prefix!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checkpoint) and self.prefix == other.prefix

    def __hash__(self) -> int:
        return hash(self.prefix)

    @functools.cached_property
    def shapes(self) -> dict[str, list[int]]:
        """The shapes of its variables, by name.

        Raises:
          ValueError: if the checkpoint cannot be read.
        """
        return self._reader.get_variable_to_shape_map()

    @property
    def is_quantised(self) -> bool:
        """Whether it holds quantisation ranges, as a quantised network's does.

        Raises:
          ValueError: if the checkpoint cannot be read.
        """
        return any(_RANGE.search(name) for name in self.shapes)

    @functools.cached_property
    def global_step(self) -> int | None:
        """The training step that it was written at; None if it does not say.

        Raises:
          ValueError: if the checkpoint cannot be read.
        """
        step = self.scalar(variable_names.GLOBAL_STEP)
        return None if step is None else int(step)

    @functools.cached_property
    def damage(self) -> str | None:
        """Why it cannot be read completely, with correct checksums; None if it can."""
        try:
            for name in self._reader.get_variable_to_shape_map():
                self._reader.get_tensor(name)
        except _READ_ERRORS as error:
            return str(error).splitlines()[0]
        return None

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """The values of variables, by name, each of the shape that it has in the checkpoint.

        Published classifiers also hold moving averages of their variables, which are more accurate;
        then the averages are read.

        Raises:
          ValueError: if the checkpoint cannot be read, or lacks one of the variables.
        """
        reader = self._reader
        try:
            return {name: np.asarray(reader.get_tensor(self._stored(name))) for name in names}
        except _READ_ERRORS as error:
            raise self._unreadable(error) from error

    def _stored(self, name: str) -> str:
        """The name that the value to use of a variable is stored under."""
        average = name + _AVERAGE
        return average if self._is_averaged and average in self.shapes else name

    @functools.cached_property
    def _is_averaged(self) -> bool:
        """Whether it is that of a published classifier, with moving averages."""
        network = networks.of_variables(self.shapes)
        # Checkpoints of this project hold the averages under the names of the variables.
        return (
            network is not None
            and network.published.kernel + _AVERAGE in self.shapes
            and network.names.class_vectors not in self.shapes
        )

    def scalar(self, name: str) -> float | None:
        """The value of a variable that is a single number; None if there is no such variable.

        Raises:
          ValueError: if the checkpoint cannot be read.
        """
        return self.read([name])[name].item() if name in self.shapes else None

    def require_type(self, name: str, value: np.ndarray, dtype: np.typing.DTypeLike) -> None:
        """Checks the type of a value that was read.

        Raises:
          ValueError: if it has another type.
        """
        if value.dtype != dtype:
            raise ValueError(
                f"expected {name} to be {np.dtype(dtype)}, got {value.dtype} in {self}: it is not "
                "a checkpoint of a network that was trained with this project or with slim"
            )

    def compare(self, variables: Iterable[tf.Variable]) -> "Comparison":
        """Compares the variables of a graph with those of the checkpoint.

        Raises:
          ValueError: if the checkpoint cannot be read.
        """
        shapes = self.shapes
        fitting: list[tf.Variable] = []
        missing, mismatched = [], []
        for variable in sorted(variables, key=lambda v: v.op.name):
            name, shape = variable.op.name, variable.shape.as_list()
            if name not in shapes:
                missing.append(name)
            elif shapes[name] != shape:
                mismatched.append(f"{name} {shapes[name]}, not {shape}")
            else:
                fitting.append(variable)
        return Comparison(self, tuple(fitting), tuple(missing), tuple(mismatched))

    def read_all(self, variables: Iterable[tf.Variable]) -> dict[tf.Variable, np.ndarray]:
        """The values of a graph's variables, all of which the checkpoint must hold.

        Raises:
          ValueError: if the checkpoint cannot be read, lacks a variable, or has one of another
            shape or type.
        """
        comparison = self.compare(variables)
        comparison.require_all()
        return comparison.read()

    @functools.cached_property
    def _reader(self) -> tf.train.NewCheckpointReader:
        try:
            return tf.train.load_checkpoint(self.prefix)
        except _READ_ERRORS as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> ValueError:
        if "not an sstable" in str(error):
            return ValueError(
                f"{self.prefix} cannot be read as a checkpoint: it is a file of another kind, not "
                "an sstable; name a checkpoint's prefix, or a folder of checkpoints"
            )
        reason = str(error).splitlines()[0]
        return ValueError(
            f"{self.prefix} cannot be read as a checkpoint: {reason}; copy it again, or take "
            "another"
        )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a checkpoint can give to the variables of a graph.

    A variable that the checkpoint lacks, or has in another shape, is never skipped silently: what
    fits is counted, and the others are named.

    Attributes:
      checkpoint: the checkpoint.
      fitting: the variables that it has in the same shape.
      missing: the names of those that it lacks.
      mismatched: those that it has in another shape, as "NAME [its shape], not [shape]".
    """

    checkpoint: Checkpoint
    fitting: tuple[tf.Variable, ...] = dataclasses.field(repr=False)
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the variables that fit."""
        return tuple(variable.op.name for variable in self.fitting)

    def read(self) -> dict[tf.Variable, np.ndarray]:
        """The values of the variables that fit.

        Raises:
          ValueError: if the checkpoint cannot be read, or has a variable of another type.
        """
        values = self.checkpoint.read(self.names)
        for variable in self.fitting:
            name, dtype = variable.op.name, variable.dtype.base_dtype.as_numpy_dtype
            self.checkpoint.require_type(name, values[name], dtype)
        return {variable: values[variable.op.name] for variable in self.fitting}

    def summary(self) -> str:
        """How many variables can be restored, and which cannot, in a few lines."""
        total = len(self.fitting) + len(self.missing) + len(self.mismatched)
        lines = [f"{self.checkpoint}: {len(self.fitting)} of {total} variables restored"]
        helpers = tuple(name for name in self.missing if name.endswith(_HELPERS))
        missing = tuple(name for name in self.missing if name not in helpers)
        if missing:
            lines.append(f"  {len(missing)} are not in it: {shorten(missing)}")
        if helpers:
            lines.append(f"  {len(helpers)} are not in it that only count moving averages")
        if self.mismatched:
            lines.append(
                f"  {len(self.mismatched)} have another shape in it: {shorten(self.mismatched)}"
            )
        return "\n".join(lines)

    def require_all(self) -> None:
        """Checks that every variable fits.

        Raises:
          ValueError: if one does not; the error names those that do not.
        """
        if not self.missing and not self.mismatched:
            return
        hint = "are depth multiplier, number of classes and quantisation right?"
        if self.missing and all(re.search(r"_quant/m(in|ax)$", name) for name in self.missing):
            hint = (
                "it has no quantisation ranges, so it is a float network's: leave --quantize out, "
                "or fine-tune from it with --quantize first"
            )
        raise ValueError(
            "expected a checkpoint of this network, got one that does not hold all of it; "
            f"{hint}\n{self.summary()}"
        )

    def require_base(self, network: str, *, head: str) -> None:
        """Checks that at least a part of the network's base fits.

        Args:
          network: the network's name.
          head: what the names of its variables outside the base begin with.

        Raises:
          ValueError: if nothing of it does.
        """
        # The kernels of convolutions have four dimensions.
        if not any(v.shape.rank == 4 and not v.op.name.startswith(head) for v in self.fitting):
            shown = networks.of_variables(self.checkpoint.shapes)
            hint = "is it one of this network, and is the depth multiplier right?"
            if shown is not None and shown.name != network:
                hint = f"it is one of {shown.name}: train that network, or name another checkpoint"
            raise ValueError(
                f"expected a checkpoint of {network} to fine-tune from, got one that holds nothing "
                f"of its base; {hint}\n{self.summary()}"
            )


def shorten(names: tuple[str, ...]) -> str:
    """A list of names for people: the first few, and how many more there are."""
    rest = len(names) - _SHOWN
    # The longest names are those of moving averages' helper variables, which are the least
    # informative.
    return ", ".join(sorted(names, key=len)[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
