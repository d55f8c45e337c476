"""The layouts of .tflite files and of their metadata, for `flatbuffer_check`.

They have the fields of TensorFlow Lite's schema.fbs and metadata_schema.fbs, in their order; the
numbers are sizes in bytes. The options of operators have numbers, vectors of numbers, whose length
the generated code checks, and only where they are listed here, strings.
"""

import imprinting.schema.metadata as form
import imprinting.schema.tflite as schema
from imprinting.tflite.flatbuffer_check import (
    Bytes,
    Items,
    Layouts,
    String,
    Strings,
    Table,
    Tables,
    Union,
)

_INDICES = Union(
    {
        schema.SparseIndexVector.Int32Vector: "Int32Vector",
        schema.SparseIndexVector.Uint16Vector: "Uint16Vector",
        schema.SparseIndexVector.Uint8Vector: "Uint8Vector",
    }
)
_OPTIONS = Union(
    {
        schema.BuiltinOptions.ReshapeOptions: "ReshapeOptions",
        schema.BuiltinOptions.SqueezeOptions: "SqueezeOptions",
        schema.BuiltinOptions.ConcatEmbeddingsOptions: "ConcatEmbeddingsOptions",
        schema.BuiltinOptions.BucketizeOptions: "BucketizeOptions",
        schema.BuiltinOptions.VarHandleOptions: "VarHandleOptions",
    },
    others=True,
)

MODEL: Layouts = {
    "Model": (
        4,
        Tables("OperatorCode"),
        Tables("SubGraph"),
        String(),
        Tables("Buffer"),
        Items(4),
        Tables("Metadata"),
        Tables("SignatureDef"),
        Tables("ExternalBufferGroup"),
        Tables("ExternalBuffer"),
    ),
    "OperatorCode": (1, String(), 4, 4),
    "SubGraph": (Tables("Tensor"), Items(4), Items(4), Tables("Operator"), String(), 4),
    "Tensor": (
        Items(4),
        1,
        4,
        String(),
        Table("QuantizationParameters"),
        1,
        Table("SparsityParameters"),
        Items(4),
        1,
        Tables("VariantSubType"),
        4,
    ),
    "QuantizationParameters": (
        Items(4),
        Items(4),
        Items(4),
        Items(8),
        1,
        Union(
            {
                schema.QuantizationDetails.CustomQuantization: "CustomQuantization",
                schema.QuantizationDetails.BlockwiseQuantization: "BlockwiseQuantization",
            }
        ),
        4,
    ),
    "CustomQuantization": (Bytes(),),
    "BlockwiseQuantization": (4, 4, 4),
    "SparsityParameters": (Items(4), Items(4), Tables("DimensionMetadata")),
    "DimensionMetadata": (1, 4, 1, _INDICES, 1, _INDICES),
    "Int32Vector": (Items(4),),
    "Uint16Vector": (Items(2),),
    "Uint8Vector": (Bytes(),),
    "VariantSubType": (Items(4), 1, 1),
    "Operator": (
        4,
        Items(4),
        Items(4),
        1,
        _OPTIONS,
        Bytes(),
        1,
        Items(1),
        Items(4),
        8,
        8,
        1,
        # The options of StableHLO, which is no format of classifiers for phones.
        Union({}),
        4,
    ),
    "ReshapeOptions": (Items(4),),
    "SqueezeOptions": (Items(4),),
    "ConcatEmbeddingsOptions": (4, Items(4), Items(4)),
    "BucketizeOptions": (Items(4),),
    "VarHandleOptions": (String(), String()),
    "Buffer": (Bytes(), 8, 8),
    "Metadata": (String(), 4),
    "SignatureDef": (Tables("TensorMap"), Tables("TensorMap"), String(), 4, 4),
    "TensorMap": (String(), 4),
    "ExternalBufferGroup": (String(),),
    "ExternalBuffer": (4, 4, 8, 8, String()),
}

METADATA: Layouts = {
    "ModelMetadata": (
        String(),
        String(),
        String(),
        Tables("SubGraphMetadata"),
        String(),
        String(),
        Tables("AssociatedFile"),
        String(),
    ),
    "SubGraphMetadata": (
        String(),
        String(),
        Tables("TensorMetadata"),
        Tables("TensorMetadata"),
        Tables("AssociatedFile"),
        Tables("ProcessUnit"),
        Tables("ProcessUnit"),
        Tables("TensorGroup"),
        Tables("TensorGroup"),
        Tables("CustomMetadata"),
    ),
    "TensorMetadata": (
        String(),
        String(),
        Strings(),
        Table("Content"),
        Tables("ProcessUnit"),
        Table("Stats"),
        Tables("AssociatedFile"),
    ),
    "TensorGroup": (String(), Strings()),
    "CustomMetadata": (String(), Bytes()),
    "AssociatedFile": (String(), String(), 1, String(), String()),
    "Content": (
        1,
        Union(
            {
                form.ContentProperties.FeatureProperties: "FeatureProperties",
                form.ContentProperties.ImageProperties: "ImageProperties",
                form.ContentProperties.AudioProperties: "AudioProperties",
                form.ContentProperties.BoundingBoxProperties: "BoundingBoxProperties",
            }
        ),
        Table("ValueRange"),
    ),
    "FeatureProperties": (),
    "ImageProperties": (1, Table("ImageSize")),
    "ImageSize": (4, 4),
    "AudioProperties": (4, 4),
    "BoundingBoxProperties": (Items(4), 1, 1),
    "ValueRange": (4, 4),
    "Stats": (Items(4), Items(4)),
    "ProcessUnit": (
        1,
        Union(
            {
                form.ProcessUnitOptions.NormalizationOptions: "NormalizationOptions",
                form.ProcessUnitOptions.ScoreCalibrationOptions: "ScoreCalibrationOptions",
                form.ProcessUnitOptions.ScoreThresholdingOptions: "ScoreThresholdingOptions",
                form.ProcessUnitOptions.BertTokenizerOptions: "BertTokenizerOptions",
                form.ProcessUnitOptions.SentencePieceTokenizerOptions: (
                    "SentencePieceTokenizerOptions"
                ),
                form.ProcessUnitOptions.RegexTokenizerOptions: "RegexTokenizerOptions",
            }
        ),
    ),
    "NormalizationOptions": (Items(4), Items(4)),
    "ScoreCalibrationOptions": (1, 4),
    "ScoreThresholdingOptions": (4,),
    "BertTokenizerOptions": (Tables("AssociatedFile"),),
    "SentencePieceTokenizerOptions": (Tables("AssociatedFile"), Tables("AssociatedFile")),
    "RegexTokenizerOptions": (String(), Tables("AssociatedFile")),
}
