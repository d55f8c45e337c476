"""The quantisation ranges of EfficientNet-Lite, computed from batch norm, without any image.

Batch norm gives each channel the mean beta and the standard deviation |gamma| (Ioffe and Szegedy,
arXiv 1502.03167, section 3). A normal distribution is assumed, whose values are within 4 standard
deviations of the mean. Nagel et al., "Data-Free Quantization", arXiv 1906.04721, section 4.2.1, use
the same assumption.
"""

from collections.abc import Mapping

import numpy as np

from classification.nets import efficientnet_lite_blocks, feature_mean
from classification.nets.batch_norm import BatchNorm
from classification.nets.efficientnet_lite_blocks import BATCH_NORM, HEAD, STEM, Variant
from classification.nets.fake_quant import LEAST_MAGNITUDE
from classification.nets.network import Calibration

_EPSILON = np.float32(BatchNorm.epsilon)
_DEVIATIONS = 4.0
_RELU6 = 6.0

Values = Mapping[str, np.ndarray]


def calibrate(values: Values, *, variant: Variant) -> Calibration:
    """Computes ranges of kernels and activations, and the mean of the features.

    Args:
      values: those of the base's variables, float32, by name.
      variant: the network.
    """
    ranges: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def kernel(scope: str, name: str, batch_norm: str) -> None:
        suffix = "depthwise_kernel" if name.startswith("depthwise") else "kernel"
        ranges[f"{variant.scope}/{scope}/{name}/weights_quant"] = _kernel_range(
            values[f"{variant.scope}/{scope}/{name}/{suffix}"],
            _Norm(values, f"{variant.scope}/{scope}/{batch_norm}"),
        )

    def activation(scope: str, low: float, high: float) -> None:
        limits = np.array(min(low, 0.0), np.float32), np.array(max(high, 0.0), np.float32)
        ranges[f"{variant.scope}/{scope}/act_quant"] = limits

    for scope in (STEM, HEAD):
        kernel(scope, "conv2d", BATCH_NORM)
        activation(f"{scope}/conv2d", 0.0, _RELU6)
    mean = variance = np.zeros(0)
    for block in efficientnet_lite_blocks.blocks(variant):
        for layer, names in block.layers.items():
            kernel(block.scope, *names)
            if layer != "project":
                activation(f"{block.scope}/{names[0]}", 0.0, _RELU6)
        name, batch_norm = block.layers["project"]
        norm = _Norm(values, f"{variant.scope}/{block.scope}/{batch_norm}")
        activation(f"{block.scope}/{name}", *_limits(norm.beta, norm.gamma**2))
        if block.is_residual:
            # As if the block's result did not depend on its input.
            mean, variance = mean + norm.beta, variance + norm.gamma**2
            activation(f"{block.scope}/add", *_limits(mean, variance))
        else:
            mean, variance = norm.beta, norm.gamma**2
    features = feature_mean.of_relu6(values, f"{variant.scope}/{HEAD}/{BATCH_NORM}")
    return Calibration(ranges, features)


class _Norm:
    """The variables of a batch norm, float64 [channels] each."""

    def __init__(self, values: Values, scope: str):
        self.beta = values[f"{scope}/beta"].astype(np.float64)
        self.gamma = values[f"{scope}/gamma"].astype(np.float64)
        # In float32, and in the order in which the network computes it.
        variance = values[f"{scope}/moving_variance"] + _EPSILON
        self.multiplier = values[f"{scope}/gamma"] / np.sqrt(variance)


def _kernel_range(kernel: np.ndarray, norm: _Norm) -> tuple[np.ndarray, np.ndarray]:
    """The symmetric range of each output channel of a kernel with batch norm folded in."""
    # A depthwise kernel is [height, width, channels, 1].
    flat = kernel[..., 0] if kernel.shape[-1] == 1 else kernel
    magnitude = np.abs(flat * norm.multiplier).max(axis=tuple(range(flat.ndim - 1)))
    magnitude = np.maximum(magnitude, np.float32(LEAST_MAGNITUDE))
    return -magnitude, magnitude


def _limits(mean: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """The least and the greatest value that any channel is expected to have."""
    reach = _DEVIATIONS * np.sqrt(variance)
    return float((mean - reach).min()), float((mean + reach).max())
