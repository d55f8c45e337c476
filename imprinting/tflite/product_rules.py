"""The rules that a .tflite must keep so that the on-device imprinting engines accept it.

A network's body is everything before the L2_NORMALIZATION. Networks whose kernels have one scale
each, as MobileNet V1, have a body of uint8; networks with a scale for each channel, as
EfficientNet-Lite, one of int8 between two QUANTIZE. The engines read only what follows. The body,
or its first operators, may be compiled for the Edge TPU.

Each rule has a name. A float model must keep the same rules with float32 tensors, except for those
about quantisation. The rules look only at the model, whichever program made it.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator

from imprinting.tflite import model_file, model_graph
from imprinting.tflite.model_graph import Graph, Model, Operator, Tensor

TAIL = ("CONV_2D", "MUL", "RESHAPE", "SOFTMAX")
UINT8_BODY, INT8_BODY = "UINT8", "INT8"
EMBEDDING_SCALE = 1 / 128
EMBEDDING_ZERO_POINT = 128

# In a graph, the operator by which the Edge TPU's compiler replaces others.
COMPILED = f"CUSTOM {model_file.COMPILED}"
# What a body of int8 may begin with.
_ENDS = ("QUANTIZE", COMPILED)
# Operators whose third input is a bias.
_BIASED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclasses.dataclass(frozen=True)
class Violation:
    """A rule that a model breaks.

    Attributes:
      rule: the rule's name.
      found: what the model has instead; the end of a sentence "expected …, got …".
    """

    rule: str
    found: str

    def __str__(self) -> str:
        """A sentence with what was expected and what was found."""
        return f"{self.rule}: expected {RULES[self.rule].says}, got {self.found}"


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule of the products.

    Attributes:
      says: what the rule expects, as a part of a sentence.
      broken: yields what was found instead, once for each violation. Its arguments are the model,
        its graph, and what it must be.
    """

    says: str
    broken: Callable[[Model, Graph, "_Expected"], Iterator[str]]


@dataclasses.dataclass(frozen=True)
class _Expected:
    """What a model must be.

    Attributes:
      quantised: whether it is quantised.
      body: the type of its body's activations; None for any.
    """

    quantised: bool
    body: str | None

    @property
    def type(self) -> str:
        """The type of its input and of its tail's activations."""
        return "UINT8" if self.quantised else "FLOAT32"


def check(
    tflite_model: Model, *, quantised: bool | None = None, body: str | None = None
) -> list[Violation]:
    """Checks a classifier, extractor and head in one, against all rules.

    Args:
      tflite_model: the TFLite model.
      quantised: whether it must be quantised; None means that it must be if its input is.
      body: the type that its body must have, `UINT8_BODY` or `INT8_BODY`; None for either.

    Returns:
      A violation for each broken rule, in the order of `RULES`. If a rule is broken in several
      places, it describes the first, and says how many more there are.
    """
    graph = model_graph.graph(tflite_model)
    if quantised is None:
        quantised = any(tensor.type == "UINT8" for tensor in graph.inputs)
    expected = _Expected(quantised, body if quantised else None)
    violations = []
    for name, rule in RULES.items():
        found = list(rule.broken(tflite_model, graph, expected))
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            violations.append(Violation(name, found[0] + more))
    return violations


def tail(graph: Graph) -> tuple[Operator, ...] | None:
    """Returns the last four operators if they are those of `TAIL`; otherwise None."""
    last = graph.operators[-len(TAIL) :]
    return last if tuple(op.name for op in last) == TAIL else None


def _show(tensor: Tensor | None) -> str:
    return "none" if tensor is None else str(tensor)


def _input(_: Model, graph: Graph, expected: _Expected) -> Iterator[str]:
    if len(graph.inputs) != 1:
        yield f"{len(graph.inputs)} inputs"
        return
    image = graph.inputs[0]
    square = len(image.shape) == 4 and image.shape[1] == image.shape[2]
    if not (square and image.shape[0] == 1 and image.shape[3] == 3):
        yield _show(image)
    elif image.type != expected.type:
        yield _show(image)


