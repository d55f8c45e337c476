"""Tests of grafting.py, from photos to a classifier that learns new classes."""

import pathlib
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from imprinting.base.photo_crop import Crop
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.new_classes import grafting, photo_testing, photos
from imprinting.new_classes.embedding_fit import FitEmbedding
from imprinting.new_classes.photo_imprinting import Options
from imprinting.new_classes.tflite_network import TfliteNetwork
from imprinting.photos.pixel_reader import PixelReader
from imprinting.tflite import (
    class_vectors,
    embedding_layer,
    graft_testing,
    inference,
    last_layer,
    metadata,
    model_file,
    product_rules,
)
from imprinting.tflite.inference import Kernels
from transforms.conversion import testing

_MANY = 60


def labelled(data: bytes, crop: Crop = Crop.STRETCHED) -> bytes:
    about = metadata.About("Small", crop)
    return metadata.attach(model_file.parse(data), graft_testing.LABELS, about)


class GraftTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.images = testing.images(_MANY)
        self.paths = []
        for index, pixels in enumerate(self.images):
            self.paths.append(str(self.folder / f"{index}.png"))
            Image.fromarray(pixels).save(self.paths[-1])
        self.data = labelled(graft_testing.uint8_body())

    def test_without_photos(self):
        grafted = grafting.graft(self.data)
        self.assertEqual(grafted.names, graft_testing.LABELS)
        self.assertEqual((grafted.num_unnamed, grafted.num_photos), (0, 0))
        self.assertIsNone(grafted.same)
        self.assertEqual(grafted.embedding, "features as they are")
        rows = last_layer.cut(model_file.parse(self.data)).rows
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        model = model_file.parse(grafted.tflite)
        np.testing.assert_allclose(class_vectors.read(model), unit, atol=0.01)
        self.assertEqual(grafting.graft(self.data).tflite, grafted.tflite)

    @parameterized.named_parameters(
        ("uint8_body", graft_testing.uint8_body),
        ("int8_body", graft_testing.dense),
        ("int8_input", graft_testing.convolution),
        ("float_input", lambda: graft_testing.dense(np.float32)),
    )
    def test_with_many_photos(self, make):
        progress = []
        grafted = grafting.graft(
            make(), self.paths, on_progress=lambda *counts: progress.append(counts)
        )
        self.assertEqual(progress[-1], (_MANY, _MANY))
        self.assertEqual(grafted.embedding, "features whitened by those of 60 photos")
        self.assertEqual(grafted.num_photos, _MANY)
        self.assertIsNone(grafted.input_range)
        model = model_file.parse(grafted.tflite)
        self.assertEqual(product_rules.check(model, quantised=True), [])
        layer = embedding_layer.read(model)
        embedding = LinearEmbedding.of_layer(layer.kernel, layer.biases)
        cut = last_layer.cut(model_file.parse(make()))
        crop = [pixels_of(path) for path in self.paths]
        (found,) = inference.run(cut.body, np.stack(crop), kernels=Kernels.DEFAULT)
        features = cut.features.dequantise(found).reshape(_MANY, -1)
        np.testing.assert_allclose(
            embedding.mean, features.mean(axis=0), atol=0.02 * np.abs(features).max()
        )
        # Directions in which photos vary more count less, and no component is clipped.
        embedded = embedding.of(features)
        spread = np.linalg.eigvalsh(np.cov(features.T)), np.linalg.eigvalsh(np.cov(embedded.T))
        self.assertLess(spread[1][-1] / spread[1].sum(), 0.8 * spread[0][-1] / spread[0].sum())
        # What is lost of the last layer: biases and lengths. Here, they are random.
        cosines = embedded @ class_vectors.read(model).T
        centred = (features - features.mean(axis=0)) @ cut.rows.T
        for number in range(len(cut.rows)):
            self.assertGreater(np.corrcoef(cosines[:, number], centred[:, number])[0, 1], 0.99)

    def test_with_more_photos_than_are_used(self):
        with mock.patch.object(grafting, "MOST_PHOTOS", 20):
            some = grafting.graft(self.data, self.paths)
        self.assertEqual(some.num_photos, 20)
        expected = grafting.graft(self.data, self.paths[::3])
        self.assertEqual((len(self.paths), some.tflite), (60, expected.tflite))

    def test_with_few_photos(self):
        grafted = grafting.graft(self.data, self.paths[: grafting.LEAST_WHITENED - 1])
        self.assertEqual(grafted.embedding, "features minus the mean of those of 39 photos")
        layer = embedding_layer.read(model_file.parse(grafted.tflite))
        np.testing.assert_allclose(layer.kernel, np.eye(len(layer.kernel)), atol=1e-6)

    def test_new_classes_next_to_the_old_ones(self):
        new = self.folder / "new"
        photo_testing.write(new)
        for make in (graft_testing.uint8_body, graft_testing.dense):
            grafted = grafting.graft(make(), self.paths, graft_testing.LABELS)
            options = Options(
                keep_classes=True, allow_lost_classes=True, fit_embedding=FitEmbedding.ALWAYS
            )
            network = TfliteNetwork(grafted.tflite, options)
            imprinted = network.imprint(photos.find(str(new)))
            self.assertEqual(imprinted.names, (*graft_testing.LABELS, "blue", "red"))
            self.assertIn("Embedding: fitted to the photos", imprinted.fit)
            pixels = [pixels_of(new / name / "0.png") for name in ("blue", "red")]
            (found,) = inference.run(
                model_file.parse(imprinted.tflite), np.stack(pixels), kernels=Kernels.DEFAULT
            )
            first = graft_testing.CLASSES
            np.testing.assert_array_equal(found.argmax(axis=1), [first, first + 1])

    def test_metadata(self):
        data = labelled(graft_testing.uint8_body(), Crop.SQUARE)
        for crop, expected in ((None, Crop.SQUARE), (Crop.STRETCHED, Crop.STRETCHED)):
            grafted = grafting.graft(data, crop=crop)
            about = metadata.about(model_file.parse(grafted.tflite))
            self.assertEqual(about, metadata.About("Small", expected))
            self.assertEqual(metadata.labels_of(grafted.tflite), graft_testing.LABELS)
        grafted = grafting.graft(graft_testing.dense(), title="flowers", crop=Crop.SQUARE)
        self.assertEqual(grafted.names, tuple("01234"))
        self.assertEqual(grafted.num_unnamed, 5)
        about = metadata.about(model_file.parse(grafted.tflite))
        self.assertEqual(about, metadata.About("flowers", Crop.SQUARE))
        grafted = grafting.graft(graft_testing.dense(), labels=tuple("abcde"))
        self.assertEqual(metadata.labels_of(grafted.tflite), tuple("abcde"))

    def test_photos_that_cannot_be_read(self):
        bad = self.folder / "bad.jpg"
        bad.write_bytes(b"bad")
        paths = [str(bad), *self.paths[:3]]
        with self.assertRaisesRegex(ValueError, "got 1 that cannot among 4 .*--skip_bad_images"):
            grafting.graft(self.data, paths)
        grafted = grafting.graft(self.data, paths, skip_bad_images=True)
        self.assertEqual(grafted.num_photos, 3)
        self.assertLen(grafted.unreadable, 1)
        self.assertEqual(grafted.tflite, grafting.graft(self.data, paths[1:]).tflite)
        with self.assertRaisesRegex(ValueError, "1 that cannot among 1 .* repair or remove them$"):
            grafting.graft(self.data, paths[:1], skip_bad_images=True)

    def test_an_extractor(self):
        extractor = model_file.parse(testing.small().extractor)
        described = metadata.attach(extractor, None, metadata.About())
        for data, labels in (
            (described, None),
            (described, ["a"]),
            (testing.small().extractor, None),
        ):
            with self.assertRaisesRegex(
                ValueError, "gives features, .*; name the complete .tflite"
            ):
                grafting.graft(data, labels=labels)
        logits = graft_testing.dense(last="linear")
        with self.assertRaisesRegex(
            ValueError, ".tflite, or the names of its classes with --labels"
        ):
            grafting.graft(logits)
        self.assertEqual(grafting.graft(logits, labels=[*"abcde"]).names, tuple("abcde"))

    def test_photos_without_differences(self):
        with self.assertRaisesRegex(ValueError, "photos with different features, got the same"):
            grafting.graft(self.data, self.paths[:1] * 50)

    def test_a_class_without_a_direction(self):
        model = model_file.parse(graft_testing.uint8_body())
        conv = model.subgraphs[0].operators[-3]
        buffer = model.buffers[model.subgraphs[0].tensors[conv.inputs[1]].buffer]
        values = buffer.data.copy()
        values[-testing.EMBEDDING :] = 120
        buffer.data = values
        with self.assertRaisesRegex(ValueError, "got one of zeros for class 4; it was never"):
            grafting.graft(model_file.serialise(model))

    def test_too_many_features_for_an_embedding(self):
        data = graft_testing.dense(pooled=False)
        with mock.patch.object(grafting, "MOST_FEATURES", 100):
            with self.assertRaisesRegex(ValueError, "at most 100 features .* got 768; leave out"):
                grafting.graft(data, self.paths)
            self.assertEqual(grafting.graft(data).num_features, 768)

    def test_other_files(self):
        for data, expected in (
            (b"noise" * 100, "expected a .tflite"),
            (testing.compiled(graft_testing.uint8_body()), "before the Edge TPU's compiler"),
            (graft_testing.float_classifier(), "expected a quantised classifier"),
            (testing.small().model, "imprint into it as it is"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                grafting.graft(data)
        with self.assertRaisesRegex(ValueError, "5 classes, got 2 names in names.txt"):
            grafting.graft(self.data, labels=["one", "two"], labels_source="names.txt")


def pixels_of(path) -> np.ndarray:
    """What a network of the small size sees of a photo."""
    return PixelReader(testing.SIZE).read(path)[0]


if __name__ == "__main__":
    absltest.main()
