"""Tests of the benchmark of training by several workers."""

from absl.testing import absltest

from tests.benchmarks import cluster_scaling


class ClusterScalingTest(absltest.TestCase):
    def test_two_workers(self):
        speed = cluster_scaling.measure("digits", workers=2, steps=20)
        self.assertGreater(speed.images, 0)
        # Weights and gradients have four bytes a number, each once; the network has 0.2 million.
        self.assertBetween(speed.step_bytes, 1e5, 1e7)


if __name__ == "__main__":
    absltest.main()
