"""Tests that each broken rule of the products is reported, on changed models."""

import numpy as np
from absl.testing import absltest, parameterized

import imprinting.schema.tflite as schema
from imprinting.tflite import model_file, model_graph, product_rules
from transforms.conversion import testing

_CODES = schema.BuiltinOperator


def small_model(quantise=True, *, int8=False):
    return model_file.parse(testing.small(quantise=quantise, int8=int8).model)


def tensor(model, op, *, input=None, output=None):
    """The schema's object of an operator's input or output."""
    op = model.subgraphs[0].operators[op]
    index = op.inputs[input] if input is not None else op.outputs[output]
    return model.subgraphs[0].tensors[index]


def rename(model, op, name):
    """Changes the kind of an operator."""
    code = getattr(_CODES, name)
    model.operatorCodes.append(
        schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=1)
    )
    model.subgraphs[0].operators[op].opcodeIndex = len(model.operatorCodes) - 1


def quantise_embedding(model, times):
    """Puts QUANTIZE operators between the embedding and the last convolution."""
    subgraph = model.subgraphs[0]
    code = _CODES.QUANTIZE
    model.operatorCodes.append(
        schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=1)
    )
    for _ in range(times):
        place = model_graph.graph(model).named("CONV_2D")[-1].index
        conv = subgraph.operators[place]
        subgraph.tensors.append(
            model_file.changed(subgraph.tensors[conv.inputs[0]], name=b"requantised")
        )
        added = len(subgraph.tensors) - 1
        subgraph.operators.insert(
            place,
            schema.OperatorT(
                opcodeIndex=len(model.operatorCodes) - 1,
                inputs=[int(conv.inputs[0])],
                outputs=[added],
            ),
        )
        conv.inputs = [added, *conv.inputs[1:]]


def swap_tail(model):
    operators = model.subgraphs[0].operators
    operators[6], operators[7] = operators[7], operators[6]


def bypass(model):
    """Feeds the last convolution with the input of the L2 norm."""
    operators = model.subgraphs[0].operators
    operators[5].inputs[0] = operators[4].inputs[0]


def per_channel(model):
    quantization = tensor(model, 0, input=1).quantization
    quantization.scale, quantization.zeroPoint = np.full([8], 0.1, np.float32), [128] * 8


def change(field, value, **place):
    return lambda model: vars(tensor(model, **place)).update({field: value})


def quanta(scale=None, zero_point=None, **place):
    def damage(model):
        quantization = tensor(model, **place).quantization
        if scale is not None:
            quantization.scale = np.array([scale], np.float32)
        if zero_point is not None:
            quantization.zeroPoint = [zero_point]

    return damage


_UINT8, _INT8, _FLOAT = (getattr(schema.TensorType, n) for n in ("UINT8", "INT8", "FLOAT32"))


