"""Tests of last_layer.py, with classifiers that TensorFlow's converter made."""

import numpy as np
from absl.testing import absltest, parameterized

import imprinting.schema.tflite as schema
from imprinting.tflite import (
    graft_testing,
    inference,
    last_layer,
    metadata,
    model_file,
    model_graph,
)
from imprinting.tflite.inference import Kernels
from transforms.conversion import testing

_ACTIVATIONS = schema.ActivationFunctionType


def dense(kind=np.uint8, **options):
    return model_file.parse(graft_testing.dense(kind, **options))


def last(model, name="FULLY_CONNECTED"):
    """The schema's operator of the last layer."""
    return model.subgraphs[0].operators[model_graph.graph(model).named(name)[-1].index]


def probabilities(model, images):
    """What a classifier says about pixels, whatever type it takes and gives."""
    (image,), (output,) = model_graph.graph(model).inputs, model_graph.graph(model).outputs
    if image.type == "INT8":
        images = (images.astype(np.int16) - 128).astype(np.int8)
    elif image.type == "FLOAT32":
        images = images.astype(np.float32)
    (found,) = inference.run(model, images, kernels=Kernels.REFERENCE)
    return output.dequantise(found).reshape(len(images), -1)


class CutTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("uint8", lambda: graft_testing.dense(np.uint8)),
        ("int8", lambda: graft_testing.dense(np.int8)),
        ("float_input", lambda: graft_testing.dense(np.float32)),
        ("logits", lambda: graft_testing.dense(np.uint8, last="linear")),
        ("flattened", lambda: graft_testing.dense(np.int8, pooled=False)),
        ("convolution", graft_testing.convolution),
        ("uint8_body", graft_testing.uint8_body),
    )
    def test_the_parts_say_the_same(self, make):
        model = model_file.parse(make())
        before = model_file.serialise(model)
        cut = last_layer.cut(model)
        self.assertEqual(model_file.serialise(model), before)
        self.assertEqual(cut.image.type, "UINT8")
        self.assertTrue(cut.has_usual_input, cut.input_range)
        depth = cut.features.shape[3]
        self.assertEqual(cut.features.shape, (1, 1, 1, depth))
        self.assertEqual(cut.rows.shape, (graft_testing.CLASSES, depth))
        self.assertEqual(cut.biases.shape, (graft_testing.CLASSES,))
        graph = model_graph.graph(cut.body)
        self.assertEmpty({"SHAPE", "PACK"} & {op.name for op in graph.operators})
        self.assertFalse(any(t.shapeSignature is not None for t in cut.body.subgraphs[0].tensors))

        images = testing.images(16)
        (features,) = inference.run(cut.body, images, kernels=Kernels.REFERENCE)
        logits = cut.features.dequantise(features).reshape(16, depth) @ cut.rows.T + cut.biases
        expected = probabilities(model, images)
        if model_graph.graph(model).named("SOFTMAX"):
            logits = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(logits, expected, atol=0.03)

    def test_numbers_of_a_kernel_with_one_scale(self):
        model = model_file.parse(graft_testing.uint8_body())
        cut = last_layer.cut(model)
        self.assertAlmostEqual(cut.rows.min(), 0.01 * (1 - 120), delta=0.05)
        scale = cut.features.scales[0] * 0.01
        np.testing.assert_allclose(cut.biases, scale * np.array([300, -200, 100, 0, 50]))

    def test_a_layer_without_biases(self):
        model = dense()
        operator = last(model)
        operator.inputs = [*operator.inputs[:2], -1]
        np.testing.assert_array_equal(last_layer.cut(model).biases, 0)

    def test_features_that_were_pooled_before_they_became_vectors(self):
        cut = last_layer.cut(model_file.parse(graft_testing.convolution()))
        self.assertEqual(model_graph.graph(cut.body).operators[-1].name, "MEAN")

    def test_unusual_pixels(self):
        model = dense(np.int8)
        tensor = model.subgraphs[0].tensors[model_graph.graph(model).inputs[0].index]
        tensor.quantization.scale = np.array([0.0187], np.float32)
        cut = last_layer.cut(model)
        self.assertFalse(cut.has_usual_input)
        np.testing.assert_allclose(cut.input_range, (0, 4.77), atol=0.01)


