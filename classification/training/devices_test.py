"""Tests of reproducible training, with and without a GPU."""

from unittest import mock

from absl.testing import absltest
from tensorflow import config as tf_config

from classification.training import devices


class MakeDeterministicTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        # Determinism cannot be turned off again for other tests in this process.
        self.enable = self.enter_context(
            mock.patch.object(tf_config.experimental, "enable_op_determinism")
        )
        self.said = []

    def gpus(self, number):
        return [
            tf_config.PhysicalDevice(f"/physical_device:GPU:{index}", "GPU")
            for index in range(number)
        ]

    def test_without_a_gpu(self):
        devices.make_deterministic(self.said.append, [])
        self.enable.assert_called_once_with()
        self.assertEmpty(self.said)

    def test_with_gpus(self):
        for number, words in ((1, "uses 1 GPU, on"), (2, "uses 2 GPUs, on")):
            self.said.clear()
            devices.make_deterministic(self.said.append, self.gpus(number))
            self.enable.assert_not_called()
            self.assertLen(self.said, 1)
            self.assertIn(words, self.said[0])

    def test_asks_tensorflow(self):
        with mock.patch.object(tf_config, "list_physical_devices", return_value=self.gpus(1)):
            devices.make_deterministic(self.said.append)
        self.assertLen(self.said, 1)
        self.enable.assert_not_called()


if __name__ == "__main__":
    absltest.main()