def _output(_: Model, graph: Graph, expected: _Expected) -> Iterator[str]:
    if len(graph.outputs) != 1:
        yield f"{len(graph.outputs)} outputs"
        return
    output = graph.outputs[0]
    producer = graph.producer(output)
    if producer is None or producer.name != "SOFTMAX":
        yield f"the output of {producer.name if producer else 'no operator'}"
    elif len(output.shape) != 2 or output.shape[0] != 1 or output.type != expected.type:
        yield _show(output)


def _tensors(_: Model, graph: Graph, expected: _Expected) -> Iterator[str]:
    body = range(*_int8_body(graph)) if expected.quantised else range(0)
    for op in graph.operators:
        for index, tensor in enumerate(op.inputs + op.outputs):
            if tensor is None:
                continue
            if op.name == "RESHAPE" and index == 1:
                # The new shape, which is not quantised.
                fits = tensor.type == "INT32" and tensor.constant
            elif _is_index(op, index, tensor):
                fits = True
            elif not expected.quantised:
                fits = tensor.type == "FLOAT32"
            elif op.name in _ENDS and op.index in (body.start - 1, body.stop):
                fits = tensor.type in ("UINT8", "INT8") and len(tensor.scales) == 1
            elif op.name in _BIASED and index == 2:
                fits = tensor.type == "INT32" and _has_scales(tensor, op.index in body)
            else:
                type_ = "INT8" if op.index in body else "UINT8"
                constant = tensor.constant and op.index in body
                fits = tensor.type == type_ and _has_scales(tensor, constant)
            if not fits:
                yield f"{_show(tensor)} in {op.name} (operator {op.index}), {tensor.name}"


def _is_index(op: Operator, index: int, tensor: Tensor) -> bool:
    """Whether an input is a constant that says how an operator works, such as axes or paddings."""
    is_bias = op.name in _BIASED and index == 2
    return tensor.type == "INT32" and tensor.constant and not tensor.scales and not is_bias


def _has_scales(tensor: Tensor, several: bool) -> bool:
    """Whether a tensor has one scale, or, if it may have several, at least one."""
    return len(tensor.scales) == 1 or (several and len(tensor.scales) > 1)


def _int8_body(graph: Graph) -> tuple[int, int]:
    """The first operator of the body in int8, and the first after it; else (0, 0).

    A QUANTIZE, or the compiled operator, is before the body, and a QUANTIZE after it.
    """
    names = [op.name for op in graph.operators]
    if names.count("L2_NORMALIZATION") != 1:
        return 0, 0
    last = graph.producer(graph.operators[names.index("L2_NORMALIZATION")].input(0))
    is_int8 = last is not None and last.name == "QUANTIZE" and names[0] in _ENDS
    return (1, last.index) if last is not None and is_int8 and last.index else (0, 0)


def _body(_: Model, graph: Graph, expected: _Expected) -> Iterator[str]:
    found = INT8_BODY if _int8_body(graph) != (0, 0) else UINT8_BODY
    if expected.body not in (None, found):
        yield f"one of {found.lower()}"


def _embedding(_: Model, graph: Graph, __: _Expected) -> Iterator[str]:
    found = graph.named("L2_NORMALIZATION")
    if len(found) != 1:
        yield f"{len(found)} of them"
        return
    (output,) = found[0].outputs
    if len(output.shape) != 4 or output.shape[:3] != (1, 1, 1):
        yield _show(output)


def _embedding_quanta(_: Model, graph: Graph, expected: _Expected) -> Iterator[str]:
    for op in graph.named("L2_NORMALIZATION") if expected.quantised else ():
        output = op.outputs[0]
        if (output.scales, output.zero_points) != ((EMBEDDING_SCALE,), (EMBEDDING_ZERO_POINT,)):
            yield _show(output)


