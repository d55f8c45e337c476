"""Tests of splitting a model at its embedding."""

import numpy as np
from absl.testing import absltest, parameterized

import imprinting.schema.tflite as schema
from imprinting.tflite import inference, model_file, model_graph, split
from imprinting.tflite.inference import Kernels
from transforms.conversion import testing


def parts_of(quantise):
    model = model_file.parse(testing.small(quantise=quantise).model)
    parts = split.split(model)
    # As read from files.
    return (
        model,
        model_file.parse(model_file.serialise(parts.extractor)),
        model_file.parse(model_file.serialise(parts.head)),
    )


def constants(model):
    """(name, type, shape, scales, zero points) -> bytes of a model's weights."""
    found = {}
    for tensor in model_graph.graph(model).tensors:
        if tensor.constant:
            data = model.buffers[model.subgraphs[0].tensors[tensor.index].buffer].data
            key = (tensor.name, tensor.type, tensor.shape, tensor.scales, tensor.zero_points)
            found[key] = data.tobytes()
    return found


class SplitTest(parameterized.TestCase):
    @parameterized.product(quantise=[True, False], kernels=list(Kernels))
    def test_extractor_and_head_compute_the_same_as_the_model(self, quantise, kernels):
        model, extractor, head = parts_of(quantise)
        images = testing.images(16)
        inputs = images if quantise else images.astype(np.float32) / 128 - 1
        (expected,) = inference.run(model, inputs, kernels=kernels)
        (features,) = inference.run(extractor, inputs, kernels=kernels)
        (probabilities,) = inference.run(head, features, kernels=kernels)
        self.assertEqual(features.shape, (16, 1, 1, testing.EMBEDDING))
        np.testing.assert_array_equal(probabilities, expected)
        self.assertGreater(len(np.unique(probabilities, axis=0)), 8)

    @parameterized.parameters(True, False)
    def test_the_heads_input_is_the_extractors_output(self, quantise):
        model, extractor, head = (model_graph.graph(m) for m in parts_of(quantise))
        self.assertEqual(
            [op.name for op in extractor.operators + head.operators],
            [op.name for op in model.operators],
        )
        # The on-device engines need it, and compiling the extractor would hide it.
        self.assertEqual(head.operators[0].name, "L2_NORMALIZATION")
        (end,), (start,) = extractor.outputs, head.inputs
        self.assertEqual((end.type, end.shape), (start.type, start.shape))
        self.assertEqual((end.scales, end.zero_points), (start.scales, start.zero_points))
        self.assertEqual(end.type, "UINT8" if quantise else "FLOAT32")
        self.assertNotEqual(end.scales, (1 / 128,))
        self.assertEqual(extractor.inputs[0].name, "input")
        self.assertEqual(head.outputs[0].name, model.outputs[0].name)

    @parameterized.parameters(True, False)
    def test_parts_have_the_models_weights_and_nothing_unused(self, quantise):
        model, extractor, head = parts_of(quantise)
        self.assertEqual(constants(extractor) | constants(head), constants(model))
        self.assertEmpty(constants(extractor).keys() & constants(head).keys())
        for part in (extractor, head):
            graph = model_graph.graph(part)
            used = {t for op in graph.operators for t in op.inputs + op.outputs}
            self.assertEqual(used, set(graph.tensors))
            buffers = {t.buffer for t in part.subgraphs[0].tensors}
            buffers |= {m.buffer for m in part.metadata}
            self.assertEqual(buffers | {0}, set(range(len(part.buffers))))
            self.assertLen(part.operatorCodes, len({op.name for op in graph.operators}))

    def test_quantize_before_the_embedding_stays_in_the_extractor(self):
        parts = split.split(model_file.parse(testing.small(int8=True).model))
        extractor, head = model_graph.graph(parts.extractor), model_graph.graph(parts.head)
        self.assertEqual(extractor.operators[-1].name, "QUANTIZE")
        self.assertEqual(
            [op.name for op in head.operators],
            ["L2_NORMALIZATION", "CONV_2D", "MUL", "RESHAPE", "SOFTMAX"],
        )
        self.assertEqual({t.type for t in extractor.inputs + extractor.outputs}, {"UINT8"})

    def test_an_extractor_that_ends_with_the_normalisation_loses_it(self):
        small = testing.small()
        found = split.split(model_file.parse(small.embedder)).extractor
        self.assertEqual(
            model_graph.graph(found), model_graph.graph(model_file.parse(small.extractor))
        )

    @parameterized.parameters(True, False)
    def test_at_the_embedding(self, quantise):
        model = model_file.parse(testing.small(quantise=quantise).model)
        parts = split.at_embedding(model)
        embedder, classes = model_graph.graph(parts.extractor), model_graph.graph(parts.head)
        self.assertEqual(embedder.operators[-1].name, "L2_NORMALIZATION")
        self.assertEqual(embedder.outputs[0].scales, (1 / 128,) if quantise else ())
        self.assertEqual(classes.operators[0].name, "CONV_2D")
        images = testing.images(4)
        inputs = images if quantise else images.astype(np.float32) / 128 - 1
        (embedding,) = inference.run(parts.extractor, inputs, kernels=Kernels.REFERENCE)
        (found,) = inference.run(parts.head, embedding, kernels=Kernels.REFERENCE)
        (expected,) = inference.run(model, inputs, kernels=Kernels.REFERENCE)
        np.testing.assert_array_equal(found, expected)

    def test_parts_do_not_have_the_models_description_and_metadata(self):
        model = model_file.parse(testing.small().model)
        model.description = b"3 1.5\n"
        model.metadata.append(schema.MetadataT(name=b"TFLITE_METADATA", buffer=0))
        parts = split.split(model)
        for part in (parts.extractor, parts.head):
            self.assertEqual(part.description, b"")
            self.assertEqual([m.name for m in part.metadata], [b"min_runtime_version"])
        self.assertLen(model.metadata, 2)

    def test_models_that_cannot_be_split(self):
        small = testing.small()
        for function, data, expected in (
            (split.split, small.classes, "one L2_NORMALIZATION to split at, got 0"),
            (split.split, small.head, "got a head"),
            (split.at_embedding, small.embedder, "got an extractor"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                function(model_file.parse(data))
        model = model_file.parse(small.model)
        graph = model_graph.graph(model)
        # The MUL's second input becomes a tensor of the extractor, which the head does not have.
        model.subgraphs[0].operators[6].inputs[1] = graph.inputs[0].index
        with self.assertRaisesRegex(ValueError, "only the embedding, got input as further"):
            split.split(model)


if __name__ == "__main__":
    absltest.main()
