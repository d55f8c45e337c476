"""Tests of the checks of models of unknown origin."""

from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import imprinting.schema.tflite as schema
from imprinting.tflite import inference, model_file, model_graph, node_testing, verification
from imprinting.tflite.inference import Kernels, Runner
from imprinting.tflite.node_changes import scales, tensor, zero_points
from transforms.conversion import testing


def model():
    return node_testing.classifier("CONV_2D", "UINT8")


def operator(**values):
    return lambda m: vars(m.subgraphs[0].operators[0]).update(values)


def subgraph(**values):
    return lambda m: vars(m.subgraphs[0]).update(values)


def more_outputs(made):
    graph = made.subgraphs[0]
    graph.tensors.append(graph.tensors[graph.operators[0].outputs[0]])
    graph.operators[0].outputs = [*graph.operators[0].outputs, len(graph.tensors) - 1]


def signature(**values):
    entry = schema.TensorMapT(name=b"x", tensorIndex=0)
    found = schema.SignatureDefT(inputs=[entry], outputs=[entry], signatureKey=b"main")
    vars(found).update(values)
    return lambda m: vars(m).update(signatureDefs=[found])


class VerificationTest(parameterized.TestCase):
    @parameterized.parameters(*node_testing.cases())
    def test_every_kind_of_operator_is_accepted_and_runs(self, name, kind):
        data = model_file.serialise(node_testing.classifier(name, kind))
        graph = model_graph.graph(inference.verify(data))
        self.assertIn(name.split()[0], [op.name for op in graph.operators])
        image = np.ones(graph.inputs[0].shape[1:], np.uint8)
        for kernels in Kernels:
            if name == "ELU" and kernels is Kernels.REFERENCE:
                continue  # There is none.
            (values,) = Runner(data, kernels=kernels).run(
                image if graph.inputs[0].type == "UINT8" else image.astype(np.float32)
            )
            self.assertEqual(values.shape, (node_testing.CLASSES,))

    def test_examples_of_all_kinds(self):
        found = {name.split()[0] for name in node_testing.EXAMPLES}
        self.assertEqual(found, set(verification.KINDS))

    @parameterized.parameters({}, {"int8": True}, {"quantise": False})
    def test_products_and_their_parts_are_accepted(self, **options):
        small = testing.small(**options)
        for data in (small.model, small.extractor, small.head, small.embedder, small.classes):
            verification.check(model_file.parse(data))

    @parameterized.parameters(0, 1, 4)
    def test_compiled_models_are_accepted(self, kept):
        data = testing.compiled(testing.small().model, kept=kept)
        verification.check(model_file.parse(data, compiled=True))

    @parameterized.parameters(
        ("nothing in the first buffer", lambda m: vars(m.buffers[0]).update(data=b"x" * 4)),
        ("weights in the file", lambda m: vars(m).update(externalBuffers=[1])),
        ("tensors 0..[0-9]+ in a signature", signature(inputs=[schema.TensorMapT(b"x", 99)])),
        ("names of the tensors in a sig", signature(outputs=[schema.TensorMapT(None, 0)])),
        ("subgraph 0 in a signature", signature(subgraphIndex=1)),
        ("a name of each signature", signature(signatureKey=None)),
    )
    def test_refuses_parts_of_a_file(self, expected, change):
        self.assert_refused(expected, change)

    @parameterized.parameters(
        ("a type out of", tensor(0, type=schema.TensorType.STRING)),
        ("at most 6 dimensions", tensor(0, shape=[1] * 7)),
        ("dimensions of at least 1", tensor(0, shape=[1, 0, 8, 3])),
        ("dimensions of at least 1", tensor(0, shape=[1, -8, 8, 3])),
        ("fewer than 2 \\*\\* 31 elements", tensor(0, shape=[1, 2**16, 2**16, 3])),
        ("no isVariable", tensor(0, isVariable=True)),
        ("no sparsity", tensor(1, sparsity=schema.SparsityParametersT())),
        ("no variantTensors", tensor(1, variantTensors=[schema.VariantSubTypeT()])),
        ("no externalBuffer", tensor(1, externalBuffer=1)),
        ("a shape signature", tensor(0, shapeSignature=[-1, 8, 8, 4])),
        ("a shape signature", tensor(0, shapeSignature=[-1])),
        ("zero points from 0 to 255", zero_points(0, 256)),
        ("zero points from 0 to 255", zero_points(0, -1)),
        ("zero points from 0 to 0", zero_points(2, 1)),
        ("scales from 2", scales(0, 1e-40)),
        ("scales from 2", scales(0, 1e38)),
    )
    def test_refuses_tensors(self, expected, change):
        self.assert_refused(expected, change)

    @parameterized.parameters(
        ("different inputs without values", subgraph(inputs=[0, 0])),
        ("different inputs without values", subgraph(inputs=[1])),
        ("inputs of CONV_2D .* computed before, got t0", subgraph(inputs=[])),
        ("inputs of CONV_2D .* computed before, got t3", operator(inputs=[3, 1, 2])),
        ("new tensors as outputs of CONV_2D", operator(outputs=[0])),
        ("new tensors as outputs of CONV_2D", operator(outputs=[1])),
        ("inputs of RESHAPE .* computed before", operator(outputs=[7])),
        ("outputs that are computed, got t0", subgraph(outputs=[0])),
        ("outputs that are computed, got t1", subgraph(outputs=[1])),
        ("inputs and outputs", subgraph(outputs=[])),
        ("computed before", lambda m: m.subgraphs[0].operators.reverse()),
    )
    def test_refuses_other_orders(self, expected, change):
        self.assert_refused(expected, change)

    @parameterized.parameters(
        ("no state", operator(intermediates=[1])),
        ("no state", operator(mutatingVariableInputs=[True])),
        ("a number of inputs from 2 to 3", operator(inputs=[0])),
        ("a number of inputs from 2 to 3", operator(inputs=[0, 1, 2, 2])),
        ("at least 2 inputs", operator(inputs=[0, -1, 2])),
        ("one output", more_outputs),
        ("options Conv2DOptions", operator(builtinOptions=None)),
        ("options Conv2DOptions", operator(builtinOptions=schema.Pool2DOptionsT())),
        ("a version from 1 to 8", lambda m: vars(m.operatorCodes[0]).update(version=0)),
        ("a version from 1 to 8", lambda m: vars(m.operatorCodes[0]).update(version=99)),
    )
    def test_refuses_operators(self, expected, change):
        self.assert_refused(expected, change)

    def test_other_operators_are_named(self):
        made = model()
        made.operatorCodes[0].builtinCode = schema.BuiltinOperator.WHILE
        with self.assertRaisesRegex(ValueError, r"got WHILE \(operator 0\); convert the network w"):
            verification.check(made)
        made.operatorCodes[0].builtinCode = schema.BuiltinOperator.CUSTOM
        made.operatorCodes[0].customCode = b"mine\x1b\n"
        with self.assertRaisesRegex(ValueError, r"got CUSTOM mine\?\? \(operator 0\); convert the"):
            verification.check(made)

    def test_large_networks(self):
        with (
            mock.patch.object(verification, "MOST_WORK", 1000),
            self.assertRaisesRegex(ValueError, "at most 1,000 multiplications .*name a smaller"),
        ):
            verification.check(model())
        # The image, the output of the convolution, and the columns of its windows.
        need = 8 * 8 * 3 + 3 * 6 * 4 + 3 * 6 * 27
        with mock.patch.object(verification, "MOST_ACTIVATIONS", need):
            verification.check(model())
        with (
            mock.patch.object(verification, "MOST_ACTIVATIONS", need - 1),
            self.assertRaisesRegex(ValueError, f"needs {need:,} for CONV_2D .*smaller images"),
        ):
            verification.check(model())

    def assert_refused(self, expected, change):
        made = model()
        verification.check(made)
        change(made)
        with self.assertRaisesRegex(
            ValueError, f"^damaged .tflite: expected .*{expected}.*; create or download it again$"
        ):
            verification.check(made)


if __name__ == "__main__":
    absltest.main()
