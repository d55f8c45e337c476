"""Turns oneDNN's kernels on where TensorFlow leaves them off although they are faster.

TensorFlow turns them on by itself only if the processor has instructions for neural networks
(VNNI, BF16 or AMX). With AVX2 alone, they halve the time of most training steps: see "Training
speed" in BENCHMARKS.md. They change the last digits of results.
"""

import os
from collections.abc import MutableMapping

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
_CPU_INFO = "/proc/cpuinfo"


def enable(environment: MutableMapping[str, str] = os.environ, cpu_info: str = _CPU_INFO) -> None:
    """Turns oneDNN on if the processor has AVX2, before TensorFlow is imported.

    A value that the variable TF_ENABLE_ONEDNN_OPTS already has is left as it is.

    Args:
      environment: that of the process.
      cpu_info: the file in which Linux describes the processors; if it cannot be read, TensorFlow
        decides.
    """
    if VARIABLE not in environment and "avx2" in _flags(cpu_info):
        environment[VARIABLE] = "1"


def _flags(cpu_info: str) -> frozenset[str]:
    """The instruction sets of the first processor."""
    try:
        with open(cpu_info) as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "flags":
                    return frozenset(value.split())
    except OSError:
        pass
    return frozenset()
