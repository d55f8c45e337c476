"""Describes what the Edge TPU's compiler will do with a model, for people."""

from imprinting.tflite import edge_tpu, edge_tpu_rules
from imprinting.tflite.edge_tpu import Prediction, Verdict


def describe(prediction: Prediction, path: str) -> str:
    """Returns a line for each operator, the memory, the command and the sources.

    Args:
      prediction: what is described.
      path: the model's file.
    """
    width = max(len(verdict.operator.name) for verdict in prediction.verdicts)
    lines = [summary(prediction, path), ""]
    for verdict in prediction.verdicts:
        op = verdict.operator
        lines.append(f"{op.index:5}  {op.name:{width}}  {place(verdict)}")
    lines += ["", memory(prediction)]
    lines.append(runtime(prediction))
    if prediction.hides_embedding:
        lines.append(HIDDEN_EMBEDDING)
    elif prediction.num_mapped:
        lines += ["", "To compile it:", f"  {edge_tpu.command(path)}"]
    lines += ["", "Sources of the rules:", *(f"  {url}" for url in sources(prediction))]
    return "\n".join(lines)


HIDDEN_EMBEDDING = (
    "Its L2_NORMALIZATION would be compiled, too, and imprinting engines, which look for it, would "
    "refuse the file: compile NAME_extractor.tflite instead."
)


def summary(prediction: Prediction, path: str) -> str:
    """Returns how many operators are mapped, as a sentence."""
    return (
        f"{path}: {prediction.num_mapped} of {len(prediction.verdicts)} operators are mapped to "
        "the Edge TPU."
    )


def place(verdict: Verdict) -> str:
    """Returns where an operator is computed, and why."""
    if verdict.mapped:
        return f"Edge TPU ({verdict.why})" if verdict.why else "Edge TPU"
    return f"CPU ({verdict.rule}): {verdict.why}"


def memory(prediction: Prediction) -> str:
    """Returns how much of the chip's memory the parameters take, as a sentence."""
    size, room = prediction.parameter_bytes, edge_tpu_rules.ON_CHIP_BYTES
    text = f"Parameters: {size:,} of {room:,} bytes (8 MiB) on the chip, {size / room:.0%}"
    if prediction.fits:
        return text + "; the compiler also keeps a part for its program."
    return text + "; the rest is sent to the chip for each image, which takes longer."


def runtime(prediction: Prediction) -> str:
    """Returns the version of the Edge TPU's runtime that is needed, as a sentence."""
    compiler, latest = edge_tpu_rules.COMPILER_VERSION, edge_tpu_rules.RUNTIME_VERSION
    needed = f"version {prediction.runtime} of the runtime" if prediction.runtime else "any runtime"
    return (
        f"Runtime: its operations need {needed}; what version {compiler} of the compiler writes "
        f"needs version {latest}, unless --min_runtime_version of the compiler says less."
    )


def sources(prediction: Prediction) -> list[str]:
    """Returns the addresses of the pages that the prediction is based on, each once."""
    urls = [edge_tpu_rules.MODELS, edge_tpu_rules.COMPILER]
    return list(dict.fromkeys([*urls, *(verdict.source for verdict in prediction.verdicts)]))
