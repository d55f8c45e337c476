"""What a .tflite tells of itself in TensorFlow Lite's own form: images, classes, labels.

Two things make it: a FlatBuffer (ModelMetadata, identifier M001) in the buffer that the
model's metadata names TFLITE_METADATA, and the file of labels, packed as a zip at the
end of the file. Readers of either find it without knowing of this project.
"""

import io
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np

import third_party.mediapipe.metadata_schema as form
import third_party.tflite.schema as schema
from transforms.base.labels import normalised
from transforms.tflite import model_file, model_graph
from transforms.tflite.model_graph import Model, Tensor

LABELS_FILE = "labels.txt"

_NAME = b"TFLITE_METADATA"
_IDENTIFIER = b"M001"
# Of the form's first version is all that is used here.
_PARSER_VERSION = "1.0.0"
_LABELS = form.AssociatedFileType.TENSOR_AXIS_LABELS
# Of the files, those with a line for each class.
_PER_CLASS = (_LABELS, form.AssociatedFileType.TENSOR_AXIS_SCORE_CALIBRATION)


def attach(model: Model, labels: Sequence[str] | None) -> bytes:
    """The bytes of a .tflite with metadata.

    An input that is an image is described as RGB, with the normalisation of its pixels
    0..255: mean and standard deviation 128 for a quantised model, whose input is then the
    pixels themselves; 127.5 for a float model, as it was trained. An output behind a
    softmax is described by the labels; an embedding, input or output, as a feature vector.

    Args:
      model: a classifier, or its extractor or head. Metadata in this form that it has
        already is replaced; `description` is left alone.
      labels: the classes' names, in order; equal ones are allowed, as ImageNet has them.
        None where they are unknown, or the model is an extractor.

    Raises:
      ValueError: if there are labels, but no softmax, or not as many as classes, or
        empty ones, or ones of several lines.
    """
    described = _describe(model, labels)
    return _written(model, described, {} if labels is None else {LABELS_FILE: _text(labels)})


def check(model: Model, data: bytes) -> None:
    """Checks that `extend` can take a model's metadata and files: early, as it may be.

    Raises:
      ValueError: if they are damaged.
    """
    _described(model)
    _files(data)


def extend(model: Model, labels: Sequence[str], *, data: bytes | None) -> bytes:
    """The bytes of a .tflite whose classes were changed, with the metadata that it had before.

    What these tell of model and input, and the files packed behind it, are carried along; what
    they tell of its output, but for what depends on the classes: their number, in the
    description, their names, statistics and calibration.

    Args:
      model: with metadata of any maker in this form, or none.
      labels: the names of the classes that it has now.
      data: the bytes of the file that it was before; None where it was none.

    Raises:
      ValueError: see `attach`; and if the metadata, or the files packed behind, are damaged.
    """
    fresh, described = _describe(model, labels), _described(model)
    packed = {} if data is None else _files(data)
    gone = {LABELS_FILE}
    try:
        if described is None:
            described = fresh
        elif not described.subgraphMetadata:
            described.subgraphMetadata = fresh.subgraphMetadata
        else:
            gone |= _renew_output(described, fresh)
        kept = {name: content for name, content in packed.items() if name not in gone}
        return _written(model, described, {LABELS_FILE: _text(labels)} | kept)
    except model_file.DAMAGED as error:
        raise _damaged(error) from error


def _renew_output(described: Any, fresh: Any) -> set[str]:
    """Replaces what metadata tell of the classes; returns the names of files that go with them."""
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


def _describe(model: Model, labels: Sequence[str] | None) -> Any:
    """A model's metadata, ModelMetadataT, made anew; raises what `attach` raises."""
    graph = model_graph.graph(model)
    (image,), (output,) = graph.inputs, graph.outputs
    classes = output.shape[-1] if graph.operators[-1].name == "SOFTMAX" else None
    if labels is not None:
        if classes is None:
            raise ValueError("expected a model that ends in a softmax to be given labels")
        if len(labels) != classes:
            raise ValueError(f"expected as many labels as classes, {classes}, got {len(labels)}")
        _check_names(labels)
    subgraph = form.SubGraphMetadataT(
        inputTensorMetadata=[
            _image(image) if graph.named("L2_NORMALIZATION") else _embedding(image)
        ],
        outputTensorMetadata=[
            _embedding(output) if classes is None else _probabilities(output, labels)
        ],
    )
    return form.ModelMetadataT(
        name="MobileNet V1 with an L2-normalised embedding",
        subgraphMetadata=[subgraph],
        minParserVersion=_PARSER_VERSION,
    )


def _written(model: Model, described: Any, packed: Mapping[str, bytes]) -> bytes:
    """The bytes of a .tflite with metadata in the place of what it has, and files behind it."""
    builder = flatbuffers.Builder()
    builder.Finish(described.Pack(builder), _IDENTIFIER)
    buffer = schema.BufferT(data=np.frombuffer(bytes(builder.Output()), np.uint8))
    bare = model_file.changed(
        model,
        metadata=[entry for entry in model.metadata or () if entry.name != _NAME],
        buffers=[*model.buffers],
    )
    bare = model_file.pruned(bare)
    bare.metadata.append(schema.MetadataT(name=_NAME, buffer=len(bare.buffers)))
    bare.buffers.append(buffer)
    data = model_file.serialise(bare)
    return _packed(data, packed) if packed else data


