"""What TensorFlow Lite metadata says of a model's input and output: descriptions of tensors."""

from collections.abc import Sequence
from typing import Any

import imprinting.schema.metadata as form
from imprinting.base import pixel_scaling
from imprinting.base.photo_crop import Crop
from imprinting.tflite.model_graph import Tensor

LABELS_FILE = "labels.txt"
LABELS = form.AssociatedFileType.TENSOR_AXIS_LABELS
# What the description of the input says about the part of a photo that it is. Engines and other
# programs keep this text.
CROPS = {
    Crop.STRETCHED: "",
    Crop.SQUARE: ": a square in the middle of a photo, with 87.5 % of its shorter side",
}


# The name of an embedding in the metadata.
EMBEDDING = "embedding"


def describe_input(tensor: Tensor, crop: Crop) -> Any:
    """Returns the description of an image [1, s, s, 3] or of an embedding [1, 1, 1, d].

    Args:
      tensor: the input.
      crop: the part of a photo that the image, or that of the embedding, is.
    """
    is_image = len(tensor.shape) == 4 and tensor.shape[1] > 1
    return _image(tensor, crop) if is_image else embedding(tensor, crop)


def embedding(tensor: Tensor, crop: Crop = Crop.STRETCHED) -> Any:
    """Returns the description of an embedding before its normalisation, of a part of a photo."""
    # A float embedding that is not normalised yet has no fixed range.
    stats = form.StatsT(min=[0.0], max=[255.0]) if tensor.scales else None
    return _features(
        EMBEDDING,
        f"Embedding before its L2 normalisation, {tensor.shape[-1]} components, of an RGB "
        f"image{CROPS[crop]}.",
        stats=stats,
    )


def probabilities(tensor: Tensor, labels: Sequence[str] | None) -> Any:
    """Returns the description of the output of a softmax, whose labels are in `LABELS_FILE`."""
    file = form.AssociatedFileT(
        name=LABELS_FILE,
        description="The classes' names, one a line.",
        type=LABELS,
    )
    return _features(
        "probability",
        f"Probabilities of {tensor.shape[-1]} classes.",
        stats=form.StatsT(min=[0.0], max=[255.0 if tensor.scales else 1.0]),
        associatedFiles=None if labels is None else [file],
    )


def _image(tensor: Tensor, crop: Crop) -> Any:
    middle = pixel_scaling.STD if tensor.scales else 127.5
    low, high = (0.0, 255.0) if tensor.scales else (-1.0, 1.0)
    return form.TensorMetadataT(
        name="image",
        description=f"RGB image, {tensor.shape[1]} x {tensor.shape[2]} pixels{CROPS[crop]}.",
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