class CheckTest(parameterized.TestCase):
    @parameterized.parameters(True, False)
    def test_a_model_that_keeps_all_rules(self, quantise):
        model = small_model(quantise)
        for quantised in (None, quantise):
            self.assertEqual(product_rules.check(model, quantised=quantised), [])

    @parameterized.named_parameters(
        ("two_inputs", "input", lambda m: vars(m.subgraphs[0]).update(inputs=[0, 2]), "2 inputs"),
        ("batch", "input", change("shape", [2, 32, 32, 3], op=0, input=0), "uint8 [2, 32, 32, 3]"),
        ("oblong", "input", change("shape", [1, 32, 16, 3], op=0, input=0), "[1, 32, 16, 3]"),
        ("grey", "input", change("shape", [1, 32, 32, 1], op=0, input=0), "[1, 32, 32, 1]"),
        (
            "two_outputs",
            "output",
            lambda m: vars(m.subgraphs[0]).update(outputs=[*m.subgraphs[0].outputs, 5]),
            "2 outputs",
        ),
        (
            "logits",
            "output",
            lambda m: vars(m.subgraphs[0]).update(outputs=[m.subgraphs[0].operators[8].inputs[0]]),
            "the output of RESHAPE",
        ),
        ("output_rank", "output", change("shape", [1, 1, 7], op=8, output=0), "uint8 [1, 1, 7]"),
        ("output_type", "output", change("type", _FLOAT, op=8, output=0), "float32 [1, 7]"),
        ("float_within", "quantised", change("type", _FLOAT, op=2, output=0), "in AVERAGE_POOL_2D"),
        ("per_channel", "quantised", per_channel, "8 scales in CONV_2D (operator 0)"),
        (
            "no_scale",
            "quantised",
            change("quantization", None, op=1, output=0),
            "uint8 [1, 16, 16, 8] in DEPTHWISE_CONV_2D (operator 1), ",
        ),
        ("bias_type", "quantised", change("type", _UINT8, op=3, input=2), "uint8 [24]"),
        ("no_norm", "embedding", lambda m: rename(m, 4, "RELU"), "0 of them"),
        ("two_norms", "embedding", lambda m: rename(m, 2, "L2_NORMALIZATION"), "2 of them"),
        ("wide", "embedding", change("shape", [1, 2, 2, 24], op=4, output=0), "[1, 2, 2, 24]"),
        ("scale", "embedding_quanta", quanta(scale=1 / 127, op=4, output=0), "0.00787402"),
        ("zero", "embedding_quanta", quanta(zero_point=127, op=4, output=0), "zero point 127"),
        ("no_mul", "tail", lambda m: rename(m, 6, "ADD"), "CONV_2D, ADD, RESHAPE, SOFTMAX"),
        ("order", "tail", swap_tail, "CONV_2D, RESHAPE, MUL, SOFTMAX"),
        (
            "not_a_chain",
            "tail",
            lambda m: m.subgraphs[0].operators[6].inputs.__setitem__(0, 0),
            "MUL that is not fed by CONV_2D",
        ),
        ("bypassed", "class_vectors", bypass, "one fed by CONV_2D"),
        ("requantised_twice", "class_vectors", lambda m: quantise_embedding(m, 2), "by QUANTIZE"),
        (
            "computed_scale",
            "scale_factor",
            lambda m: m.subgraphs[0].operators[6].inputs.__setitem__(1, 0),
            "uint8 [1, 32, 32, 3], scale 0.0078125, zero point 128, not a constant",
        ),
        (
            "one_input",
            "scale_factor",
            lambda m: vars(m.subgraphs[0].operators[6]).update(
                inputs=m.subgraphs[0].operators[6].inputs[:1]
            ),
            "none, not a constant",
        ),
        ("scales", "scale_factor", change("shape", [7], op=6, input=1), "uint8 [7]"),
        ("negative_zero", "bias", quanta(zero_point=-1, op=5, input=2), "zero point -1"),
        ("large_zero", "bias", quanta(zero_point=256, op=5, input=2), "zero point 256"),
        (
            "no_bias",
            "bias",
            lambda m: vars(m.subgraphs[0].operators[5]).update(
                inputs=m.subgraphs[0].operators[5].inputs[:2]
            ),
            "none",
        ),
        ("text", "description", lambda m: vars(m).update(description=b"MLIR Converted."), "'MLIR"),
        ("class", "description", lambda m: vars(m).update(description=b"7 1.5"), "'7 1.5'"),
        ("norm", "description", lambda m: vars(m).update(description=b"1 1.5\n2 nan"), "'2 nan'"),
    )
    def test_broken_rule(self, rule, damage, expected):
        model = small_model()
        damage(model)
        violations = {v.rule: v for v in product_rules.check(model)}
        self.assertIn(rule, violations)
        self.assertIn(expected, violations[rule].found)
        self.assertStartsWith(
            str(violations[rule]),
            f"{rule}: expected {product_rules.RULES[rule].says}, got ",
        )

    def test_reports_only_broken_rules(self):
        model = small_model()
        quanta(zero_point=-1, op=5, input=2)(model)
        vars(model).update(description=b"two\nlines")
        self.assertEqual(
            [str(violation) for violation in product_rules.check(model)],
            [
                "bias: expected the last CONV_2D's bias to have a zero point in 0..255, got int32 "
                f"[7], scale {tensor(model, 5, input=2).quantization.scale[0]:.6g}, zero point -1",
                "description: expected a description that is left to the engines' notes: lines "
                "CLASS NORM, got the line 'two' (and 1 more)",
            ],
        )

    def test_descriptions_of_the_engines(self):
        for text in (None, b"", b"0 1.5", b"3 0.25\n6 12\n"):
            model = small_model()
            model.description = text
            self.assertEqual(product_rules.check(model), [])

    def test_one_quantize_before_the_last_convolution_is_allowed(self):
        model = small_model()
        quantise_embedding(model, 1)
        self.assertEqual(product_rules.check(model), [])

    @parameterized.named_parameters(
        ("uint8", "quantised", change("type", _UINT8, op=2, output=0)),
        ("no_mul", "tail", lambda m: rename(m, 6, "ADD")),
        ("bypassed", "class_vectors", bypass),
        ("scales", "scale_factor", change("shape", [7], op=6, input=1)),
        ("batch", "input", change("shape", [2, 32, 32, 3], op=0, input=0)),
    )
    def test_broken_rule_of_a_float_model(self, rule, damage):
        model = small_model(quantise=False)
        damage(model)
        self.assertIn(rule, [v.rule for v in product_rules.check(model)])

    @parameterized.parameters(True, False)
    def test_float_instead_of_quantised_and_vice_versa(self, quantise):
        broken = [
            v.rule for v in product_rules.check(small_model(quantise), quantised=not quantise)
        ]
        self.assertContainsSubset(["input", "output", "quantised", "scale_factor"], broken)

    @parameterized.parameters(True, False)
    def test_axes_in_the_body(self, quantise):
        model = small_model(quantise)
        rename(model, 2, "MEAN")
        model.buffers.append(schema.BufferT(data=np.array([1, 0, 0, 0, 2, 0, 0, 0], np.uint8)))
        axes = schema.TensorT(
            name=b"axes", type=schema.TensorType.INT32, shape=[2], buffer=len(model.buffers) - 1
        )
        subgraph = model.subgraphs[0]
        subgraph.tensors.append(axes)
        mean = subgraph.operators[2]
        mean.inputs = [mean.inputs[0], len(subgraph.tensors) - 1]
        self.assertEqual(product_rules.check(model), [])
        axes.buffer = 0
        (found,) = product_rules.check(model)
        self.assertEqual(found.rule, "quantised")
        self.assertIn("int32 [2] in MEAN (operator 2), axes", found.found)

    def test_extractor_and_head_alone_break_rules(self):
        for data in (testing.small().extractor, testing.small().head):
            self.assertNotEmpty(product_rules.check(model_file.parse(data)))


