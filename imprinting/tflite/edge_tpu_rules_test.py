"""Tests that the table of the Edge TPU's operations is complete and refers to what exists."""

import re

from absl.testing import absltest

import imprinting.schema.tflite as schema
from imprinting.tflite import edge_tpu_limits, edge_tpu_rules


class EdgeTpuRulesTest(absltest.TestCase):
    def test_operations_are_operators_of_tensorflow_lite(self):
        for name in edge_tpu_rules.OPERATIONS:
            self.assertTrue(hasattr(schema.BuiltinOperator, name), msg=name)

    def test_each_limit_is_described_and_checked(self):
        used = set()
        for name, operation in edge_tpu_rules.OPERATIONS.items():
            self.assertEqual(bool(operation.limit), bool(operation.checks), msg=name)
            self.assertIn(operation.runtime, (0, 13, 14), msg=name)
            used |= set(operation.checks)
        self.assertEqual(used, edge_tpu_limits.LIMITS.keys())

    def test_each_rule_has_a_source(self):
        for name, rule in edge_tpu_rules.RULES.items():
            self.assertTrue(rule.says, msg=name)
            self.assertTrue(re.match(r"https://(coral\.ai|github\.com)/", rule.source), msg=name)


if __name__ == "__main__":
    absltest.main()
