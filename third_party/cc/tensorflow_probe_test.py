"""Tests a pybind11 extension with the wheel's C++ libraries, alone and with TensorFlow."""

import importlib.metadata
import sys

from absl.testing import absltest

from third_party.cc import tensorflow_probe


class TensorflowProbeTest(absltest.TestCase):
    def test_extension_alone(self):
        (wheel,) = importlib.metadata.packages_distributions()["tensorflow"]
        self.assertEqual(tensorflow_probe.version(), importlib.metadata.version(wheel))
        self.assertTrue(tensorflow_probe.is_op("Conv2D"))
        self.assertFalse(tensorflow_probe.is_op("NoSuchOp"))

    def test_extension_with_tensorflow(self):
        import tensorflow

        self.assertEqual(tensorflow_probe.version(), tensorflow.__version__)
        with open("/proc/self/maps") as maps:
            loaded = {line.split()[-1] for line in maps if ".so" in line}
        for name in ("libtensorflow_cc.so", "libtensorflow_framework.so", "libstdc++.so"):
            self.assertLen([path for path in loaded if name in path], 1, msg=f"copies of {name}")
        (libstdcxx,) = (path for path in loaded if "libstdc++.so" in path)
        self.assertIn("/external/python3/", libstdcxx, msg=sys.executable)


if __name__ == "__main__":
    absltest.main()
