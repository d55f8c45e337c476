"""Tests of pycoral_api.py: the steps of a program that learns classes with pycoral, and errors."""

import os
import pathlib
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from imprinting import pycoral_api as classify
from imprinting import pycoral_api as common
from imprinting.pycoral_api import ImprintingEngine, ImprintingError, make_interpreter
from imprinting.tflite import imprinting as engines
from imprinting.tflite import inference, metadata, model_file, model_graph, product_rules, split
from transforms.conversion import testing

_COLOURS = {"blue": (20, 30, 220), "green": (20, 220, 30), "red": (230, 20, 20)}


def photos(colour, count=4):
    """Images of noise around a colour, of another size than the model's."""
    random = np.random.default_rng(sum(colour.encode()))
    noise = random.integers(-20, 21, [count, 40, 50, 3])
    pixels = np.clip(np.array(_COLOURS[colour]) + noise, 0, 255).astype(np.uint8)
    return [Image.fromarray(each) for each in pixels]


class PycoralTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(os.path.realpath(self.create_tempdir().full_path))
        for int8 in (False, True):
            model = model_file.parse(testing.small(int8=int8).model)
            data = metadata.attach(model, testing.LABELS)
            pathlib.Path("int8.tflite" if int8 else "uint8.tflite").write_bytes(data)

    def embed(self, extractor, image):
        size = common.input_size(extractor)
        common.set_input(extractor, image.resize(size, Image.NEAREST))
        extractor.invoke()
        return classify.get_scores(extractor)

    def learn(self, engine, colours, first=0):
        extractor = make_interpreter(engine.serialize_extractor_model(), device="cpu")
        extractor.allocate_tensors()
        for class_id, colour in enumerate(colours):
            for image in photos(colour):
                embedding = self.embed(extractor, image)
                self.assertLen(embedding, engine.embedding_dim)
                engine.train(embedding, class_id=first + class_id)


class LearningTest(PycoralTestCase):
    @parameterized.product(name=["uint8", "int8"], keep_classes=[False, True])
    def test_learns_and_classifies(self, name, keep_classes):
        engine = ImprintingEngine(f"{name}.tflite", keep_classes=keep_classes)
        first = testing.CLASSES if keep_classes else 0
        self.assertEqual(engine.num_classes, first)
        self.assertEqual(engine.embedding_dim, testing.EMBEDDING)
        self.learn(engine, _COLOURS, first)
        self.assertEqual(engine.num_classes, first + 3)
        pathlib.Path("my.tflite").write_bytes(engine.serialize_model())

        interpreter = make_interpreter("my.tflite")
        interpreter.allocate_tensors()
        self.assertLen(interpreter.get_output_details(), 1)
        self.assertEqual(classify.num_classes(interpreter), first + 3)
        self.assertEqual(common.input_size(interpreter), (testing.SIZE, testing.SIZE))
        for class_id, colour in enumerate(_COLOURS):
            self.embed(interpreter, photos(colour)[0])
            top = classify.get_classes(interpreter, top_k=2, score_threshold=0.1)
            self.assertEqual(top[0].id, first + class_id)
            self.assertBetween(top[0].score, 0.1, 1)
            self.assertEqual(tuple(top[0]), (top[0].id, top[0].score))

    def test_the_model_is_that_of_the_engine(self):
        model = model_file.read("uint8.tflite")
        other = engines.ImprintingEngine(model, keep_classes=True)
        engine = ImprintingEngine(pathlib.Path("uint8.tflite"), True)
        embeddings = np.eye(5, testing.EMBEDDING)
        for embedding in embeddings:
            engine.train(embedding, testing.CLASSES)
        other.add(testing.CLASSES, embeddings)
        data = engine.serialize_model()
        self.assertEqual(metadata.labels_of(data), (*testing.LABELS, "7"))
        made, expected = model_file.parse(data), other.build().tflite_model
        self.assertEqual(made.description, expected.description)
        for got, wanted in zip(
            made.subgraphs[0].tensors, expected.subgraphs[0].tensors, strict=True
        ):
            values = made.buffers[got.buffer].data, expected.buffers[wanted.buffer].data
            np.testing.assert_array_equal(*values)
        self.assertEqual(product_rules.check(made, quantised=True), [])

    def test_learns_more_later(self):
        engine = ImprintingEngine("uint8.tflite")
        self.learn(engine, ["blue"])
        once = engine.serialize_model()
        self.assertEqual(engine.serialize_model(), once)
        self.learn(engine, ["blue", "green"])
        pathlib.Path("two.tflite").write_bytes(engine.serialize_model())
        engine = ImprintingEngine("two.tflite", keep_classes=True)
        self.assertEqual(engine.num_classes, 2)
        self.learn(engine, ["blue", "green", "red"])
        model = model_file.parse(engine.serialize_model())
        lengths = [line.split() for line in model.description.decode().splitlines()]
        self.assertEqual([int(number) for number, _ in lengths], [0, 1, 2])
        for (_, length), count in zip(lengths, (12, 8, 4), strict=True):
            self.assertAlmostEqual(float(length), count, delta=0.05 * count)

    def test_the_extractor(self):
        data = ImprintingEngine("int8.tflite").serialize_extractor_model()
        expected = split.at_embedding(model_file.read("int8.tflite")).extractor
        self.assertEqual(data, model_file.serialise(expected))
        (output,) = model_graph.graph(model_file.parse(data)).outputs
        self.assertEqual(output.shape, (1, 1, 1, testing.EMBEDDING))

    def test_a_compiled_extractor(self):
        data = testing.compiled(testing.small().model, kept=5)
        pathlib.Path("edgetpu.tflite").write_bytes(data)
        engine = ImprintingEngine("edgetpu.tflite", keep_classes=True)
        engine.train(np.eye(testing.EMBEDDING)[0], testing.CLASSES)
        made = model_file.parse(engine.serialize_model(), compiled=True)
        options = np.asarray(made.subgraphs[0].operators[0].customOptions, np.uint8)
        self.assertEqual(options.tobytes(), testing.COMPILED_OPTIONS)
        extractor = engine.serialize_extractor_model()
        for device, expected in ((None, "got none on this machine"), ("cpu", "got the CPU")):
            with mock.patch.object(inference, "edge_tpu", return_value=None):
                with self.assertRaisesRegex(ValueError, f"compiled for it, {expected}.* was comp"):
                    make_interpreter(extractor, device)


