"""Reads, changes and writes .tflite files.

A model is a `ModelT` of the schema's generated code. It can be changed in place, and is written as
it is. `model_graph` gives a view of it that is easy to read.
"""

import copy
import math
import struct
from typing import Any

import flatbuffers
import numpy as np

import imprinting.schema.tflite as schema
from imprinting.tflite import flatbuffer_check, flatbuffer_layouts, model_graph
from imprinting.tflite.model_graph import Model, Tensor, indices

_IDENTIFIER = b"TFL3"
# The most bytes of a file: joining and writing a model needs several times as much memory.
MOST_BYTES = 1 << 27
# The alignment of buffers in the schema (force_align), which vectorised kernels need.
_ALIGNMENT = 16
# The Edge TPU's compiler replaces the operators that the chip computes by this one.
COMPILED = "edgetpu-custom-op"
# The errors that the generated code raises for a damaged FlatBuffer.
DAMAGED = (struct.error, ValueError, TypeError, IndexError, OverflowError, AttributeError)
_ITEM_BYTES = {"FLOAT32": 4, "INT32": 4, "INT64": 8, "UINT8": 1, "INT8": 1, "INT16": 2, "BOOL": 1}


def read(path: str, *, compiled: bool = False) -> Model:
    """Reads a .tflite file.

    Args:
      path: the file.
      compiled: see `parse`.

    Raises:
      OSError: if it cannot be read.
      ValueError: see `parse`; the error names the file.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        return parse(data, compiled=compiled)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def parse(data: bytes, *, compiled: bool = False) -> Model:
    """Returns the model in the bytes of a .tflite file.

    Files that are appended to it, such as labels, are ignored. Its structure is checked, so that
    reading it takes no more time and memory than its size suggests; but not whether it makes sense
    as a network. `imprinting.tflite.inference.verify` checks that, too, before it can be run.

    Args:
      data: the bytes of the file.
      compiled: whether the model may be compiled for the Edge TPU.

    Raises:
      ValueError: if the bytes are not a .tflite; if they are truncated or inconsistent; if they
        are more than `MOST_BYTES`; if the model is compiled for the Edge TPU; or if it does not
        have exactly one subgraph.
    """
    if data[4:8] != _IDENTIFIER:
        raise ValueError(
            f"expected a .tflite, whose bytes 4 to 8 are {_IDENTIFIER.decode()}, got "
            f"{len(data)} bytes with {bytes(data[4:8])!r} there; name a .tflite file"
        )
    if len(data) > MOST_BYTES:
        raise ValueError(
            f"expected a .tflite of at most {MOST_BYTES:,} bytes, got {len(data):,}; quantise it, "
            "or name a smaller network"
        )
    try:
        flatbuffer_check.check(data, flatbuffer_layouts.MODEL, "Model")
        _require_parts(data)
        # A bytearray is a writable copy, so that arrays can be changed in place.
        tflite_model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(data), 0))
    except DAMAGED as error:
        raise ValueError(
            f"expected a complete .tflite, got {len(data)} bytes that are truncated or damaged "
            f"({' '.join(str(error).split())}); create or download it again"
        ) from error
    if not compiled:
        require_uncompiled(tflite_model)
    _check(tflite_model)
    return tflite_model


def require_uncompiled(tflite_model: Model) -> None:
    """Raises a ValueError if a model is compiled for the Edge TPU."""
    if is_compiled(tflite_model):
        raise ValueError(
            "expected a .tflite as it was before the Edge TPU's compiler, got one compiled for the "
            "Edge TPU, whose operators and weights are hidden; name the file that was compiled: "
            "NAME.tflite, if this is NAME_edgetpu.tflite"
        )


def is_compiled(tflite_model: Model) -> bool:
    """Returns whether a model is compiled for the Edge TPU, completely or in part."""
    return any(code.customCode == COMPILED.encode() for code in tflite_model.operatorCodes or ())


def serialise(tflite_model: Model) -> bytes:
    """Returns the bytes of a .tflite file; equal models give equal bytes.

    The data of each buffer begins at a multiple of 16 bytes.
    """
    builder = _Builder()
    builder.Finish(tflite_model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def pruned(tflite_model: Model) -> Model:
    """Returns a copy without unused tensors, buffers and operator codes.

    The others keep their order. The first buffer, which is that of tensors without values, is
    always kept.
    """
    old = tflite_model.subgraphs[0]
    used = set(indices(old.inputs) + indices(old.outputs))
    for op in old.operators:
        used |= {i for i in indices(op.inputs) + indices(op.outputs) if i >= 0}
    tensors = {index: place for place, index in enumerate(sorted(used))}
    metadata = list(tflite_model.metadata or ())
    used = {0, *(old.tensors[i].buffer for i in tensors), *(entry.buffer for entry in metadata)}
    buffers = {index: place for place, index in enumerate(sorted(used))}
    used = {op.opcodeIndex for op in old.operators}
    codes = {index: place for place, index in enumerate(sorted(used))}

    def places(vector: Any) -> list[int]:
        return [tensors.get(i, -1) for i in indices(vector)]

    subgraph = changed(
        old,
        tensors=[changed(old.tensors[i], buffer=buffers[old.tensors[i].buffer]) for i in tensors],
        operators=[
            changed(
                op,
                opcodeIndex=codes[op.opcodeIndex],
                inputs=places(op.inputs),
                outputs=places(op.outputs),
            )
            for op in old.operators
        ],
        inputs=places(old.inputs),
        outputs=places(old.outputs),
    )
    signatures = [
        changed(
            signature,
            inputs=[changed(e, tensorIndex=tensors[e.tensorIndex]) for e in signature.inputs or ()],
            outputs=[
                changed(e, tensorIndex=tensors[e.tensorIndex]) for e in signature.outputs or ()
            ],
        )
        for signature in tflite_model.signatureDefs or ()
        if all(e.tensorIndex in tensors for e in (*signature.inputs, *signature.outputs))
    ]
    return changed(
        tflite_model,
        subgraphs=[subgraph],
        signatureDefs=signatures or None,
        buffers=[tflite_model.buffers[i] for i in buffers],
        operatorCodes=[tflite_model.operatorCodes[i] for i in codes],
        metadata=[changed(entry, buffer=buffers[entry.buffer]) for entry in metadata],
    )


def changed(item: Any, **attributes: Any) -> Any:
    """Returns a copy of one of the schema's objects with other values of some attributes."""
    item = copy.copy(item)
    vars(item).update(attributes)
    return item