def without_first_quantize(model):
    subgraph = model.subgraphs[0]
    subgraph.inputs = subgraph.operators.pop(0).outputs


def without_second_quantize(model):
    operators = model.subgraphs[0].operators
    operators[8].inputs = operators[7].inputs
    del operators[7]


def several_scales(count, **place):
    def damage(model):
        quantization = tensor(model, **place).quantization
        quantization.scale = np.full([count], 0.1, np.float32)
        quantization.zeroPoint = np.full([count], quantization.zeroPoint[0])

    return damage


class Int8BodyTest(parameterized.TestCase):
    """A QUANTIZE, a body of six operators in int8, a QUANTIZE, and a tail in uint8."""

    def test_a_model_that_keeps_all_rules(self):
        model = small_model(int8=True)
        for quantised in (None, True):
            for body in (None, product_rules.INT8_BODY):
                found = product_rules.check(model, quantised=quantised, body=body)
                self.assertEqual(found, [])

    def test_body_of_another_type(self):
        for int8, wrong in ((True, product_rules.UINT8_BODY), (False, product_rules.INT8_BODY)):
            (found,) = product_rules.check(small_model(int8=int8), body=wrong)
            self.assertEqual(found.rule, "body")
            self.assertEqual(found.found, f"one of {'int8' if int8 else 'uint8'}")

    @parameterized.parameters(None, product_rules.UINT8_BODY, product_rules.INT8_BODY)
    def test_a_float_model_has_no_rule_for_its_body(self, body):
        for int8 in (True, False):
            model = small_model(quantise=False, int8=int8)
            self.assertEqual(product_rules.check(model, quantised=False, body=body), [])

    @parameterized.named_parameters(
        ("tail", change("type", _INT8, op=9, output=0), "int8 [1, 1, 1, 7], ", "CONV_2D", 9),
        ("last_kernel", change("type", _INT8, op=9, input=1), "int8 [7, 1, 1, 24]", "CONV_2D", 9),
        (
            "embedding",
            change("type", _INT8, op=8, output=0),
            "int8 [1, 1, 1, 24], scale 0.0078125, ",
            "L2_NORMALIZATION",
            8,
        ),
        ("last_scales", several_scales(7, op=9, input=1), "7 scales", "CONV_2D", 9),
        ("last_bias", several_scales(7, op=9, input=2), "int32 [7], 7 scales", "CONV_2D", 9),
        ("uint8", change("type", _UINT8, op=3, output=0), "uint8 [1, 16, 16, 8]", "ADD", 3),
        ("uint8_kernel", change("type", _UINT8, op=1, input=1), "uint8 [8, 3, 3, 3]", "CONV_2D", 1),
        ("float_bias", change("type", _FLOAT, op=1, input=2), "float32 [8]", "CONV_2D", 1),
        # Only constants may have a scale for each channel.
        ("activations", several_scales(8, op=3, output=0), "8 scales", "ADD", 3),
        ("no_scale", change("quantization", None, op=4, input=1), "int8 ", "DEPTHWISE_CONV_2D", 4),
    )
    def test_tensors_of_another_type(self, damage, expected, operator, index):
        model = small_model(int8=True)
        damage(model)
        violations = {v.rule: v.found for v in product_rules.check(model)}
        self.assertIn("quantised", violations)
        self.assertIn(expected, violations["quantised"])
        self.assertIn(f" in {operator} (operator {index}), ", violations["quantised"])

    @parameterized.named_parameters(
        ("first", without_first_quantize, ["input", "quantised", "body"]),
        ("second", without_second_quantize, ["quantised", "body"]),
    )
    def test_missing_quantize(self, damage, rules):
        model = small_model(int8=True)
        damage(model)
        found = product_rules.check(model, quantised=True, body=product_rules.INT8_BODY)
        self.assertEqual([violation.rule for violation in found], rules)
        by_rule = {violation.rule: violation.found for violation in found}
        self.assertEqual(by_rule["body"], "one of uint8")
        self.assertStartsWith(by_rule["quantised"], "int8 [1, 32, 32, 3]")

    def test_one_quantize_before_the_last_convolution_is_allowed(self):
        for times, rules in ((1, []), (2, ["class_vectors"])):
            model = small_model(int8=True)
            quantise_embedding(model, times)
            self.assertEqual([v.rule for v in product_rules.check(model)], rules)


if __name__ == "__main__":
    absltest.main()
