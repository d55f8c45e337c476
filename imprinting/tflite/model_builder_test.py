"""Tests of model_builder.py; its models are run."""

import numpy as np
from absl.testing import absltest

import imprinting.schema.tflite as schema
from imprinting.tflite import inference, model_file, model_graph
from imprinting.tflite.inference import Kernels
from imprinting.tflite.model_builder import ModelBuilder
from transforms.conversion import testing


class ModelBuilderTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.model = model_file.parse(testing.small().extractor)
        graph = model_graph.graph(self.model)
        (self.image,), (self.features,) = graph.inputs, graph.outputs

    def test_adds_operators_after_the_others(self):
        before = model_file.serialise(self.model)
        builder = ModelBuilder(self.model)
        depth = self.features.shape[3]
        scale, zero_point = self.features.scales[0], self.features.zero_points[0]
        shape = builder.constant("shape", np.array([1, depth], np.int32))
        flat = builder.activation("flat", np.uint8, [1, depth], scale, zero_point)
        builder.operator("RESHAPE", [self.features.index, shape], [flat])
        kernel = np.eye(3, depth, 2, np.int8)
        inputs = [
            builder.activation("int8", np.int8, [1, depth], scale, zero_point - 128),
            builder.constant("kernel", kernel, [1.0, 0.5, 0.25]),
            builder.constant(
                "biases", np.array([0, 8, 0], np.int32), [scale, scale / 2, scale / 4]
            ),
        ]
        builder.quantize(flat, inputs[0])
        output = builder.activation("output", np.int8, [1, 3], scale, zero_point - 128)
        options = schema.FullyConnectedOptionsT()
        builder.operator("FULLY_CONNECTED", inputs, [output], options, version=5)
        made = builder.build(inputs=[self.image.index], outputs=[output])
        self.assertEqual(model_file.serialise(self.model), before)

        data = model_file.serialise(made)
        inference.verify(data)
        made = model_file.parse(data)
        graph = model_graph.graph(made)
        self.assertEqual(
            [(op.name, op.version) for op in graph.operators[-3:]],
            [("RESHAPE", 1), ("QUANTIZE", 2), ("FULLY_CONNECTED", 5)],
        )
        names = [tensor.name for tensor in graph.tensors]
        self.assertContainsSubset(["shape", "flat", "int8", "kernel", "biases", "output"], names)
        found = graph.tensors[names.index("kernel")]
        self.assertEqual((found.scales, found.zero_points), ((1.0, 0.5, 0.25), (0, 0, 0)))
        np.testing.assert_array_equal(model_graph.values(made, found), kernel)
        images = testing.images(4)
        (features,) = inference.run(self.model, images, kernels=Kernels.REFERENCE)
        (results,) = inference.run(made, images, kernels=Kernels.REFERENCE)
        real = self.features.dequantise(features).reshape(4, depth)
        expected = [real[:, 2], real[:, 3] / 2 + 4 * scale, real[:, 4] / 4]
        real = graph.outputs[0].dequantise(results)
        np.testing.assert_allclose(real, np.stack(expected, axis=1), atol=scale)

    def test_adds_another_model(self):
        head = model_file.parse(testing.small().head)
        builder = ModelBuilder(self.model)
        (taken,) = model_graph.graph(head).inputs
        places = builder.append(head, {taken.index: self.features.index})
        self.assertEqual(places[taken.index], self.features.index)
        outputs = [places[i] for i in model_graph.indices(head.subgraphs[0].outputs)]
        whole = builder.build(inputs=[self.image.index], outputs=outputs)
        images = testing.images(4)
        for got, expected in zip(
            inference.run(whole, images, kernels=Kernels.REFERENCE),
            inference.run(
                model_file.parse(testing.small().model), images, kernels=Kernels.REFERENCE
            ),
            strict=True,
        ):
            np.testing.assert_array_equal(got, expected)

    def test_constants_share_nothing(self):
        builder = ModelBuilder(self.model)
        values = np.array(7, np.uint8)
        first, second = (builder.constant("x", values, [0.5], 3) for _ in range(2))
        self.assertNotEqual(builder.tensors[first].buffer, builder.tensors[second].buffer)
        self.assertEqual(builder.tensors[first].shape.tolist(), [])


if __name__ == "__main__":
    absltest.main()
