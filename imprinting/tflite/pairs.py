"""Pairs of an extractor and a head, which are the two parts of a classifier.

The extractor may be compiled for the Edge TPU. The head begins with the L2_NORMALIZATION. In an old
pair, the extractor ended with it, and the head begins with the CONV_2D of the class vectors.
"""

import dataclasses

from imprinting.tflite import join, metadata, model_file, model_graph, product_rules, split
from imprinting.tflite.model_graph import Graph, Model, Tensor

OLD = (
    "This pair is old: its head does not begin with the L2_NORMALIZATION. If its extractor is "
    "compiled for the Edge TPU, the imprinting engine refuses the joined file."
)
_NEW_HEAD = ("L2_NORMALIZATION", *product_rules.TAIL)


@dataclasses.dataclass(frozen=True)
class Pair:
    """An extractor and a head that fit together.

    Attributes:
      extractor: from the image to the head's input.
      head: from there to the probabilities.
      is_old: whether the extractor ends with the L2_NORMALIZATION, instead of the head beginning
        with it.
    """

    extractor: Model
    head: Model
    is_old: bool

    def joined(self) -> Model:
        """Returns the classifier, with the head's description and without metadata.

        An extractor that gives int8 is followed by a QUANTIZE to the uint8 that the head takes.
        """
        (output,) = model_graph.graph(self.extractor).outputs
        connect = join.join if output.type == "INT8" else join.connect
        return model_file.changed(
            connect(self.extractor, self.head), description=self.head.description
        )


@dataclasses.dataclass(frozen=True)
class Joined:
    """A classifier that was joined from the files of a pair.

    Attributes:
      tflite: the bytes of its file.
      is_old: see `Pair`.
    """

    tflite: bytes
    is_old: bool


def join_files(
    extractor: bytes, head: bytes, *, names: tuple[str, str] = ("the extractor", "the head")
) -> Joined:
    """Joins the files of an extractor, which may be compiled for the Edge TPU, and a head.

    The file gets the head's description and labels, and metadata. What the extractor's metadata
    says of the network is kept; if compiling has removed it, what the head's says.

    Args:
      extractor: the bytes of the extractor's file.
      head: those of the head's.
      names: what an error calls the two files.

    Raises:
      ValueError: if a file is not a complete .tflite, or if they do not fit together; see `pair`.
    """
    models = [_parsed(*file) for file in zip((extractor, head), names, strict=True)]
    found = pair(*models)
    about = metadata.about(models[0]) or metadata.about(models[1])
    labels = metadata.labels_of(head, must_be_there=False)
    return Joined(metadata.attach(found.joined(), labels, about), found.is_old)


def pair(extractor: Model, head: Model) -> Pair:
    """Checks that an extractor and a head fit together.

    Args:
      extractor: takes an image [1, s, s, 3]; it may be compiled for the Edge TPU.
      head: takes [1, 1, 1, d]; it may be old.

    Raises:
      ValueError: if one of them is something else, or if type, shape, scale or zero point of the
        extractor's output are not those of the head's input. Instead of uint8, the extractor may
        give int8 with the same scale and a zero point that is smaller by 128.
    """
    body, tail = model_graph.graph(extractor), model_graph.graph(head)
    if is_head(extractor) and not is_head(head):
        raise ValueError(
            "expected an extractor, which takes an image, and a head, which takes an embedding, "
            "got them the other way round; swap the two files"
        )
    _check_extractor(body)
    _check_head(tail)
    is_old = not tail.named("L2_NORMALIZATION")
    output, start = body.outputs[0], tail.inputs[0]
    if not _fit(output, start):
        old = body.operators[-1].name == "L2_NORMALIZATION" and not is_old
        raise ValueError(
            f"expected an extractor that gives what the head takes, {start}, got one that gives "
            f"{output}; take both from the same build"
            + (", since this extractor is of an old pair and the head is not" if old else "")
        )
    return Pair(extractor, head, is_old)


