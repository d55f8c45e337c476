"""What tests of rules of operators share."""

from collections.abc import Callable

from absl.testing import parameterized

from imprinting.tflite import node_testing, verification
from imprinting.tflite.model_graph import Model


class RulesTestCase(parameterized.TestCase):
    """A test that changes valid models."""

    def assert_refused(
        self, name: str, kind: str, change: Callable[[Model], None], expected: str
    ) -> None:
        """Checks that a model is valid until it is changed.

        Args:
          name: the kind of its first operator, out of `node_testing.EXAMPLES`.
          kind: the type of its activations.
          change: changes the model.
          expected: a regular expression of what the error says was expected, and of what came.
        """
        model = node_testing.classifier(name, kind)
        verification.check(model)
        change(model)
        with self.assertRaisesRegex(
            ValueError, f"^damaged .tflite: expected .*{expected}.*; create or"
        ):
            verification.check(model)
