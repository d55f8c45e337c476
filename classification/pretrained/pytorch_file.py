"""Reads PyTorch files of weights in the legacy format, without PyTorch and without running them.

`torch.save` wrote this format before PyTorch 1.6. The source is PyTorch's `torch/serialization.py`:

- Pickles of protocol 2: a magic number, the version 1001, a dict of system information, the state
  dict, and the list of the keys of all storages. A storage is the memory that tensors are parts of.
- Each storage, in this order: how many numbers it has, as an int64, and the numbers, little-endian.

A tensor is a call of `_rebuild_tensor_v2` with a reference to its storage, `("storage", type, key,
device, count, None)`, its offset, size and strides in numbers, and two arguments without values.

Python's unpickler is not used, even with limits to what it may call: 6 bytes make it allocate 64 GB
(an index of its memo), and nested tuples as the key of a dict make it crash. This module interprets
only the instructions that state dicts need, and names only stand for what they name.
"""

import dataclasses
import io
import math
import pickle
import pickletools
from typing import Any

import numpy as np

_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
_VERSION = 1001
_TYPES: dict[str, np.dtype] = {
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.LongStorage": np.dtype("<i8"),
}
_NAMES = {"torch._utils._rebuild_tensor_v2", "collections.OrderedDict", *_TYPES}
# Limits of what a file can ask for. A network of 50 layers has 10,000 instructions. Only tensors
# that share numbers can have more bytes than the file.
_MOST_INSTRUCTIONS = 1_000_000
_MOST_DIMENSIONS = 32
_MOST_TIMES_THE_FILE = 4
_LONGEST_SHOWN = 60
_EMPTY: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_SAVE = (
    "save only the weights, with torch.save(model.state_dict(), PATH, "
    "_use_new_zipfile_serialization=False)"
)


def read(path: str) -> dict[str, np.ndarray]:
    """Returns the weights in a file; see `parse`.

    Raises:
      OSError: if it cannot be read.
      ValueError: see `parse`; the error names the file.
    """
    with open(path, "rb") as file:
        return parse(file.read(), path)


def parse(data: bytes, source: str) -> dict[str, np.ndarray]:
    """Returns the weights in the bytes of a file, by name, in the file's order.

    The arrays have the types of the file, in the machine's byte order. They are C-contiguous, and
    can be changed: each has its own memory, even if tensors share a storage.

    Args:
      data: the file's contents.
      source: the file's name in errors.

    Raises:
      ValueError: if the bytes are not a complete file in the legacy format, or if they contain
        anything else than a flat dict of tensors of float16, float32, float64, int32 or int64.
    """
    file = io.BytesIO(data)
    try:
        return _weights(file, data)
    except _Refused as error:
        refused = error
    # What `pickletools`, the interpreter's stack and memo, and NumPy raise for damaged bytes. The
    # warning is about backslashes in names, for programs where warnings are errors.
    except (ValueError, LookupError, Warning) as error:
        refused = _Refused(f"{len(data)} bytes, truncated or damaged before byte {file.tell()}")
        refused.__cause__ = error
    raise ValueError(
        f"{source}: expected a PyTorch file of weights in the legacy format, got {refused.got}; "
        f"{refused.advice}"
    ) from refused


class _Refused(Exception):
    """Says what was found instead of a file of weights, and what to do."""

    def __init__(self, got: str, advice: str = "download or save it again"):
        super().__init__(got)
        self.got, self.advice = got, advice


@dataclasses.dataclass(frozen=True)
class _Name:
    name: str  # what a pickle names; it is never looked up


@dataclasses.dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    count: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def end(self) -> int:
        """Returns how many numbers the storage must have."""
        steps = zip(self.size, self.stride, strict=True)
        last = -1 if 0 in self.size else sum((n - 1) * stride for n, stride in steps)
        return self.offset + last + 1


def _weights(file: io.BytesIO, data: bytes) -> dict[str, np.ndarray]:
    _check_before_state(file)
    storages: dict[str, _Storage] = {}
    state = _unpickled(file, storages)
    if not isinstance(state, dict):
        raise _Refused(f"{_shown(state)} instead of a dict of tensors", _SAVE)
    most = _MOST_TIMES_THE_FILE * len(data)
    for name, tensor in state.items():
        if not isinstance(tensor, _Tensor):
            raise _Refused(f"{_shown(tensor)} instead of a tensor as {_shown(name)}", _SAVE)
        if tensor.end() > tensor.storage.count:
            raise _Refused(f"a tensor {_shown(name)} that reaches beyond its storage")
        most -= math.prod(max(n, 1) for n in tensor.size) * tensor.storage.dtype.itemsize
    if most < 0:
        raise _Refused(f"tensors of more than {_MOST_TIMES_THE_FILE} times the bytes of the file")
    starts = _starts(file, len(data), storages)
    return {name: _array(tensor, data, starts) for name, tensor in state.items()}


def _check_before_state(file: io.BytesIO) -> None:
    found = file.read(len(_MAGIC))
    if not found:
        raise _Refused("an empty file")
    if found.startswith(b"PK\x03\x04"):
        raise _Refused("the zip format of PyTorch 1.6 and later", _SAVE)
    if not _MAGIC.startswith(found):
        raise _Refused(f"something else, which begins with the bytes {found[:8]!r}", _SAVE)
    version = _unpickled(file, {})
    if version != _VERSION:
        raise _Refused(f"version {_shown(version)} instead of {_VERSION}", _SAVE)
    system = _unpickled(file, {})
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _Refused("one that is not marked as little-endian", "save it on another machine")