def is_head(tflite_model: Model) -> bool:
    """Returns whether a model takes an embedding [1, 1, 1, d], not an image."""
    inputs = model_graph.graph(tflite_model).inputs
    return len(inputs) == 1 and inputs[0].shape[:-1] == (1, 1, 1)


def parts(tflite_model: Model) -> Pair:
    """Splits a classifier into its pair: an old one if it has no L2_NORMALIZATION.

    Args:
      tflite_model: the classifier, which may be joined with a compiled extractor.

    Raises:
      ValueError: if it does not end in the operators of a head, since they are compiled, too.
    """
    graph = model_graph.graph(tflite_model)
    if graph.named("L2_NORMALIZATION"):
        found = split.split(tflite_model)
    else:
        tail = product_rules.tail(graph)
        start = None if tail is None else tail[0].input(0)
        if start is None or start in graph.inputs:
            raise ValueError(
                "expected a file whose last operators, CONV_2D, MUL, RESHAPE and SOFTMAX, are not "
                "compiled for the Edge TPU, got one that ends in "
                f"{', '.join(op.name for op in graph.operators[-4:])}; compile only its "
                "NAME_extractor.tflite, and join it with its head"
            )
        found = split.at(tflite_model, start.index)
    head = model_file.changed(found.head, description=tflite_model.description)
    return pair(found.extractor, head)


def complete(tflite_model: Model, head: Model) -> Pair:
    """Returns the pair of a head and the extractor in an uncompiled model.

    Args:
      tflite_model: an extractor, of an old pair or not, or a classifier.
      head: the head, which may be old.

    Raises:
      ValueError: if the model has no extractor that fits; see `pair`.
    """
    graph = model_graph.graph(tflite_model)
    if is_head(tflite_model):
        _check_extractor(graph)
    found = graph.named("L2_NORMALIZATION")
    is_old = not model_graph.graph(head).named("L2_NORMALIZATION")
    if is_old and not found:
        raise ValueError(
            "expected an extractor that ends with the L2_NORMALIZATION, since the head does not "
            "begin with it, got one without it; name the extractor of the same, old pair"
        )
    extractor = tflite_model
    if found and not is_old:
        extractor = split.split(tflite_model).extractor
    elif found and found[0].outputs[0] not in graph.outputs:
        extractor = split.at_embedding(tflite_model).extractor
    return pair(extractor, head)


def _parsed(data: bytes, name: str) -> Model:
    try:
        return model_file.parse(data, compiled=True)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _check_extractor(graph: Graph) -> None:
    image = graph.inputs[0] if len(graph.inputs) == 1 else None
    if image is None or len(image.shape) != 4 or image.shape[3] != 3:
        raise ValueError(
            "expected an extractor, which takes one image [1, s, s, 3], got a model that takes "
            f"{_shown(graph.inputs)}; name NAME_extractor.tflite, or what it was compiled to"
        )
    output = graph.outputs[0] if len(graph.outputs) == 1 else None
    if output is None or output.shape[:-1] != (1, 1, 1):
        raise ValueError(
            "expected an extractor, which gives one embedding [1, 1, 1, d], got a model that gives "
            f"{_shown(graph.outputs)}; name NAME_extractor.tflite, or what it was compiled to"
        )


def _check_head(graph: Graph) -> None:
    names = tuple(op.name for op in graph.operators)
    if names not in (_NEW_HEAD, product_rules.TAIL, ("QUANTIZE", *product_rules.TAIL)):
        shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
        raise ValueError(
            f"expected a head of the operators {', '.join(_NEW_HEAD)}, got a model of {shown}; "
            "name NAME_head.tflite"
        )


def _fit(output: Tensor, start: Tensor) -> bool:
    if output.type == "INT8" and start.type == "UINT8" and len(output.zero_points) == 1:
        moved = dataclasses.replace(
            output, type="UINT8", zero_points=(output.zero_points[0] + 128,)
        )
        return str(moved) == str(start) and moved.scales == start.scales
    return str(output) == str(start) and output.scales == start.scales


def _shown(tensors: tuple[Tensor, ...]) -> str:
    return " and ".join(map(str, tensors)) or "nothing"
