"""What the Edge TPU's compiler maps to the chip, as data: rules and operations, with their sources.

This is what the documentation says of the compiler 16 and the runtime 14, the latest of both. The
compiler is not open source, and has limits that are not documented.
"""

import dataclasses

# Requirements of models, and the table of operations with their limits and runtime versions.
MODELS = "https://coral.ai/docs/edgetpu/models-intro/"
# Memory on the chip, and the command.
COMPILER = "https://coral.ai/docs/edgetpu/compiler/"

# The latest versions. A file from this compiler needs this runtime, unless the compiler is told
# otherwise: https://github.com/jsk-ros-pkg/coral_usb_ros/pull/78
COMPILER_VERSION, RUNTIME_VERSION = 16, 14

# "Roughly 8 MB", of which a part is for the executable. Source: COMPILER, parameter data caching.
ON_CHIP_BYTES = 8 * 2**20

# The most components of a SOFTMAX. Source: MODELS, table of operations.
SOFTMAX_SIZE = 16_000
# The multiple that the number of channels must be if they are averaged. Source: as above.
MEAN_CHANNELS = 4


@dataclasses.dataclass(frozen=True)
class Rule:
    """A reason why an operator is left on the CPU.

    Attributes:
      says: what is needed for the Edge TPU, as the end of a sentence "it needs …"; for `position`
        and `operation`, the reason itself.
      source: where that is documented.
    """

    says: str
    source: str


# Name -> rule for all operators, in the order in which they are checked.
RULES = {
    "operation": Rule("the Edge TPU has no such operation", MODELS),
    "dynamic": Rule("tensors whose size is constant when the model is compiled", MODELS),
    "constant": Rule("parameters, such as kernels and biases, that are constants", MODELS),
    "type": Rule("tensors of int8 or uint8 with a scale", MODELS),
    "rank": Rule("tensors in which only the last 3 dimensions are larger than 1", MODELS),
    "limit": Rule("what the limit of the operation says", MODELS),
    # MODELS says so, too. Here, a maintainer explains what the compiler's log says of such an
    # operator, "More than one subgraph is not supported".
    "position": Rule(
        "it comes after an operator on the CPU, and only what comes before the first such operator "
        "is mapped",
        "https://github.com/google-coral/edgetpu/issues/461",
    ),
    # The conversion of a float input does not end what is mapped.
    "float_input": Rule("it converts the float input, which the CPU does before the rest", MODELS),
}

# The compiler ends with "Model not quantized" for a float model.
NOT_QUANTISED = "https://github.com/google-coral/edgetpu/issues/213"


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation of the Edge TPU.

    Attributes:
      runtime: the first version of the runtime that has it; 0 for all versions.
      limit: what the operation needs, in words; empty if it has no limit that can be checked.
      checks: the names of functions in `edge_tpu` that check the limit.
      caveat: when the compiler may leave it on the CPU although it is within its limits, for
        reasons that cannot be predicted; empty if never.
    """

    runtime: int = 0
    limit: str = ""
    checks: tuple[str, ...] = ()
    caveat: str = ""


_NO_ACTIVATION = Operation(limit="no fused activation function", checks=("no_activation",))
_SAME_DILATION = Operation(limit="the same dilation in x and y", checks=("same_dilation",))
_RESIZE = Operation(
    caveat="it may stay on the CPU for some sizes of input and output, to keep precision"
)
_NOT_ALONG_THE_BATCH = "no reduction along the batch"

# Operator of TensorFlow Lite -> operation. Source of all: MODELS, table of operations. Axis has the
# table, too, without the versions of the runtime:
# https://developer.axis.com/computer-vision/on-device/system-on-chip/artpec-7/supported-ops/
OPERATIONS = {
    "ADD": Operation(),
    "AVERAGE_POOL_2D": _NO_ACTIVATION,
    "CONCATENATION": Operation(
        limit="no fused activation function; and if an input is a constant, two inputs, of which "
        "the constant is all zeros",
        checks=("no_activation", "zero_constant"),
    ),
    "CONV_2D": _SAME_DILATION,
    "DEPTHWISE_CONV_2D": _SAME_DILATION,
    "EXPAND_DIMS": Operation(13),
    "FULLY_CONNECTED": Operation(
        limit="weights in the default format, and an output of one dimension",
        checks=("default_weights", "vector_output"),
    ),
    "L2_NORMALIZATION": Operation(),
    "LOGISTIC": Operation(),
    "MAXIMUM": Operation(),
    "MAX_POOL_2D": _NO_ACTIVATION,
    "MEAN": Operation(
        limit=f"{_NOT_ALONG_THE_BATCH}; and if it averages channels, a multiple of "
        f"{MEAN_CHANNELS} of them",
        checks=("not_along_batch", "channels_of_mean"),
    ),
    "MINIMUM": Operation(),
    "MUL": Operation(),
    "PACK": Operation(13, "no packing along the batch", ("no_batch_axis",)),
    "PAD": Operation(limit="no padding of the batch", checks=("no_padded_batch",)),
    "PRELU": Operation(13, "a slope for each channel, or one for all", ("vector_slope",)),
    "QUANTIZE": Operation(13),
    "REDUCE_MAX": Operation(14, _NOT_ALONG_THE_BATCH, ("not_along_batch",)),
    "REDUCE_MIN": Operation(14, _NOT_ALONG_THE_BATCH, ("not_along_batch",)),
    "RELU": Operation(),
    "RELU6": Operation(),
    "RELU_N1_TO_1": Operation(),
    "RESHAPE": Operation(caveat="it may stay on the CPU if its tensors are large"),
    "RESIZE_BILINEAR": _RESIZE,
    "RESIZE_NEAREST_NEIGHBOR": _RESIZE,
    "RSQRT": Operation(14),
    "SLICE": Operation(),
    "SOFTMAX": Operation(
        limit=f"an input of one dimension, with at most {SOFTMAX_SIZE:,} elements",
        checks=("short_vector_input",),
    ),
    "SPACE_TO_DEPTH": Operation(),
    "SPLIT": Operation(limit="no split along the batch", checks=("no_batch_axis",)),
    "SQUARED_DIFFERENCE": Operation(14),
    "SQUEEZE": Operation(),
    "STRIDED_SLICE": Operation(
        limit="strides of 1, no ellipsis and no new axes", checks=("plain_slice",)
    ),
    "SUB": Operation(),
    "SUM": Operation(13, _NOT_ALONG_THE_BATCH, ("not_along_batch",)),
    "TANH": Operation(),
    "TRANSPOSE": Operation(14),
    "TRANSPOSE_CONV": Operation(13),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Operation(14),
}