class ErrorTest(PycoralTestCase):
    def test_models(self):
        for name, data, expected in (
            ("noise", b"noise" * 100, "noise.tflite: expected a .tflite"),
            ("float", testing.small(quantise=False).model, "float.tflite: .* quantised: expected"),
            ("head", testing.small().head, "head.tflite: expected a model that the on-device"),
        ):
            pathlib.Path(f"{name}.tflite").write_bytes(data)
            with self.assertRaisesRegex(ValueError, f"(?s){expected}"):
                ImprintingEngine(f"{name}.tflite")
        with self.assertRaisesRegex(ValueError, "a .tflite at gone.tflite, got: No such file"):
            ImprintingEngine("gone.tflite")

    def test_embeddings(self):
        engine = ImprintingEngine("uint8.tflite", keep_classes=True)
        depth, new = testing.EMBEDDING, testing.CLASSES
        good = np.eye(depth)[0]
        for embedding, expected in (
            (photos("red")[0], r"of 24 numbers, got uint8 \[40, 50, 3\], an image; run the model"),
            (np.zeros([1, 8, 8, 3]), r"got float64 \[1, 8, 8, 3\], an image;"),
            (np.ones([depth + 1]), r"one embedding \[24\], got float64 \[25\]; compute it"),
            (good[np.newaxis], r"got float64 \[1, 24\]; give it as .* flat"),
            (good.reshape([1, 1, 1, depth]), "; give it as .* flat"),
            (np.full([depth], 128, np.uint8), r"got uint8 \[24\], the quanta of a tensor; give"),
            (good * 3, "embeddings of length 1, got 3 as embedding 0; divide"),
            (good * np.nan, "length 1, got nan"),
        ):
            for kind in (ValueError, RuntimeError, ImprintingError):
                with self.assertRaisesRegex(kind, expected):
                    engine.train(embedding, new)
        self.assertEqual(engine.num_classes, new)

    def test_class_numbers(self):
        engine = ImprintingEngine("uint8.tflite", keep_classes=True)
        good, new = np.eye(testing.EMBEDDING)[0], testing.CLASSES
        for number, expected in (
            (new + 1, r"a class in 0\.\.7, the last of which is new, got 8"),
            (-1, r"a class in 0\.\.7, .* got -1"),
            (0, "a class that was imprinted, got 0, which was trained and cannot be changed"),
        ):
            with self.assertRaisesRegex(ImprintingError, expected):
                engine.train(good, number)
        for number in (7.0, "7", None, True):
            with self.assertRaises(TypeError):
                engine.train(good, number)
        engine.train(good.astype(np.float32), np.int64(new))
        self.assertEqual(engine.num_classes, new + 1)

    def test_nothing_to_write(self):
        engine = ImprintingEngine("uint8.tflite")
        with self.assertRaisesRegex(ImprintingError, "examples of at least one class, got none"):
            engine.serialize_model()
        for sign in (1, -1):
            engine.train(sign * np.eye(testing.EMBEDDING)[0], 0)
        with self.assertRaisesRegex(ImprintingError, "examples of class 0 that cancel out"):
            engine.serialize_model()

    def test_interpreters(self):
        data = pathlib.Path("uint8.tflite").read_bytes()
        with mock.patch.object(inference, "edge_tpu", return_value=None) as found:
            for device in (":0", "usb", "pci:1"):
                with self.assertRaisesRegex(
                    ValueError, f"for the device '{device}', got none .* give device=\"cpu\""
                ):
                    make_interpreter(data, device=device)
                found.assert_called_with(device)
            make_interpreter(data)
            found.assert_called_with("")
            found.reset_mock()
            make_interpreter("uint8.tflite", "cpu")
            found.assert_not_called()
        with self.assertRaises(FileNotFoundError):
            make_interpreter("gone.tflite")
        with self.assertRaisesRegex(ValueError, "expected a .tflite"):
            make_interpreter(b"noise" * 100)

    def test_images(self):
        interpreter = make_interpreter("uint8.tflite", device="cpu")
        interpreter.allocate_tensors()
        image = photos("red")[0].resize(common.input_size(interpreter))
        common.set_input(interpreter, np.asarray(image, np.int64)[np.newaxis])
        (details,) = interpreter.get_input_details()
        got = interpreter.get_tensor(details["index"])
        np.testing.assert_array_equal(got[0], np.asarray(image))
        for data, expected in (
            (
                photos("red")[0],
                r"image \[32, 32, 3\], got \[40, 50, 3\]; convert it to RGB and res",
            ),
            (image.convert("RGBA"), r"got \[32, 32, 4\]; convert"),
            (image.convert("L"), r"got \[32, 32\]; convert"),
            (np.asarray(image) / 255, r"integers in 0\.\.255, got float64; give the pixels"),
            (np.asarray(image, np.int64) - 128, r"integers in 0\.\.255, got -\d+\.\.\d+"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                common.set_input(interpreter, data)

    def test_a_float_model(self):
        interpreter = make_interpreter(testing.small(quantise=False).model, device="cpu")
        interpreter.allocate_tensors()
        common.set_input(interpreter, np.zeros([testing.SIZE, testing.SIZE, 3]))
        interpreter.invoke()
        scores = classify.get_scores(interpreter)
        self.assertAlmostEqual(scores.sum(), 1, places=5)
        before = scores.copy()
        common.set_input(interpreter, np.ones([testing.SIZE, testing.SIZE, 3]))
        interpreter.invoke()
        np.testing.assert_array_equal(scores, before)


class ScoresTest(parameterized.TestCase):
    def test_classes_of_scores(self):
        scores = np.array([0.1, 0.4, 0.1, 0.3, 0.1])
        find = classify.get_classes_from_scores
        self.assertEqual([c.id for c in find(scores)], [1, 3, 0, 2, 4])
        self.assertEqual(find(scores, 2), [(1, 0.4), (3, 0.3)])
        self.assertEqual(find(list(scores), top_k=9, score_threshold=0.3), [(1, 0.4), (3, 0.3)])
        self.assertEqual(find(scores, score_threshold=0.5), [])
        for top_k in (0, -1, float("nan")):
            with self.assertRaisesRegex(ValueError, "top_k to be at least 1"):
                find(scores, top_k)
        with self.assertRaisesRegex(ValueError, r"scores \[n\], got \[1, 5\]; give them flat"):
            find(scores[np.newaxis])

    def test_results_without_a_scale(self):
        interpreter = mock.Mock()
        interpreter.get_output_details.return_value = [
            {"index": 1, "dtype": np.int32, "quantization": (0.0, 0), "shape": np.array([1, 3])}
        ]
        interpreter.get_tensor.return_value = np.zeros([1, 3], np.int32)
        with self.assertRaisesRegex(ValueError, "got int32 without one; the model is not"):
            classify.get_scores(interpreter)


if __name__ == "__main__":
    absltest.main()
