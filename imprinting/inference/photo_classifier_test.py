"""Tests of photo_classifier.py: compares it with running the small classifier on pixels."""

import os
from unittest import mock

import numpy as np
from absl.testing import absltest
from PIL import Image

import imprinting.schema.tflite as schema
from imprinting.base import pixel_scaling
from imprinting.base.photo_crop import Crop
from imprinting.inference.photo_classifier import Answer, PhotoClassifier
from imprinting.photos.pixel_reader import PixelReader
from imprinting.tflite import inference, metadata, model_file, node_testing
from imprinting.tflite.inference import Kernels
from transforms.conversion import testing


def labelled(*, quantise: bool = True, crop: Crop = Crop.STRETCHED) -> bytes:
    model = model_file.parse(testing.small(quantise=quantise).model)
    return metadata.attach(model, testing.LABELS, metadata.About(crop=crop))


def with_labels_file(text: str) -> bytes:
    """A model with another file of labels."""
    with mock.patch.object(metadata, "_text", return_value=text.encode()):
        return labelled()


class ClassifyTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.paths = []
        for index, pixels in enumerate(testing.images(6, 48)):
            self.paths.append(os.path.join(self.folder, f"{index}.png"))
            # Not square, so that the two crops are different.
            Image.fromarray(pixels[: 48 - 4 * index]).save(self.paths[-1])

    def expected(self, data: bytes, crop: Crop) -> np.ndarray:
        """The probabilities of all classes, float32 [photos, classes]."""
        reader = PixelReader(testing.SIZE, crop)
        pixels = np.concatenate([reader.read(path) for path in self.paths])
        model = model_file.parse(data)
        if model.subgraphs[0].tensors[0].type != schema.TensorType.UINT8:
            return inference.run(model, pixel_scaling.to_real(pixels), kernels=Kernels.DEFAULT)[0]
        return inference.run(model, pixels, kernels=Kernels.DEFAULT)[0] / np.float32(256)

    def check(self, data: bytes, *, crop: Crop = Crop.STRETCHED) -> None:
        probabilities = self.expected(data, crop)
        classifier = PhotoClassifier(data)
        self.assertEqual(classifier.labels, testing.LABELS)
        self.assertEqual(classifier.image_size, testing.SIZE)
        self.assertEqual(classifier.crop, crop)
        for threads in (1, 4):
            on_progress = mock.Mock()
            with mock.patch.object(os, "cpu_count", return_value=threads):
                answers, bad = classifier.classify(
                    self.paths, top=testing.CLASSES, on_progress=on_progress
                )
            self.assertEqual(bad, {})
            self.assertEqual(on_progress.mock_calls, [mock.call(done, 6) for done in range(1, 7)])
            self.assertLen(answers, 6)
            for found, each in zip(answers, probabilities, strict=True):
                order = sorted(range(testing.CLASSES), key=lambda i: (-each[i], i))
                self.assertEqual(found, [Answer(testing.LABELS[i], float(each[i])) for i in order])
        # For photos in another order, the answers would be different.
        self.assertLen({tuple(found) for found in answers}, 6)

    def test_quantised_model(self):
        self.check(labelled())

    def test_float_model(self):
        self.check(labelled(quantise=False))

    def test_model_of_a_square_part_of_photos(self):
        data = labelled(crop=Crop.SQUARE)
        self.check(data, crop=Crop.SQUARE)
        self.assertTrue(
            np.any(self.expected(data, Crop.SQUARE) != self.expected(data, Crop.STRETCHED))
        )

    def test_number_of_answers(self):
        classifier = PhotoClassifier(labelled())
        everything, _ = classifier.classify(self.paths, top=99)
        self.assertLen(everything[0], testing.CLASSES)
        for found, top in (
            (classifier.classify(self.paths)[0], 5),
            (classifier.classify(self.paths, top=1)[0], 1),
        ):
            self.assertEqual(found, [each[:top] for each in everything])
        with self.assertRaisesRegex(ValueError, "expected top to be at least 1, got 0"):
            classifier.classify(self.paths, top=0)

    def test_equally_probable_classes_keep_their_order(self):
        # With a scale factor of almost 0, all classes have the same probability.
        model = model_file.parse(testing.small().model)
        factor = model.subgraphs[0].operators[-3].inputs[1]
        model.subgraphs[0].tensors[factor].quantization.scale = [1e-9]
        classifier = PhotoClassifier(model_file.serialise(model), labels="abcdefg")
        answers, _ = classifier.classify(self.paths[:1])
        self.assertEqual([answer.label for answer in answers[0]], [*"abcde"])
        self.assertLen({answer.probability for answer in answers[0]}, 1)
        self.assertAlmostEqual(answers[0][0].probability, 1 / 7, delta=1 / 256)

    def test_no_photos(self):
        self.assertEqual(PhotoClassifier(labelled()).classify([]), ([], {}))

    def test_unreadable_photos_are_reported(self):
        expected, _ = PhotoClassifier(labelled()).classify(self.paths)
        text, empty, folder, gone, hidden = (
            os.path.join(self.folder, name)
            for name in ("text.jpg", "empty.png", "folder.jpg", "gone.jpg", "hidden.jpg")
        )
        with open(text, "w") as file:
            file.write("not an image\n" * 9)
        open(empty, "w").close()
        os.mkdir(folder)
        os.symlink("nowhere.jpg", hidden)
        cut = self.paths[3]
        with open(cut, "r+b") as file:
            file.truncate(os.path.getsize(cut) // 2)
        found, bad = PhotoClassifier(labelled()).classify(
            [text, *self.paths, empty, folder, gone, hidden]
        )
        self.assertStartsWith(bad.pop(4), "it cannot be decoded: ")
        self.assertEqual(
            bad,
            {
                0: "it is not a JPEG, PNG, BMP, WebP or GIF image",
                7: "it is empty",
                8: "it is not a regular file",
                9: "it cannot be opened: No such file or directory",
                10: "it is a link to nowhere.jpg, and cannot be opened: No such file or directory",
            },
        )
        expected[3] = []
        self.assertEqual(found, [[], *expected, [], [], [], []])
        denied = mock.Mock(side_effect=PermissionError(13, "Permission denied"))
        with mock.patch("imprinting.photos.photo_file.open", denied, create=True):
            self.assertEqual(
                PhotoClassifier(labelled()).classify(self.paths[:1]),
                ([[]], {0: "it cannot be opened: Permission denied"}),
            )

    def test_can_be_broken_off(self):
        stop = mock.Mock(side_effect=KeyboardInterrupt)
        with self.assertRaises(KeyboardInterrupt):
            PhotoClassifier(labelled()).classify(self.paths, on_progress=stop)


class LabelsTest(absltest.TestCase):
    def test_of_the_caller(self):
        self.assertEqual(PhotoClassifier(labelled(), labels="abcdefg").labels, tuple("abcdefg"))
        for names in ("abcdef", "abcdefgh"):
            with self.assertRaisesRegex(ValueError, f"7 classes, got {len(names)} names in labels"):
                PhotoClassifier(labelled(), labels=names)

    def test_numbers_for_missing_ones(self):
        numbers = tuple(map(str, range(testing.CLASSES)))
        self.assertEqual(PhotoClassifier(testing.small().model).labels, numbers)
        # As engines write it, with a description of labels, but without their file.
        lost = model_file.serialise(model_file.parse(labelled()))
        self.assertEqual(PhotoClassifier(lost).labels, numbers)
        for text, expected in (
            ("a\nb\n", ("a", "b", *numbers[2:])),
            ("a\n \nb\n\n\n\n\n\n\n", ("a", "1", "b", *numbers[3:])),
            ("", numbers),
        ):
            self.assertEqual(PhotoClassifier(with_labels_file(text)).labels, expected)

    def test_refuses_too_many(self):
        with self.assertRaisesRegex(
            ValueError, "names of at most 7 classes in the model's metadata, got 8; create"
        ):
            PhotoClassifier(with_labels_file("a\n" * 8))


class ModelTest(absltest.TestCase):
    def assert_refused(self, data: bytes, expected: str) -> None:
        with self.assertRaisesRegex(ValueError, expected) as raised:
            PhotoClassifier(data)
        self.assertLen(str(raised.exception).splitlines(), 1)

    def test_refuses_damaged_models(self):
        data = labelled()
        self.assert_refused(b"", "expected a .tflite, .* got 0 bytes")
        self.assert_refused(b"noise" * 100, "expected a .tflite, .* got 500 bytes")
        self.assert_refused(data[: len(data) // 2], "a complete .tflite, got .* truncated")
        # The list of labels is at the end of the file.
        self.assert_refused(data.replace(b"crane\ncrane", b"crane\nCRANE"), "the file labels.txt")
        self.assert_refused(data.replace(b"M001", b"M999"), "metadata with the identifier M001")
        self.assert_refused(testing.compiled(testing.small().model, kept=1), "for the Edge TPU")

    def test_refuses_models_that_are_not_classifiers(self):
        expected = "expected a complete classifier, .*, got one with "
        self.assert_refused(
            testing.small().extractor, expected + r"the output uint8 \[1, 1, 1, 24\].*; name"
        )
        self.assert_refused(testing.small().head, expected + r"the input uint8 \[1, 1, 1, 24\]")
        model = model_file.parse(testing.small().model)
        subgraph = model.subgraphs[0]
        circle = model_file.changed(
            subgraph.operators[-2],
            inputs=[subgraph.outputs[0], subgraph.operators[-2].inputs[1]],
            outputs=subgraph.outputs,
        )
        for changes, found in (
            ({"outputs": [subgraph.operators[-1].inputs[0]]}, "the output of MUL"),
            ({"outputs": [*subgraph.outputs] * 2}, "1 inputs and 2 outputs"),
        ):
            changed = model_file.changed(subgraph, **changes)
            data = model_file.serialise(model_file.changed(model, subgraphs=[changed]))
            self.assert_refused(data, expected + found)
        changed = model_file.changed(subgraph, operators=[*subgraph.operators[:-1], circle])
        data = model_file.serialise(model_file.changed(model, subgraphs=[changed]))
        self.assert_refused(data, "expected inputs of RESHAPE .* that were computed before, got")

    def test_refuses_other_types(self):
        # A body of int8, without the operators that convert from and to uint8.
        model = node_testing.classifier("RELU", "INT8")
        subgraph = model.subgraphs[0]
        first, last = subgraph.operators[0], subgraph.operators[-1]
        for changes, found in (
            ({"operators": subgraph.operators[1:], "inputs": first.outputs}, "the input int8"),
            ({"operators": subgraph.operators[:-1], "outputs": last.inputs}, "the output int8"),
        ):
            changed = model_file.changed(subgraph, **changes)
            data = model_file.serialise(model_file.changed(model, subgraphs=[changed]))
            self.assert_refused(data, "got one with " + found)

    def test_refuses_operators_that_classifiers_lack(self):
        model = model_file.parse(testing.small().model)
        code = model.operatorCodes[model.subgraphs[0].operators[0].opcodeIndex]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"nobody-knows-it"
        self.assert_refused(
            model_file.serialise(model),
            "operators that image classifiers have, got CUSTOM nobody-knows-it",
        )

    def test_refuses_models_that_the_interpreter_refuses(self):
        # Its kernel accepts only one scale.
        model = node_testing.classifier("L2_NORMALIZATION", "UINT8")
        subgraph = model.subgraphs[0]
        normalised = subgraph.tensors[subgraph.operators[0].outputs[0]]
        normalised.quantization.scale = [1 / 64]
        self.assert_refused(model_file.serialise(model), "interpreter accepts, got .*L2_NORM")

    def test_refuses_models_that_fail_when_they_run(self):
        with (
            mock.patch.object(inference.Runner, "run", side_effect=ValueError("a\nb")),
            self.assertRaisesRegex(ValueError, "^a b$"),
        ):
            PhotoClassifier(testing.small().model)

    def test_accepts_a_quantisation_after_the_softmax(self):
        # As in a model whose softmax has another scale than its output.
        model = model_file.parse(labelled())
        subgraph = model.subgraphs[0]
        output = subgraph.tensors[subgraph.outputs[0]]
        subgraph.tensors.append(model_file.changed(output, name=b"requantised"))
        operator = schema.OperatorT()
        operator.opcodeIndex = len(model.operatorCodes)
        operator.inputs, operator.outputs = subgraph.outputs, [len(subgraph.tensors) - 1]
        subgraph.operators.append(operator)
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
        code.version = 1
        model.operatorCodes.append(code)
        subgraph.outputs = operator.outputs
        path = os.path.join(self.create_tempdir().full_path, "a.png")
        Image.fromarray(testing.images(1)[0]).save(path)
        requantised = PhotoClassifier(model_file.serialise(model), labels=testing.LABELS)
        self.assertEqual(requantised.classify([path]), PhotoClassifier(labelled()).classify([path]))


if __name__ == "__main__":
    absltest.main()
