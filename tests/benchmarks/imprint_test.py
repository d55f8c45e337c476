"""Tests of the benchmark of imprinting, with a small model."""

from absl.testing import absltest

from imprinting.tflite import model_file
from tests.benchmarks import imprint
from transforms.conversion import testing


class ImprintTest(absltest.TestCase):
    def test_measures_in_turns(self):
        seconds = imprint.measure(model_file.parse(testing.small().model), runs=2)
        self.assertEqual(list(seconds), ["inference", "imprint", "write"])
        for values in seconds.values():
            self.assertLen(values, 2)
            self.assertGreater(min(values), 0)

    def test_describes_medians_with_limits(self):
        seconds = {"inference": [2.0, 1.0, 9.0], "imprint": [2.2, 2.2, 2.4], "write": [0.2]}
        self.assertEqual(
            imprint.describe(seconds).splitlines(),
            [
                "inference  2.00 s, 100 images/s",
                "imprint    2.20 s, 1.10 x inference; at most 1.15 x: met",
                "write      200 ms for 1,000 classes; at most 100 ms: missed",
            ],
        )


if __name__ == "__main__":
    absltest.main()
