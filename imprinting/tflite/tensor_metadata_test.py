"""Tests of the descriptions of tensors; metadata_test.py tests them in a file."""

from absl.testing import absltest, parameterized

from imprinting.base.photo_crop import Crop
from imprinting.tflite import tensor_metadata
from imprinting.tflite.model_graph import Tensor


def tensor(*shape, quantised=True):
    scales, zero_points = ((0.5,), (128,)) if quantised else ((), ())
    type_ = "UINT8" if quantised else "FLOAT32"
    return Tensor(0, "x", type_, shape, scales, zero_points, False)


class TensorMetadataTest(parameterized.TestCase):
    def test_inputs(self):
        for shape, name, start in (
            ((1, 32, 32, 3), "image", "RGB image, 32 x 32 pixels: a square"),
            (
                (1, 1, 1, 24),
                "embedding",
                "Embedding before its L2 normalisation, 24 components, of ",
            ),
            ((1, 1, 1, 3), "embedding", "Embedding before its L2 normalisation, 3 components, of "),
        ):
            found = tensor_metadata.describe_input(tensor(*shape), Crop.SQUARE)
            self.assertEqual(found.name, name)
            self.assertStartsWith(found.description, start)
            self.assertIn(tensor_metadata.CROPS[Crop.SQUARE], found.description)

    def test_ranges(self):
        image = (1, 8, 8, 3)
        for quantised, low, high in ((True, 0, 255), (False, -1, 1)):
            found = tensor_metadata.describe_input(
                tensor(*image, quantised=quantised), Crop.STRETCHED
            )
            self.assertEqual((found.stats.min, found.stats.max), ([low], [high]))
        self.assertIsNone(tensor_metadata.embedding(tensor(1, 1, 1, 4, quantised=False)).stats)

    @parameterized.parameters((None,), (("a", "b"),))
    def test_labels(self, labels):
        found = tensor_metadata.probabilities(tensor(1, 2), labels)
        self.assertEqual(found.description, "Probabilities of 2 classes.")
        if labels is None:
            self.assertIsNone(found.associatedFiles)
        else:
            (file,) = found.associatedFiles
            self.assertEqual((file.name, file.type), ("labels.txt", tensor_metadata.LABELS))


if __name__ == "__main__":
    absltest.main()
