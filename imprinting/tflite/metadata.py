"""Reads and writes TensorFlow Lite metadata: the description of a model's input, output and labels.

The metadata is a FlatBuffer (ModelMetadata, identifier M001) in the buffer that the model's list of
metadata calls TFLITE_METADATA. The file of labels that it refers to is in a zip archive that is
appended to the .tflite.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np

import imprinting.schema.metadata as form
import imprinting.schema.tflite as schema
from imprinting.base.labels import check_names, normalised
from imprinting.base.photo_crop import Crop
from imprinting.tflite import (
    flatbuffer_check,
    flatbuffer_layouts,
    model_file,
    model_graph,
    packed_files,
    tensor_metadata,
)
from imprinting.tflite.model_graph import Model

_NAME = b"TFLITE_METADATA"
_IDENTIFIER = b"M001"
# The most bytes of the description, without the files.
MOST_BYTES = 1 << 20
_TITLE_END = " with an L2-normalised embedding"
# The first version of the schema has everything that is used here.
_PARSER_VERSION = "1.0.0"
# The kinds of files that have a line for each class.
_PER_CLASS = (tensor_metadata.LABELS, form.AssociatedFileType.TENSOR_AXIS_SCORE_CALIBRATION)


@dataclasses.dataclass(frozen=True)
class About:
    """What a model cannot say of itself.

    Attributes:
      title: the network's name, for people.
      crop: the part of a photo that is its input.
    """

    title: str = "MobileNet V1"
    crop: Crop = Crop.STRETCHED


def attach(tflite_model: Model, labels: Sequence[str] | None, about: About | None = None) -> bytes:
    """Returns the bytes of a .tflite with metadata.

    An image input is described as RGB, with the normalisation of its pixels 0..255: mean and
    standard deviation 128 for a quantised model, whose input is the pixels themselves; 127.5 for a
    float model, as in training. The output of a softmax is described by the labels; an embedding,
    as input or output, is described as a feature vector. If it is the input, its description says
    what part of a photo it belongs to, since compiling an extractor may remove its metadata.

    Args:
      tflite_model: a classifier, or its extractor or head. Its own TensorFlow Lite metadata is
        replaced; its `description` is not changed.
      labels: the class names, in order. Two classes may have the same name, as in ImageNet. None
        if they are unknown, or if the model is an extractor.
      about: the network; None for a MobileNet V1.

    Raises:
      ValueError: if labels are given and the model has no softmax or another number of classes, or
        if a label is empty or has several lines.
    """
    described = _describe(tflite_model, labels, about or About())
    return _written(
        tflite_model,
        described,
        {} if labels is None else {tensor_metadata.LABELS_FILE: _text(labels)},
    )


def copied(tflite_model: Model, source: Model) -> Model:
    """Returns a model with the TensorFlow Lite metadata of another, if that has any.

    Args:
      tflite_model: a model without such metadata.
      source: the model whose metadata is taken.
    """
    found = [entry for entry in source.metadata or () if entry.name == _NAME]
    buffers = [*tflite_model.buffers]
    entries = []
    for entry in found:
        entries.append(model_file.changed(entry, buffer=len(buffers)))
        buffers.append(source.buffers[entry.buffer])
    return model_file.changed(
        tflite_model, buffers=buffers, metadata=[*(tflite_model.metadata or ()), *entries]
    )


def check(tflite_model: Model, data: bytes) -> None:
    """Checks that `extend` can read a model's metadata and files; call it before long work.

    Raises:
      ValueError: if they are damaged.
    """
    _described(tflite_model)
    packed_files.read(data)


def extend(tflite_model: Model, labels: Sequence[str], *, data: bytes | None) -> bytes:
    """Returns the bytes of a .tflite whose classes were changed, with its earlier metadata.

    The description of the model and of its input is kept, and so are the appended files. In the
    description of the output, everything that depends on the classes is replaced: the text, which
    has their number, the labels, the statistics and the score calibration.

    Args:
      tflite_model: the changed model, with TensorFlow Lite metadata of any origin, or none.
      labels: the names of all its classes.
      data: the bytes of the .tflite before the change; None if there is no such file.

    Raises:
      ValueError: see `attach`; and if the metadata or the appended files are damaged.
    """
    fresh = _describe(tflite_model, labels, About())
    described = _described(tflite_model)
    packed = {} if data is None else packed_files.read(data)
    gone = {tensor_metadata.LABELS_FILE}
    try:
        if described is None:
            described = fresh
        elif not described.subgraphMetadata:
            described.subgraphMetadata = fresh.subgraphMetadata
        else:
            gone |= _renew_output(described, fresh)
        kept = {name: content for name, content in packed.items() if name not in gone}
        return _written(
            tflite_model, described, {tensor_metadata.LABELS_FILE: _text(labels)} | kept
        )
    except model_file.DAMAGED as error:
        raise _damaged(error) from error


def _renew_output(described: Any, fresh: Any) -> set[str]:
    """Replaces the metadata of the classes; returns the names of the files to remove with it."""
    subgraph, (new,) = described.subgraphMetadata[0], fresh.subgraphMetadata[0].outputTensorMetadata
    if not subgraph.outputTensorMetadata:
        subgraph.outputTensorMetadata = [new]
    output = subgraph.outputTensorMetadata[0]
    stale = [file for file in output.associatedFiles or () if file.type in _PER_CLASS]
    kept = [file for file in output.associatedFiles or () if file not in stale]
    output.associatedFiles = [*new.associatedFiles, *kept]
    output.description, output.stats = new.description, new.stats
    output.processUnits = [
        unit
        for unit in output.processUnits or ()
        if unit.optionsType != form.ProcessUnitOptions.ScoreCalibrationOptions
    ] or None
    return {os.fsdecode(file.name) for file in stale}


def _describe(tflite_model: Model, labels: Sequence[str] | None, about: About) -> Any:
    """New metadata for a model, a ModelMetadataT; raises the errors of `attach`."""
    graph = model_graph.graph(tflite_model)
    (image,), (output,) = graph.inputs, graph.outputs
    classes = output.shape[-1] if graph.operators[-1].name == "SOFTMAX" else None
    if labels is not None:
        if classes is None:
            raise ValueError(
                "expected a model that ends in a softmax, got another one; leave out the labels"
            )
        if len(labels) != classes:
            raise ValueError(f"expected as many labels as classes, {classes}, got {len(labels)}")
        check_names(labels, "the model")
    subgraph = form.SubGraphMetadataT(
        inputTensorMetadata=[tensor_metadata.describe_input(image, about.crop)],
        outputTensorMetadata=[
            tensor_metadata.embedding(output)
            if classes is None
            else tensor_metadata.probabilities(output, labels)
        ],
    )
    return form.ModelMetadataT(
        name=about.title + _TITLE_END,
        subgraphMetadata=[subgraph],
        minParserVersion=_PARSER_VERSION,
    )


def _written(tflite_model: Model, described: Any, packed: Mapping[str, bytes]) -> bytes:
    """The bytes of a .tflite with other metadata, and with files appended to it."""
    builder = flatbuffers.Builder()
    builder.Finish(described.Pack(builder), _IDENTIFIER)
    buffer = schema.BufferT(data=np.frombuffer(bytes(builder.Output()), np.uint8))
    bare = model_file.changed(
        tflite_model,
        metadata=[entry for entry in tflite_model.metadata or () if entry.name != _NAME],
        buffers=[*tflite_model.buffers],
    )
    bare = model_file.pruned(bare)
    bare.metadata.append(schema.MetadataT(name=_NAME, buffer=len(bare.buffers)))
    bare.buffers.append(buffer)
    data = model_file.serialise(bare)
    return packed_files.append(data, packed) if packed else data


def labels_of(
    data: bytes, tflite_model: Model | None = None, *, must_be_there: bool = True
) -> tuple[str, ...] | None:
    """Returns the class names that a .tflite contains; None if there are none.

    Args:
      data: the bytes of the .tflite, with TensorFlow Lite metadata of any origin.
      tflite_model: the model in these bytes; None means that it has to be read first.
      must_be_there: whether it is an error if the metadata names a file of labels, but no files
        are appended. Programs that write the model again often lose them.

    Raises:
      ValueError: if it is not a .tflite, or if its metadata or the appended files are damaged or
        missing.
    """
    described = _described(tflite_model or model_file.parse(data, compiled=True))
    if described is None:
        return None
    files = _label_files(described)
    if not files or not (must_be_there or packed_files.are_there(data)):
        return None
    try:
        content = packed_files.read(data, files[0])[files[0]]
    except ValueError as error:
        raise ValueError(
            f"expected the file {files[0]}, which the metadata names, appended to the model, got a "
            f"damaged or missing one ({error}); create the .tflite again"
        ) from error
    return _lines(content)


def about(tflite_model: Model) -> About | None:
    """Returns what a model's metadata says of its network; None if it has no metadata.

    Raises:
      ValueError: if its metadata is damaged.
    """
    described = _described(tflite_model)
    if described is None:
        return None
    title = (described.name or b"").decode("utf-8", "replace").removesuffix(_TITLE_END)
    return About(title or About.title, crop_of(tflite_model))


def crop_of(tflite_model: Model) -> Crop:
    """Returns the part of a photo that a model takes; that of MobileNet V1 if it does not say.

    Raises:
      ValueError: if its metadata is damaged.
    """
    described = _described(tflite_model)
    texts = [
        (tensor.description or b"").decode("utf-8", "replace")
        for subgraph in (described.subgraphMetadata or () if described else ())
        for tensor in subgraph.inputTensorMetadata or ()
    ]
    is_square = any(tensor_metadata.CROPS[Crop.SQUARE] in text for text in texts)
    return Crop.SQUARE if is_square else Crop.STRETCHED


def is_extractor(tflite_model: Model) -> bool:
    """Whether a model's metadata says that it gives an embedding, as `attach` describes it.

    Raises:
      ValueError: if its metadata is damaged.
    """
    described = _described(tflite_model)
    return any(
        tensor.name == tensor_metadata.EMBEDDING.encode()
        for subgraph in (described.subgraphMetadata or () if described else ())
        for tensor in subgraph.outputTensorMetadata or ()
    )


def _described(tflite_model: Model) -> Any:
    """A model's metadata, a ModelMetadataT; None if it has none."""
    buffers = [m.buffer for m in tflite_model.metadata or () if m.name == _NAME]
    if not buffers:
        return None
    values = tflite_model.buffers[buffers[0]].data
    blob = b"" if values is None else values.tobytes()
    if len(blob) > MOST_BYTES:
        raise ValueError(
            f"expected metadata of at most {MOST_BYTES:,} bytes, got {len(blob):,}; create the "
            ".tflite again"
        )
    if blob[4:8] != _IDENTIFIER:
        raise ValueError(
            f"expected metadata with the identifier M001, got {blob[4:8]!r}; create the .tflite "
            "again"
        )
    try:
        flatbuffer_check.check(blob, flatbuffer_layouts.METADATA, "ModelMetadata")
        return form.ModelMetadataT.InitFromObj(form.ModelMetadata.GetRootAs(blob))
    except model_file.DAMAGED as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> ValueError:
    return ValueError(
        f"expected valid metadata, got damaged bytes ({error}); create the .tflite again"
    )


def _label_files(described: Any) -> list[str]:
    """The names of the files of class names."""
    return [
        file.name.decode("utf-8", "replace")
        for subgraph in described.subgraphMetadata or ()
        for tensor in subgraph.outputTensorMetadata or ()
        for file in tensor.associatedFiles or ()
        if file.type == tensor_metadata.LABELS and file.name
    ]


def _text(labels: Sequence[str]) -> bytes:
    # Never class numbers, as `labels.text` may add: readers of metadata take a line for a name.
    return ("\n".join(labels) + "\n").encode()


def _lines(data: bytes) -> tuple[str, ...]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"expected labels in UTF-8, got {error}") from error
    lines = text.removesuffix("\n").split("\n")
    return tuple(normalised(line.removesuffix("\r")) for line in lines)