def _tail(_: Model, graph: Graph, __: _Expected) -> Iterator[str]:
    last = graph.operators[-len(TAIL) :]
    names = tuple(op.name for op in last)
    if names != TAIL:
        yield ", ".join(names)
        return
    for before, after in zip(last, last[1:], strict=False):
        if after.input(0) not in before.outputs:
            yield f"{after.name} that is not fed by {before.name}"


def _fed_by_embedding(_: Model, graph: Graph, __: _Expected) -> Iterator[str]:
    last = tail(graph)
    if last is None:
        return
    producer = graph.producer(last[0].input(0))
    if producer is not None and producer.name == "QUANTIZE":
        producer = graph.producer(producer.input(0))
    if producer is None or producer.name != "L2_NORMALIZATION":
        yield f"one fed by {producer.name if producer else 'no operator'}"


def _scale_factor(_: Model, graph: Graph, expected: _Expected) -> Iterator[str]:
    last = tail(graph)
    if last is None:
        return
    scale = last[1].input(1)
    if scale is None or not scale.constant:
        yield f"{_show(scale)}, not a constant"
    elif scale.type != expected.type or math.prod(scale.shape) != 1:
        yield _show(scale)


def _bias(_: Model, graph: Graph, expected: _Expected) -> Iterator[str]:
    last = tail(graph)
    if last is None or not expected.quantised:
        return
    bias = last[0].input(2)
    if bias is None or len(bias.zero_points) != 1 or not 0 <= bias.zero_points[0] <= 255:
        yield _show(bias)


def _description(tflite_model: Model, graph: Graph, _: _Expected) -> Iterator[str]:
    classes = graph.outputs[0].shape[-1] if graph.outputs and graph.outputs[0].shape else 0
    text = (tflite_model.description or b"").decode("utf-8", "replace")
    for line in text.splitlines():
        words = line.split()
        try:
            number, norm = int(words[0]), float(words[1])
            if len(words) == 2 and 0 <= number < classes and math.isfinite(norm) and norm > 0:
                continue
        except (ValueError, IndexError):
            pass
        yield f"the line {line!r}"


# Name -> rule, in the order in which violations are reported.
RULES = {
    "input": Rule("one input, an image [1, s, s, 3], uint8 (float32 if not quantised)", _input),
    "output": Rule(
        "one output, that of the SOFTMAX, [1, n], uint8 (float32 if not quantised)", _output
    ),
    "quantised": Rule(
        "each tensor to be uint8 with one scale, biases int32 with one scale, axes and the like "
        "int32 constants; or int8, where "
        "constants may have a scale for each channel, between a QUANTIZE of the input and one "
        "before the L2_NORMALIZATION (all float32 if not quantised)",
        _tensors,
    ),
    "body": Rule(
        "a body of uint8 if the network's kernels have one scale, of int8 if they have a scale for "
        "each channel",
        _body,
    ),
    "embedding": Rule("one L2_NORMALIZATION with an output [1, 1, 1, d]", _embedding),
    "embedding_quanta": Rule(
        "the L2_NORMALIZATION's output to have scale 1/128 and zero point 128", _embedding_quanta
    ),
    "tail": Rule(
        "the last operators to be CONV_2D, MUL, RESHAPE and SOFTMAX, each fed by the one before",
        _tail,
    ),
    "class_vectors": Rule(
        "the last CONV_2D to be fed by the L2_NORMALIZATION, with at most one QUANTIZE between",
        _fed_by_embedding,
    ),
    "scale_factor": Rule(
        "the MUL's second input to be the scale factor, one constant uint8 (float32 if not "
        "quantised)",
        _scale_factor,
    ),
    "bias": Rule("the last CONV_2D's bias to have a zero point in 0..255", _bias),
    "description": Rule(
        "a description that is left to the engines' notes: lines CLASS NORM", _description
    ),
}
