"""Checks the products; those that pass are returned as the bytes to write."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from imprinting.tflite import metadata, model_file, product_rules
from imprinting.tflite.inference import Kernels
from imprinting.tflite.model_graph import Model
from transforms.conversion import agreement, agreement_figures, graph_file, noise, ranges
from transforms.conversion.agreement_figures import Figure


@dataclasses.dataclass(frozen=True)
class Checked:
    """Products that passed the check.

    Attributes:
      tflite_model: the bytes of the complete model, with metadata and labels.
      extractor: those of the part before the L2_NORMALIZATION, with metadata.
      head: those of the rest, with metadata and labels.
      quantised: whether the graph that they were made from is quantised.
      images: the number of images that they were compared on.
      agreement: the measured figures for each kind of kernels.
    """

    tflite_model: bytes
    extractor: bytes
    head: bytes
    quantised: bool
    images: int
    agreement: dict[Kernels, list[Figure]]


def check(
    *,
    tflite_model: Model,
    extractor: Model,
    head: Model,
    frozen: tf.GraphDef,
    images: np.ndarray,
    labels: Sequence[str] | None,
) -> Checked:
    """Adds metadata to a model and its parts, and checks them.

    Args:
      tflite_model: a classifier, as converted.
      extractor: its part before the L2_NORMALIZATION.
      head: the rest.
      frozen: the frozen graph that it was made from, before folding.
      images: uint8 [n, s, s, 3], n at least 64.
      labels: the class names, in order; None if they are unknown.

    Raises:
      ValueError: if labels or images do not fit; if rules are broken (`product_rules`), with a line
        for each; otherwise, if ranges differ from the graph's (`ranges`) or figures are not within
        their limits (`agreement_figures`), with a line for each.
    """
    about = graph_file.about(frozen)
    complete = metadata.attach(tflite_model, labels, about)
    parts = [metadata.attach(extractor, None, about), metadata.attach(head, labels, about)]
    tflite_model, extractor, head = (model_file.parse(data) for data in (complete, *parts))
    quantised = graph_file.is_quantised(frozen)
    _refuse(
        "keeps the rules of the products",
        "rules that are broken",
        product_rules.check(
            tflite_model,
            quantised=quantised,
            body=(
                product_rules.INT8_BODY
                if graph_file.has_int8_body(frozen)
                else product_rules.UINT8_BODY
            ),
        ),
    )
    agreement.check_images(images, tflite_model)
    expected = agreement.graph_outputs(frozen, images)
    default = agreement.Run(tflite_model, images, kernels=Kernels.DEFAULT)
    if quantised:
        agreement_figures.require_peaks(default.real.logits)
    reference = agreement.Run(tflite_model, images, kernels=Kernels.REFERENCE)
    kernel_disagreement = agreement_figures.compare(
        reference.real, default.real, logits_quantum=default.logits_quantum
    )
    figures = {}
    for run in (reference, default):
        compared = agreement_figures.compare(run.real, expected, logits_quantum=run.logits_quantum)
        figures[run.kernels] = [
            *noise.allow(compared, kernel_disagreement),
            agreement.joined(run, extractor, head, images),
        ]
    lost = ranges.check(frozen, tflite_model) if quantised else []
    _refuse(
        "agrees with its graph",
        "ranges and figures that do not agree" if lost else "figures that do not agree",
        [
            *lost,
            *(
                f"{figure} (with the {kernels.value} kernels)"
                for kernels, measured in figures.items()
                for figure in measured
                if not figure.within_limit
            ),
        ],
    )
    return Checked(
        tflite_model=complete,
        extractor=parts[0],
        head=parts[1],
        quantised=quantised,
        images=len(images),
        agreement=figures,
    )


def _refuse(expected: str, found: str, problems: Iterable[object]) -> None:
    lines = [str(problem) for problem in problems]
    if lines:
        first = f"expected a model that {expected}, got one with {len(lines)} {found}:"
        raise ValueError("\n  ".join([first, *lines]))
