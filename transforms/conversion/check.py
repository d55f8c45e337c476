"""The check of the products: what is written is what was checked."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from transforms.conversion import agreement, graph_file, noise, ranges
from transforms.conversion.agreement import Figure
from transforms.conversion.inference import Kernels
from transforms.tflite import metadata, model_file, product_rules
from transforms.tflite.model_graph import Model


@dataclasses.dataclass(frozen=True)
class Checked:
    """Products that have passed.

    Attributes:
      model: the whole model's bytes, with metadata and labels.
      extractor: those of the part up to the embedding, with metadata.
      head: those of the rest, with metadata and labels.
      quantised: whether the graph that they were made of is.
      images: how many images they were compared on.
      agreement: what was measured, for each kind of kernels.
    """

    model: bytes
    extractor: bytes
    head: bytes
    quantised: bool
    images: int
    agreement: dict[Kernels, list[Figure]]


def check(
    *,
    model: Model,
    extractor: Model,
    head: Model,
    frozen: tf.GraphDef,
    images: np.ndarray,
    labels: Sequence[str] | None,
) -> Checked:
    """Gives a model and its parts their metadata, and checks them.

    Args:
      model: a classifier, as converted.
      extractor: its part up to the embedding.
      head: the rest.
      frozen: the frozen graph that it was made of, before folding.
      images: uint8 [n, s, s, 3], n at least 64.
      labels: the classes' names, in order; None where they are unknown.

    Raises:
      ValueError: if labels or images do not fit; or with a line for each rule that is
        broken (`product_rules`); or, where none is, with the ranges that differ from the
        graph's (`ranges`), and a line for each figure that is off its limit (`agreement`).
    """
    whole = metadata.attach(model, labels)
    parts = [metadata.attach(extractor, None), metadata.attach(head, labels)]
    model, extractor, head = (model_file.parse(data) for data in (whole, *parts))
    quantised = graph_file.is_quantised(frozen)
    _refuse("rules of the products", product_rules.check(model, quantised=quantised))
    agreement.check_images(images, model)
    expected = agreement.graph_outputs(frozen, images)
    default = agreement.Run(model, images, kernels=Kernels.DEFAULT)
    if quantised:
        agreement.require_peaks(default.real.logits)
    reference = agreement.Run(model, images, kernels=Kernels.REFERENCE)
    runs = {Kernels.REFERENCE: reference, Kernels.DEFAULT: default}
    among = agreement.compare(reference.real, default.real, logits_quantum=default.logits_quantum)
    figures = {}
    for kernels, run in runs.items():
        compared = agreement.compare(run.real, expected, logits_quantum=run.logits_quantum)
        figures[kernels] = [
            *noise.allow(compared, among),
            agreement.joined(run, extractor, head, images),
        ]
    lost = ranges.check(frozen, model) if quantised else []
    _refuse(
        "ranges and figures" if lost else "figures",
        [
            *lost,
            *(
                f"{figure} (with the {kernels.value} kernels)"
                for kernels, measured in figures.items()
                for figure in measured
                if not figure.kept
            ),
        ],
    )
    return Checked(
        model=whole,
        extractor=parts[0],
        head=parts[1],
        quantised=quantised,
        images=len(images),
        agreement=figures,
    )


def _refuse(what: str, problems: Iterable[object]) -> None:
    lines = [str(problem) for problem in problems]
    if lines:
        raise ValueError("\n  ".join([f"the model does not keep {len(lines)} {what}:", *lines]))
