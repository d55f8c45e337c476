"""Tests that the network gives the reference's numbers, and that wrong networks do not."""

from absl.testing import absltest, parameterized

from tests.reference import compare_with_reference, files, reference_mutants

# By how many times a wrong network exceeds a bound at least.
_MARGIN = 10


class GoldenTest(parameterized.TestCase):
    def measure(self, tag):
        recording = compare_with_reference.read_recording(files.path("golden", "reference.npz"))
        checkpoint = files.checkpoint("mobilenet_v1_0.25_128_quant.ckpt")
        return compare_with_reference.measure(recording, checkpoint, tag)

    @parameterized.parameters("float", "quant")
    def test_differences_are_within_bounds(self, tag):
        self.assertTrue(compare_with_reference.show(tag, self.measure(tag)))

    @parameterized.parameters(
        *(("float", name, mutant) for name, mutant in reference_mutants.FLOAT.items()),
        *(("quant", name, mutant) for name, mutant in reference_mutants.QUANT.items()),
    )
    def test_wrong_networks_exceed_a_bound_by_far(self, tag, name, mutant):
        with mutant():
            rows = self.measure(tag)
        factor, group = max((row.difference / row.group.bound, row.group.name) for row in rows)
        print(f"{tag}, {name}: {factor:.0f} times the bound of {group}")
        self.assertGreater(factor, _MARGIN)


if __name__ == "__main__":
    absltest.main()
