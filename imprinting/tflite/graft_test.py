"""Tests of graft.py: its models compute what their numbers say, and engines accept them."""

import dataclasses

import numpy as np
from absl.testing import absltest, parameterized

import imprinting.schema.tflite as schema
from imprinting.tflite import (
    class_vectors,
    embedding_layer,
    graft,
    graft_testing,
    inference,
    last_layer,
    model_file,
    model_graph,
    product_rules,
    split,
)
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.inference import Kernels
from transforms.conversion import testing

_TAIL = ["L2_NORMALIZATION", "CONV_2D", "MUL", "RESHAPE", "SOFTMAX"]
_CLASSIFIERS = (
    ("int8_body", graft_testing.dense, ["MEAN", "RESHAPE"], ["QUANTIZE"]),
    ("int8_convolution", graft_testing.convolution, ["MEAN"], ["QUANTIZE"]),
    ("uint8_body", graft_testing.uint8_body, ["AVERAGE_POOL_2D", "CONV_2D"], []),
)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def head(depth, embedding=None, *, size=None, scale_factor=9.0, reach=1.0, classes=6):
    random = np.random.default_rng(0)
    vectors = unit(random.normal(size=[classes, size or depth]))
    return graft.Head(embedding, vectors, scale_factor, reach)


def layer(depth, size=None, reach=3.0):
    random = np.random.default_rng(1)
    kernel = random.normal(size=[size or depth, depth]) / np.sqrt(depth)
    return graft.Embedding(kernel, random.normal(size=[size or depth]) * 0.1, reach)


def features(cut, images):
    (found,) = inference.run(cut.body, images, kernels=Kernels.REFERENCE)
    return cut.features.dequantise(found).reshape(len(images), -1)


class AttachTest(parameterized.TestCase):
    @parameterized.named_parameters(*_CLASSIFIERS)
    def test_without_an_embedding_layer(self, make, end, quantize):
        cut = last_layer.cut(model_file.parse(make()))
        made = head(cut.rows.shape[1])
        self.check(cut, made, lambda x: x, [*end, *quantize, *_TAIL])

    @parameterized.named_parameters(*_CLASSIFIERS)
    def test_with_an_embedding_layer(self, make, end, quantize):
        cut = last_layer.cut(model_file.parse(make()))
        depth = cut.rows.shape[1]
        spread = np.abs(features(cut, testing.images(16))).max()
        added = layer(depth, reach=4 * spread)
        added = dataclasses.replace(added, biases=added.biases * spread)
        model = self.check(
            cut,
            head(depth, added),
            lambda x: x @ added.kernel.T + added.biases,
            [*end, "CONV_2D", *quantize, *_TAIL],
        )
        found = embedding_layer.read(model)
        step = np.abs(added.kernel).max() / 127
        np.testing.assert_allclose(found.kernel, added.kernel, atol=step)
        np.testing.assert_allclose(found.biases, added.biases, atol=0.01 * spread)

    def check(self, cut, made, embed, end):
        before = model_file.serialise(cut.body)
        model = graft.attach(cut, made)
        self.assertEqual(model_file.serialise(cut.body), before)
        self.assertEqual(product_rules.check(model, quantised=True), [])
        graph = model_graph.graph(model)
        self.assertEqual([op.name for op in graph.operators[-len(end) :]], end)
        data = model_file.serialise(model)
        self.assertEqual(model_file.serialise(graft.attach(cut, made)), data)
        inference.verify(data)
        model = model_file.parse(data)
        self.assertAlmostEqual(class_vectors.scale_factor(model), made.scale_factor, places=5)
        self.assertBetween(class_vectors.greatest_scale_factor(model), 99.9, 110)

        images = testing.images(16)
        real = unit(embed(features(cut, images)))
        logits = made.scale_factor * real @ made.class_vectors.T
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        for kernels in Kernels:
            (found,) = inference.run(model, images, kernels=kernels)
            np.testing.assert_allclose(found / 256, expected, atol=0.06)
        (embedded,) = inference.run(
            split.at_embedding(model).extractor, images, kernels=Kernels.REFERENCE
        )
        embedded = (embedded.reshape(16, -1) - 128.0) / 128
        self.assertGreater((embedded * real).sum(axis=1).min(), 0.99)

        engine = ImprintingEngine(model, keep_classes=True)
        self.assertEqual(engine.num_classes, len(made.class_vectors))
        engine.add(engine.num_classes, embedded[:1])
        imprinted = engine.build().tflite_model
        self.assertEqual(product_rules.check(imprinted, quantised=True), [])
        (found,) = inference.run(imprinted, images[:1], kernels=Kernels.REFERENCE)
        self.assertEqual(found.argmax(), len(made.class_vectors))
        return model

    def test_an_embedding_of_more_components(self):
        cut = last_layer.cut(model_file.parse(graft_testing.dense()))
        depth = cut.rows.shape[1]
        model = graft.attach(cut, head(depth, layer(depth, 2 * depth), size=2 * depth))
        self.assertEqual(embedding_layer.read(model).kernel.shape, (2 * depth, depth))

    def test_the_range_of_class_vectors(self):
        cut = last_layer.cut(model_file.parse(graft_testing.dense()))
        depth = cut.rows.shape[1]
        for size, expected in ((depth, 1.0), (64, 6 / 8), (256, 0.5)):
            model = graft.attach(cut, head(depth, layer(depth, size), size=size))
            kernel = model_graph.graph(model).operators[-4].input(1)
            self.assertAlmostEqual(kernel.scales[0] * 127, expected, places=5)
            self.assertEqual(kernel.zero_points, (128,))

    def test_heads_that_do_not_fit(self):
        cut = last_layer.cut(model_file.parse(graft_testing.dense()))
        depth = cut.rows.shape[1]
        for made, expected in (
            (head(depth + 1), f"class vectors of {depth} components, got"),
            (head(depth, layer(depth + 1, depth)), "expected a kernel"),
            (head(depth, scale_factor=np.inf), "a finite scale factor"),
            (head(depth, scale_factor=0.0), "a finite scale factor"),
            (head(depth, reach=1.5), "in a range of at most 1, got 9.0 and 1.5"),
            (head(depth, layer(depth, reach=np.nan)), "a finite embedding layer"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                graft.attach(cut, made)

    def test_a_body_that_is_partly_float(self):
        cut = last_layer.cut(model_file.parse(graft_testing.dense()))
        tensor = model_graph.graph(cut.body).named("CONV_2D")[0].outputs[0]
        cut.body.subgraphs[0].tensors[tensor.index].type = schema.TensorType.FLOAT32
        with self.assertRaisesRegex(
            ValueError, "layers are all quantised to eight bits, .*breaks 1 of the rules .*\n  quan"
        ):
            graft.attach(cut, head(cut.rows.shape[1]))


if __name__ == "__main__":
    absltest.main()
