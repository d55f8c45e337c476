"""Tests of running models."""

import ctypes
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from imprinting.tflite import inference, model_file, model_graph, node_testing
from imprinting.tflite.inference import Kernels
from transforms.conversion import testing


class RunTest(parameterized.TestCase):
    @parameterized.parameters(*Kernels)
    def test_same_as_an_interpreter(self, kernels):
        data, images = testing.small().model, testing.images(5)
        (got,) = inference.run(model_file.parse(data), images, kernels=kernels)
        interpreter = tf.lite.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        for image, probabilities in zip(images, got, strict=True):
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[np.newaxis])
            interpreter.invoke()
            expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
            # The reference kernels round differently.
            np.testing.assert_allclose(
                probabilities, expected, atol=0 if kernels is Kernels.DEFAULT else 8, rtol=0
            )

    @parameterized.parameters(*Kernels)
    def test_fetches_inner_tensors(self, kernels):
        model = model_file.parse(testing.small().model)
        graph = model_graph.graph(model)
        wanted = [graph.operators[4].outputs[0], graph.operators[8].inputs[0], graph.outputs[0]]
        values = inference.run(
            model, testing.images(3), kernels=kernels, fetch=[t.index for t in wanted]
        )
        self.assertEqual(
            [v.shape for v in values], [(3, 1, 1, testing.EMBEDDING)] + [(3, testing.CLASSES)] * 2
        )
        self.assertEqual({v.dtype for v in values}, {np.dtype(np.uint8)})
        lengths = np.linalg.norm(wanted[0].dequantise(values[0]), axis=-1)
        np.testing.assert_allclose(lengths, 1, atol=0.03)
        (expected,) = inference.run(model, testing.images(3), kernels=kernels)
        np.testing.assert_array_equal(values[2], expected)
        # The model itself is not changed.
        self.assertLen(model.subgraphs[0].outputs, 1)

    def test_order_does_not_depend_on_the_number_of_inputs(self):
        model = model_file.parse(testing.small().model)
        images = testing.images(7)
        (together,) = inference.run(model, images, kernels=Kernels.DEFAULT)
        for index, image in enumerate(images):
            (alone,) = inference.run(model, image[np.newaxis], kernels=Kernels.DEFAULT)
            np.testing.assert_array_equal(alone[0], together[index])

    def test_inputs_that_do_not_fit(self):
        model = model_file.parse(testing.small().model)
        for images in (np.zeros([2, 16, 16, 3], np.uint8), np.zeros([2, 32, 32, 3], np.float32)):
            with self.assertRaises(ValueError):
                inference.run(model, images, kernels=Kernels.DEFAULT)

    def test_models_that_the_interpreter_refuses(self):
        model = model_file.parse(testing.small().model)
        # A softmax of an image and a kernel.
        model.subgraphs[0].operators[8].inputs = model.subgraphs[0].operators[0].inputs[:2]
        with self.assertRaisesRegex(ValueError, "interpreter accepts, got "):
            inference.run(model, testing.images(2), kernels=Kernels.REFERENCE)


class VerifyTest(parameterized.TestCase):
    def test_returns_the_model(self):
        data = testing.small().model
        self.assertEqual(model_file.serialise(inference.verify(data)), data)

    @parameterized.parameters(
        (lambda data: data[: len(data) // 2], "a complete .tflite, got .* truncated or damaged"),
        (lambda data: b"noise" + data, "a .tflite, whose bytes 4 to 8"),
        # The interpreter would end the process.
        (lambda data: bytes([0] * 4) + data[4:], "a complete .tflite, got .* truncated or damaged"),
    )
    def test_structure(self, change, expected):
        with self.assertRaisesRegex(ValueError, f"expected {expected}"):
            inference.verify(change(testing.small().model))

    def test_networks_that_cannot_run(self):
        model = node_testing.classifier("CONV_2D", "UINT8")
        model.subgraphs[0].operators[0].builtinOptions.strideH = 0
        with self.assertRaisesRegex(ValueError, "a stride from 1"):
            inference.verify(model_file.serialise(model))

    def test_what_the_interpreter_refuses(self):
        model = node_testing.classifier("CONV_2D", "UINT8")
        model.version = 99
        with self.assertRaisesRegex(ValueError, "complete .tflite, .*; create or download it ag"):
            inference.verify(model_file.serialise(model))


class RunnerTest(absltest.TestCase):
    def test_what_fails_when_it_runs(self):
        runner = inference.Runner(testing.small().model, kernels=Kernels.DEFAULT)
        with (
            mock.patch.object(runner._interpreter, "invoke", side_effect=RuntimeError("a\nb")),
            self.assertRaisesRegex(
                ValueError, r"interpreter can run, got .* cannot \(a b\); create"
            ),
        ):
            runner.run(testing.images(1)[0])


class EdgeTpuTest(absltest.TestCase):
    def test_none_without_its_runtime(self):
        with mock.patch.object(inference, "_EDGE_TPU", "libno_such_edgetpu.so.1"):
            self.assertIsNone(inference.edge_tpu())

    def test_none_if_the_runtime_finds_none(self):
        with (
            mock.patch.object(ctypes, "CDLL"),
            mock.patch.object(inference.litert, "load_delegate", side_effect=ValueError),
        ):
            self.assertIsNone(inference.edge_tpu())
            for device, expected in (
                ("usb", "expected an Edge TPU at usb and its runtime"),
                ("no.so", "expected the library of a delegate .*, got no.so, which cannot"),
            ):
                with self.assertRaisesRegex(ValueError, expected):
                    inference.delegate(device)

    def test_devices(self):
        self.assertIsNone(inference.delegate("cpu"))
        with self.assertRaisesRegex(ValueError, "expected a device, \"cpu\", .*, got 'gpu'"):
            inference.delegate("gpu")
        found = object()
        with (
            mock.patch.object(ctypes, "CDLL"),
            mock.patch.object(inference.litert, "load_delegate", return_value=found) as load,
        ):
            self.assertIs(inference.delegate("pci"), found)
            load.assert_called_once_with(inference._EDGE_TPU, {"device": "pci"})

    def test_one_of_several(self):
        for device, options in (("", None), ("usb", {"device": "usb"})):
            with (
                mock.patch.object(ctypes, "CDLL"),
                mock.patch.object(inference.litert, "load_delegate") as load,
            ):
                self.assertIs(inference.edge_tpu(device), load.return_value)
            load.assert_called_once_with("libedgetpu.so.1", options)

    def test_a_compiled_model_cannot_run_without_one(self):
        data = testing.compiled(testing.small().extractor)
        inference.verify(data)
        with self.assertRaisesRegex(ValueError, "interpreter accepts, got .*edgetpu-custom-op"):
            inference.Runner(data, kernels=Kernels.DEFAULT)


if __name__ == "__main__":
    absltest.main()
