"""Tests of reproducible training, with and without a GPU."""

from unittest import mock

from absl.testing import absltest
from tensorflow import config as tf_config

from classification.training import devices


class MakeDeterministicTest(absltest.TestCase):
    def make_deterministic(self, gpus: int) -> tuple[bool, list[str]]:
        """Whether operations became deterministic, and what was said, with a number of GPUs."""
        found = [tf_config.PhysicalDevice(f"/physical_device:GPU:{n}", "GPU") for n in range(gpus)]
        said: list[str] = []
        # Determinism cannot be turned off again for other tests in this process.
        with (
            mock.patch.object(tf_config, "list_physical_devices", return_value=found) as listed,
            mock.patch.object(tf_config.experimental, "enable_op_determinism") as enable,
        ):
            devices.make_deterministic(said.append)
        listed.assert_called_once_with("GPU")
        return enable.called, said

    def test_without_a_gpu(self):
        self.assertEqual(self.make_deterministic(0), (True, []))

    def test_with_gpus(self):
        for number, words in ((1, "uses 1 GPU, on"), (2, "uses 2 GPUs, on")):
            enabled, (line,) = self.make_deterministic(number)
            self.assertFalse(enabled)
            self.assertIn(words, line)


if __name__ == "__main__":
    absltest.main()