class RefusalTest(parameterized.TestCase):
    def assert_refused(self, model, expected):
        with self.assertRaisesRegex(ValueError, expected):
            last_layer.cut(model)

    def test_a_float_model(self):
        model = model_file.parse(graft_testing.float_classifier())
        self.assert_refused(
            model, r"expected a quantised .* takes float32 \[1, 12\]; quantise it .*INT8"
        )

    def test_an_activation_after_the_last_layer(self):
        self.assert_refused(dense(last="relu"), "got one with RELU; leave the activation out")
        model = dense()
        last(model).builtinOptions.fusedActivationFunction = _ACTIVATIONS.RELU6
        self.assert_refused(model, "got one with RELU6")

    def test_another_last_operator(self):
        self.assert_refused(
            dense(last="sigmoid"), "whose last layer is a CONV_2D or FULLY_CONNECTED, .* got LOGIS"
        )
        model = model_file.parse(graft_testing.dense())
        graph = model_graph.graph(model)
        model.subgraphs[0].outputs = [graph.named("MEAN")[0].outputs[0].index]
        self.assert_refused(model, "got MEAN$")

    def test_several_inputs_and_outputs(self):
        model = dense()
        model.subgraphs[0].outputs = [*model.subgraphs[0].outputs, 4]
        self.assert_refused(model, "one input and one output, got 1 and 2; leave the others out")

    def test_features_that_others_take(self):
        model = dense()
        features = model_graph.graph(model).named("FULLY_CONNECTED")[0].input(0)
        other = model.subgraphs[0].operators[-2]
        model.subgraphs[0].operators.append(
            model_file.changed(other, inputs=[features.index], outputs=[5])
        )
        self.assert_refused(model, "only the last layer takes, got FULLY_CONNECTED and SOFTMAX;")

    def test_no_pooling(self):
        model = model_file.parse(graft_testing.uint8_body())
        conv = model_graph.graph(model).named("CONV_2D")[0]
        model.subgraphs[0].outputs = [conv.outputs[0].index]
        operator = model.subgraphs[0].operators[conv.index]
        operator.builtinOptions.fusedActivationFunction = _ACTIVATIONS.NONE
        self.assert_refused(
            model, r"takes uint8 \[1, 32, 32, 3\].* with weights \[8, 3, 3, 3\]; .* needs a pooling"
        )

    def test_a_head_for_imprinting(self):
        model = model_file.parse(metadata.attach(model_file.parse(testing.small().model), None))
        self.assert_refused(model, "got one with it; imprint into it as it is")
        model.subgraphs[0].outputs = [model_graph.graph(model).named("MUL")[0].outputs[0].index]
        self.assert_refused(model, "got one with it; start from a classifier without it")

    def test_other_images(self):
        model = dense()
        index = model_graph.graph(model).inputs[0].index
        model.subgraphs[0].tensors[index].shape = np.array([1, 32, 16, 3])
        self.assert_refused(model, r"square RGB photos, \[1, s, s, 3\], got .* \[1, 32, 16, 3\]")

    def test_a_layer_alone(self):
        model = model_file.parse(graft_testing.uint8_body())
        subgraph = model.subgraphs[0]
        conv = subgraph.operators[-3]
        shape = np.array([1, 1, 1, 3])
        subgraph.tensors[conv.inputs[0]].shape = shape
        subgraph.tensors[conv.inputs[1]].shape = np.array([8, 1, 1, 3])
        subgraph.inputs, subgraph.operators = [conv.inputs[0]], subgraph.operators[-3:]
        self.assert_refused(model, "layers before its last one, got none")

    def test_weights_that_are_not_constant_or_not_of_eight_bits(self):
        model = dense()
        operator = last(model)
        operator.inputs = [operator.inputs[0], operator.inputs[0], operator.inputs[2]]
        self.assert_refused(model, "constant weights of uint8 or int8 .*; quantise it")

    def test_a_float_layer_first(self):
        model = dense(np.float32)
        code = model.operatorCodes[model.subgraphs[0].operators[0].opcodeIndex]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FLOOR
        self.assert_refused(model, "or float32 for a QUANTIZE alone, got one that takes .* FLOOR;")


if __name__ == "__main__":
    absltest.main()