def labels_of(data: bytes, *, must_be_there: bool = True) -> tuple[str, ...] | None:
    """The classes' names that a .tflite carries; None where it carries none.

    Args:
      data: the file's bytes; its metadata may be of any maker in this form.
      must_be_there: whether it is an error that no file at all is packed behind a model whose
        metadata names one: programs that write the model anew lose it.

    Raises:
      ValueError: if it is no .tflite, or if its metadata, or the files packed behind it, are
        damaged or missing.
    """
    model = model_file.parse(data)
    described = _described(model)
    if described is None:
        return None
    files = _label_files(described)
    if not files or not (must_be_there or zipfile.is_zipfile(io.BytesIO(data))):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _lines(archive.read(files[0]))
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError, RuntimeError) as error:
        raise ValueError(
            f"expected the file {files[0]}, which the metadata names, packed behind the model; "
            f"it is damaged or missing ({error}): make the .tflite anew"
        ) from error


def _described(model: Model) -> Any:
    """A model's metadata, ModelMetadataT; None where it has none."""
    buffers = [m.buffer for m in model.metadata or () if m.name == _NAME]
    if not buffers:
        return None
    values = model.buffers[buffers[0]].data
    blob = b"" if values is None else values.tobytes()
    if blob[4:8] != _IDENTIFIER:
        raise ValueError(f"expected metadata with the identifier M001, got {blob[4:8]!r}")
    try:
        return form.ModelMetadataT.InitFromObj(form.ModelMetadata.GetRootAs(blob))
    except model_file.DAMAGED as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> ValueError:
    return ValueError(f"the metadata is damaged ({error}); make the .tflite anew")


def _label_files(described: Any) -> list[str]:
    """The names of the files of the classes' names."""
    return [
        file.name.decode()
        for subgraph in described.subgraphMetadata or ()
        for tensor in subgraph.outputTensorMetadata or ()
        for file in tensor.associatedFiles or ()
        if file.type == _LABELS
    ]


def _files(data: bytes) -> dict[str, bytes]:
    """The files packed behind a model, if there are any."""
    file = io.BytesIO(data)
    if not zipfile.is_zipfile(file):
        return {}
    try:
        with zipfile.ZipFile(file) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError(
            f"expected files packed behind the model, as its metadata names, and they are damaged "
            f"({error}): make the .tflite anew"
        ) from error


def _image(tensor: Tensor) -> Any:
    middle = 128.0 if tensor.scales else 127.5
    low, high = (0.0, 255.0) if tensor.scales else (-1.0, 1.0)
    return form.TensorMetadataT(
        name="image",
        description=f"RGB image, {tensor.shape[1]} x {tensor.shape[2]} pixels.",
        content=form.ContentT(
            contentPropertiesType=form.ContentProperties.ImageProperties,
            contentProperties=form.ImagePropertiesT(colorSpace=form.ColorSpaceType.RGB),
        ),
        processUnits=[
            form.ProcessUnitT(
                optionsType=form.ProcessUnitOptions.NormalizationOptions,
                options=form.NormalizationOptionsT(mean=[middle], std=[middle]),
            )
        ],
        stats=form.StatsT(min=[low], max=[high]),
    )


def _features(name: str, description: str, **more: Any) -> Any:
    return form.TensorMetadataT(
        name=name,
        description=description,
        content=form.ContentT(
            contentPropertiesType=form.ContentProperties.FeatureProperties,
            contentProperties=form.FeaturePropertiesT(),
        ),
        **more,
    )


def _embedding(tensor: Tensor) -> Any:
    low, high = (0.0, 255.0) if tensor.scales else (-1.0, 1.0)
    return _features(
        "embedding",
        f"Feature vector of length 1, {tensor.shape[-1]} components.",
        stats=form.StatsT(min=[low], max=[high]),
    )


def _probabilities(tensor: Tensor, labels: Sequence[str] | None) -> Any:
    file = form.AssociatedFileT(
        name=LABELS_FILE,
        description="The classes' names, one a line.",
        type=_LABELS,
    )
    return _features(
        "probability",
        f"Probabilities of {tensor.shape[-1]} classes.",
        stats=form.StatsT(min=[0.0], max=[255.0 if tensor.scales else 1.0]),
        associatedFiles=None if labels is None else [file],
    )


def _packed(data: bytes, packed: Mapping[str, bytes]) -> bytes:
    """A file's bytes with others packed behind them, the same bytes at any time."""
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        for name, content in packed.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return file.getvalue()


def _text(labels: Sequence[str]) -> bytes:
    return ("\n".join(labels) + "\n").encode()


def _lines(data: bytes) -> tuple[str, ...]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"expected labels in UTF-8, got {error}") from error
    lines = text.removesuffix("\n").split("\n")
    return tuple(normalised(line.removesuffix("\r")) for line in lines)


def _check_names(labels: Sequence[str]) -> None:
    for index, label in enumerate(labels):
        if not label.strip():
            raise ValueError(f"expected a name for each class, got an empty label {index}")
        if len(label.splitlines()) != 1 or label.splitlines()[0] != label:
            raise ValueError(f"expected labels of one line each, got {label!r}, label {index}")
