"""Predicts what the Edge TPU's compiler will do with a model, from `edge_tpu_rules`.

The compiler replaces the operators from the first to the one before the first that the chip does
not support by one operator, and leaves the others on the CPU.
"""

import dataclasses
import functools
import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np

from imprinting.tflite import edge_tpu_limits, edge_tpu_rules, model_graph
from imprinting.tflite.edge_tpu_limits import Use
from imprinting.tflite.edge_tpu_rules import OPERATIONS, RULES
from imprinting.tflite.model_graph import Graph, Model, Operator, Tensor

_TYPES = ("INT8", "UINT8")
_INDICES = {"INT32": np.int32, "INT64": np.int64}
# Operators whose inputs but the first are parameters; of TRANSPOSE_CONV, all but the third are.
_PARAMETERS = {
    "CONV_2D": (1, 2),
    "DEPTHWISE_CONV_2D": (1, 2),
    "FULLY_CONNECTED": (1, 2),
    "PRELU": (1,),
    "TRANSPOSE_CONV": (0, 1, 3),
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the compiler will do with an operator.

    Attributes:
      operator: the operator.
      rule: the name of the rule in `edge_tpu_rules.RULES` because of which it is left on the CPU;
        empty if it is mapped.
      why: the reason, or, if it is mapped, why it may be left on the CPU after all; often empty.
      source: where the rule is documented.
    """

    operator: Operator
    rule: str = ""
    why: str = ""
    source: str = edge_tpu_rules.MODELS

    @property
    def mapped(self) -> bool:
        """Whether it is mapped to the Edge TPU."""
        return not self.rule


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the compiler will do with a model.

    Attributes:
      verdicts: for each operator, in the order of execution.
      parameter_bytes: the size of the parameters of mapped operators. The compiler adds some
        padding.
      refusal: why the compiler refuses the whole model; empty if it does not.
    """

    verdicts: tuple[Verdict, ...]
    parameter_bytes: int
    refusal: str

    @property
    def num_mapped(self) -> int:
        """The number of operators that are mapped."""
        return sum(verdict.mapped for verdict in self.verdicts)

    @property
    def unmapped(self) -> list[Verdict]:
        """The operators that are left on the CPU."""
        return [verdict for verdict in self.verdicts if not verdict.mapped]

    @property
    def fits(self) -> bool:
        """Whether the parameters fit into the chip's memory, if it is used for nothing else."""
        return self.parameter_bytes <= edge_tpu_rules.ON_CHIP_BYTES

    @property
    def runtime(self) -> int:
        """The first version of the runtime that has all mapped operations; 0 for any."""
        return max(
            (OPERATIONS[v.operator.name].runtime for v in self.verdicts if v.mapped), default=0
        )

    @property
    def hides_embedding(self) -> bool:
        """Whether an L2_NORMALIZATION is mapped, which imprinting engines would not find."""
        return any(v.mapped and v.operator.name == "L2_NORMALIZATION" for v in self.verdicts)


def predict(tflite_model: Model) -> Prediction:
    """Predicts what the compiler will do with a model.

    Args:
      tflite_model: a model that is not compiled; `NAME_extractor.tflite` of a pair.
    """
    graph = model_graph.graph(tflite_model)
    verdicts: list[Verdict] = []
    stopped = False
    for op in graph.operators:
        verdict = _verdict(tflite_model, graph, op)
        if stopped and verdict.mapped:
            rule = RULES["position"]
            verdict = Verdict(op, "position", rule.says, rule.source)
        stopped = stopped or not (verdict.mapped or verdict.rule == "float_input")
        verdicts.append(verdict)
    used = {
        tensor.index
        for verdict in verdicts
        if verdict.mapped
        for tensor in verdict.operator.inputs
        if tensor is not None and tensor.constant
    }
    subgraph = tflite_model.subgraphs[0]
    buffers = {subgraph.tensors[index].buffer for index in used}
    size = sum(len(tflite_model.buffers[buffer].data) for buffer in buffers)
    return Prediction(tuple(verdicts), size, _refusal(graph))


def command(path: str) -> str:
    """Returns the command that compiles a model.

    It writes NAME_edgetpu.tflite, and NAME_edgetpu.log with the operators, to the current folder.
    """
    return shlex.join(["edgetpu_compiler", path])


def _refusal(graph: Graph) -> str:
    """Why the compiler refuses a model; '' if it does not."""
    outputs = [tensor for op in graph.operators for tensor in op.outputs]
    if any(tensor.type in _TYPES and tensor.scales for tensor in outputs):
        return ""
    found = graph.operators[0].outputs[0]
    return (
        "expected a model that is quantised to 8 bits, got one whose operators give "
        f"{found.type.lower()}; the compiler refuses it ({edge_tpu_rules.NOT_QUANTISED}): make the "
        ".tflite of a quantised network"
    )


def _verdict(tflite_model: Model, graph: Graph, op: Operator) -> Verdict:
    """The verdict on an operator, whatever comes before it."""
    operation = OPERATIONS.get(op.name)
    if operation is None:
        return Verdict(op, "operation", RULES["operation"].says, RULES["operation"].source)
    image = op.input(0)
    if op.name == "QUANTIZE" and image in graph.inputs and image.type == "FLOAT32":
        return Verdict(op, "float_input", RULES["float_input"].says, RULES["float_input"].source)
    for rule, found in _problems(tflite_model, op):
        return Verdict(op, rule, f"it needs {RULES[rule].says}; found {found}", RULES[rule].source)
    options = tflite_model.subgraphs[0].operators[op.index].builtinOptions
    use = Use(op, options, functools.partial(_values, tflite_model))
    if all(edge_tpu_limits.LIMITS[name](use) for name in operation.checks):
        return Verdict(op, why=operation.caveat)
    return Verdict(op, "limit", f"it needs {operation.limit}", RULES["limit"].source)


def _problems(tflite_model: Model, op: Operator) -> Iterator[tuple[str, str]]:
    """The rules that an operator breaks, with what was found instead."""
    tensors = [tensor for tensor in op.inputs + op.outputs if tensor is not None]
    for tensor in tensors:
        signature = tflite_model.subgraphs[0].tensors[tensor.index].shapeSignature
        shape = model_graph.indices(signature) or [*tensor.shape]
        if any(size < 1 for size in shape):
            yield "dynamic", f"{tensor.type.lower()} {shape}"
    parameters = [op.input(index) for index in _PARAMETERS.get(op.name, ())]
    for tensor in tensors:
        if not tensor.constant and (tensor in parameters or tensor.type in _INDICES):
            yield "constant", f"{tensor} that is computed"
    for tensor in tensors:
        is_index = tensor.constant and tensor.type in _INDICES
        if not is_index and not (tensor.type in _TYPES and tensor.scales):
            yield "type", str(tensor)
    for tensor in tensors:
        # Parameters may have four dimensions, as the kernels of convolutions.
        if not tensor.constant and any(size > 1 for size in tensor.shape[:-3]):
            yield "rank", str(tensor)


def _values(tflite_model: Model, tensor: Tensor) -> np.ndarray | None:
    if not tensor.constant:
        return None
    kinds: dict[str, Any] = {"INT8": np.int8, "UINT8": np.uint8} | _INDICES
    if tensor.type not in kinds:
        return None
    buffer = tflite_model.subgraphs[0].tensors[tensor.index].buffer
    return np.asarray(tflite_model.buffers[buffer].data, np.uint8).view(kinds[tensor.type])