class _Builder(flatbuffers.Builder):
    """A builder that aligns vectors of bytes, since the generated code ignores force_align."""

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802, D102
        if x.dtype != np.uint8:
            return super().CreateNumpyVector(x)
        self.StartVector(1, x.size, _ALIGNMENT)
        self.head -= x.size
        self.Bytes[self.head : self.head + x.size] = x.tobytes()
        return self.EndVector()


def _require_parts(data: bytes) -> None:
    """Raises one of `DAMAGED` if a part is missing, since the interpreter would crash."""
    tflite_model = schema.Model.GetRootAs(data)
    counts = [
        tflite_model.OperatorCodesLength(),
        tflite_model.BuffersLength(),
        tflite_model.SubgraphsLength(),
    ]
    if 0 in counts:
        raise ValueError("it has no operators, buffers or subgraphs")
    for index in range(counts[-1]):
        subgraph = tflite_model.Subgraphs(index)
        if not subgraph.TensorsLength() or subgraph.OperatorsIsNone():
            raise ValueError(f"subgraph {index} has no tensors or operators")


def _check(tflite_model: Model) -> None:
    """Raises a ValueError if a model is not as the rest of this package expects it."""
    subgraphs = tflite_model.subgraphs or []
    if len(subgraphs) != 1 or subgraphs[0] is None:
        raise ValueError(f"expected a .tflite of one subgraph, got {len(subgraphs)}")
    subgraph = subgraphs[0]
    tensors, buffers = subgraph.tensors or [], tflite_model.buffers or []
    if not tensors or not buffers or not subgraph.operators:
        raise ValueError("expected a .tflite with operators and tensors, got an empty one")
    if any(buffer.offset > 1 or buffer.size > 1 for buffer in buffers):
        raise ValueError(
            "expected a .tflite that contains its weights, got one with weights outside its model"
        )
    used = indices(subgraph.inputs) + indices(subgraph.outputs)
    for op in subgraph.operators:
        if getattr(op, "largeCustomOptionsOffset", 0) > 1:
            raise ValueError(
                "expected a .tflite that contains the options of its operators, got one with "
                "options outside its model"
            )
        if not 0 <= op.opcodeIndex < len(tflite_model.operatorCodes or ()):
            raise ValueError(
                f"damaged .tflite: expected operator codes below "
                f"{len(tflite_model.operatorCodes or ())}, "
                f"got {op.opcodeIndex}"
            )
        # -1 means that an optional input is left out.
        used += [i for i in indices(op.inputs) if i != -1] + indices(op.outputs)
    for index in used:
        if not 0 <= index < len(tensors):
            raise ValueError(
                f"damaged .tflite: expected tensors 0..{len(tensors) - 1}, got {index}"
            )
    for entry in tflite_model.metadata or ():
        if not 0 <= entry.buffer < len(buffers):
            raise ValueError(
                f"damaged .tflite: expected metadata in buffers 0..{len(buffers) - 1}, got "
                f"{entry.buffer}"
            )
    for index, tensor in enumerate(tensors):
        if not 0 <= tensor.buffer < len(buffers):
            raise ValueError(
                f"damaged .tflite: expected tensor {index} in buffers 0..{len(buffers) - 1}, got "
                f"{tensor.buffer}"
            )
        _check_tensor(model_graph.tensor(tflite_model, index), buffers[tensor.buffer].data)


def _check_tensor(tensor: Tensor, data: np.ndarray | None) -> None:
    if len(tensor.scales) != len(tensor.zero_points):
        raise ValueError(
            f"damaged .tflite: expected as many zero points as scales of {tensor.name}, "
            f"{len(tensor.scales)}, got {len(tensor.zero_points)}"
        )
    if not all(math.isfinite(scale) and scale > 0 for scale in tensor.scales):
        raise ValueError(
            f"damaged .tflite: expected scales above 0 of {tensor.name}, got {min(tensor.scales)}"
        )
    item = _ITEM_BYTES.get(tensor.type)
    if tensor.constant and data is not None and item is not None:
        expected = math.prod(tensor.shape) * item
        if len(data) != expected:
            raise ValueError(
                f"damaged .tflite: expected {expected} bytes of values of {tensor.name}, "
                f"{tensor.type} {list(tensor.shape)}, got {len(data)}"
            )
