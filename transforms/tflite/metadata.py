"""What a .tflite tells of itself in TensorFlow Lite's own form: images, classes, labels.

Two things make it: a FlatBuffer (ModelMetadata, identifier M001) in the buffer that the
model's metadata names TFLITE_METADATA, and the file of labels, packed as a zip at the
end of the file. Readers of either find it without knowing of this project.
"""

import io
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np

# By this path alone: `tensorflow.lite` is an attribute that TensorFlow makes when it is used.
from tensorflow.lite.python import schema_py_generated as schema

import third_party.mediapipe.metadata_schema as form
from transforms.tflite import model_file, model_graph
from transforms.tflite.model_graph import Model, Tensor

LABELS_FILE = "labels.txt"

_NAME = b"TFLITE_METADATA"
_IDENTIFIER = b"M001"
# Of the form's first version is all that is used here.
_PARSER_VERSION = "1.0.0"


def read_labels(path: str) -> tuple[str, ...]:
    """The classes' names in a file, one a line, UTF-8.

    Raises:
      OSError: if it cannot be read.
      ValueError: if it is no UTF-8, or a name is empty; names the file.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        labels = _lines(data)
        _check_names(labels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return labels


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
    described = form.ModelMetadataT(
        name="MobileNet V1 with an L2-normalised embedding",
        subgraphMetadata=[subgraph],
        minParserVersion=_PARSER_VERSION,
    )
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
    return data if labels is None else _packed(data, "\n".join(labels) + "\n")


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
    buffers = [m.buffer for m in model.metadata or () if m.name == _NAME]
    if not buffers:
        return None
    values = model.buffers[buffers[0]].data
    blob = b"" if values is None else values.tobytes()
    if blob[4:8] != _IDENTIFIER:
        raise ValueError(f"expected metadata with the identifier M001, got {blob[4:8]!r}")
    try:
        described = form.ModelMetadataT.InitFromObj(form.ModelMetadata.GetRootAs(blob))
        files = [
            file.name.decode()
            for subgraph in described.subgraphMetadata or ()
            for tensor in subgraph.outputTensorMetadata or ()
            for file in tensor.associatedFiles or ()
            if file.type == form.AssociatedFileType.TENSOR_AXIS_LABELS
        ]
    except model_file.DAMAGED as error:
        raise ValueError(f"the metadata is damaged ({error}); make the .tflite anew") from error
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
        type=form.AssociatedFileType.TENSOR_AXIS_LABELS,
    )
    return _features(
        "probability",
        f"Probabilities of {tensor.shape[-1]} classes.",
        stats=form.StatsT(min=[0.0], max=[255.0 if tensor.scales else 1.0]),
        associatedFiles=None if labels is None else [file],
    )


def _packed(data: bytes, labels: str) -> bytes:
    """A file's bytes with the labels packed behind them, the same bytes at any time."""
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        info = zipfile.ZipInfo(LABELS_FILE, date_time=(1980, 1, 1, 0, 0, 0))
        info.create_system = 3
        info.external_attr = 0o644 << 16
        archive.writestr(info, labels.encode())
    return file.getvalue()


def _lines(data: bytes) -> tuple[str, ...]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"expected labels in UTF-8, got {error}") from error
    return tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))


def _check_names(labels: Sequence[str]) -> None:
    for index, label in enumerate(labels):
        if not label.strip():
            raise ValueError(f"expected a name for each class, got an empty label {index}")
        if len(label.splitlines()) != 1 or label.splitlines()[0] != label:
            raise ValueError(f"expected labels of one line each, got {label!r}, label {index}")