def _starts(file: io.BytesIO, file_bytes: int, storages: dict[str, _Storage]) -> dict[str, int]:
    """Reads the rest of the file; returns the place of each storage's first number, by key."""
    keys = _unpickled(file, {})
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise _Refused("one without a list of its storages")
    if len(keys) != len(storages) or set(keys) != set(storages):
        raise _Refused(f"{len(keys)} storages that are not the {len(storages)} of its tensors")
    starts = {}
    for key in keys:
        expected = storages[key].count
        starts[key] = file.tell() + 8
        count = int.from_bytes(file.read(8), "little", signed=True)
        end = starts[key] + expected * storages[key].dtype.itemsize
        if end > file_bytes:
            raise _Refused(f"{file_bytes} bytes that are truncated in storage {_shown(key)}")
        if count != expected:
            raise _Refused(f"{count} numbers instead of {expected} in storage {_shown(key)}")
        file.seek(end)
    if file.tell() != file_bytes:
        raise _Refused(f"{file_bytes - file.tell()} bytes after its end")
    return starts


def _array(tensor: _Tensor, data: bytes, starts: dict[str, int]) -> np.ndarray:
    dtype = tensor.storage.dtype
    if 0 in tensor.size:
        return np.zeros(tensor.size, dtype.newbyteorder("="))
    # The stride of a dimension of size 1 does not matter, and can be too large for NumPy.
    steps = zip(tensor.size, tensor.stride, strict=True)
    strides = tuple(stride * dtype.itemsize if n > 1 else 0 for n, stride in steps)
    start = starts[tensor.storage.key] + tensor.offset * dtype.itemsize
    found: np.ndarray = np.ndarray(tensor.size, dtype, data, start, strides)
    return found.astype(dtype.newbyteorder("="), order="C")


def _unpickled(file: io.BytesIO, storages: dict[str, _Storage]) -> Any:
    """Returns what the next pickle describes, and adds its storages to `storages`.

    There is no recursion, and no instruction needs more time or memory than its bytes can hold.
    Damaged pickles raise any of the errors that `parse` catches.
    """
    stack: list[Any] = []
    below: list[list[Any]] = []  # what is on the stack below each mark
    memo: dict[int | None, Any] = {}
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count == _MOST_INSTRUCTIONS:
            raise _Refused(f"a pickle of more than {_MOST_INSTRUCTIONS} instructions", _SAVE)
        match opcode.name:
            case "PROTO" if argument == 2:
                pass
            case "NONE" | "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                stack.append(argument)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append(_EMPTY[opcode.name]())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                values = [stack.pop() for _ in range(int(opcode.name[5]))]
                stack.append(tuple(reversed(values)))
            case "MARK":
                below.append(stack)
                stack = []
            case "TUPLE" | "APPENDS" | "SETITEMS":
                values, stack = stack, below.pop()
                if opcode.name == "TUPLE":
                    stack.append(tuple(values))
                else:
                    _add(stack[-1], values)
            case "APPEND" | "SETITEM":
                values = [stack.pop() for _ in range(1 if opcode.name == "APPEND" else 2)]
                _add(stack[-1], values[::-1])
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(_named(argument))
            case "BINPERSID":
                storage = _storage(stack.pop())
                if storages.setdefault(storage.key, storage) != storage:
                    raise _Refused(f"two types or sizes of storage {_shown(storage.key)}")
                stack.append(storage)
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(_called(function, arguments))
            case "BUILD":  # attributes of the dict: the versions of layers
                stack.pop()
            case "STOP":
                if below or len(stack) != 1:
                    raise ValueError("values that are not part of the result")
                return stack[0]
            case name:
                raise _Refused(f"a pickle with the instruction {name} {_shown(argument)}", _SAVE)
    raise ValueError("a pickle without an end")


def _add(target: Any, values: list[Any]) -> None:
    """Adds values to a list, or keys and values in turn to a dict."""
    if isinstance(target, list):
        target.extend(values)
    elif not isinstance(target, dict):
        raise _Refused(f"a pickle that adds to {_shown(target)}")
    # Hashing nested tuples, as keys, would take exponential time, or crash.
    elif not all(isinstance(key, str) for key in values[::2]):
        raise _Refused("a dict whose keys are not all names", _SAVE)
    else:
        target.update(zip(values[::2], values[1::2], strict=True))


def _named(argument: Any) -> _Name:
    name = str(argument).replace(" ", ".", 1)
    if name not in _NAMES:
        raise _Refused(
            f"one that asks for {_shown(name)}, which is not supported and was not run",
            f"if you trust the file, {_SAVE}",
        )
    return _Name(name)


def _storage(reference: Any) -> _Storage:
    match reference:
        case ("storage", _Name() as kind, str(key), str(), int(count), None) if count >= 0:
            if kind.name in _TYPES:
                return _Storage(key, _TYPES[kind.name], count)
    raise _Refused("a reference to a storage that is damaged or not supported", _SAVE)


def _called(function: Any, arguments: Any) -> Any:
    match function, arguments:
        case _Name("collections.OrderedDict"), ():
            return {}
        case (
            _Name("torch._utils._rebuild_tensor_v2"),
            (_Storage() as storage, offset, tuple(size), tuple(stride), _, _),
        ) if len(size) == len(stride) <= _MOST_DIMENSIONS:
            if all(type(value) is int and value >= 0 for value in (offset, *size, *stride)):
                return _Tensor(storage, offset, size, stride)
    raise _Refused(f"a call of {_shown(function)} with unexpected arguments")


def _shown(value: Any) -> str:
    """Returns what an error says about a value, which may be long or nested."""
    if isinstance(value, _Name):
        return value.name
    if not isinstance(value, str | int | float | None):
        return f"a {type(value).__name__.strip('_').lower()}"
    found = repr(value)  # which has no line breaks
    return found if len(found) <= _LONGEST_SHOWN else found[: _LONGEST_SHOWN - 1] + "…"
