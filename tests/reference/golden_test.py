"""Test that the network gives the numbers recorded of the reference, within their bounds."""

from absl.testing import absltest, parameterized

from tests import compare_with_reference
from tests.reference import files


class GoldenTest(parameterized.TestCase):
    @parameterized.parameters("float", "quant")
    def test_every_bound_holds(self, tag):
        recording = compare_with_reference.read_recording(files.path("golden", "reference.npz"))
        checkpoint = files.checkpoint("mobilenet_v1_0.25_128_quant.ckpt")
        self.assertTrue(compare_with_reference.compare(recording, checkpoint, tag))


if __name__ == "__main__":
    absltest.main()
