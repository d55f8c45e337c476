"""Tests of importing TensorFlow without its messages, in other processes."""

import os
import subprocess
import sys

from absl.testing import absltest

_PATH = {"PYTHONPATH": os.pathsep.join(sys.path)}


def _stderr(code: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"} | _PATH
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stderr


class QuietTest(absltest.TestCase):
    def test_imports_tensorflow_and_prints_nothing(self):
        code = (
            "import third_party.tensorflow.quiet, sys; "
            "assert 'tensorflow' in sys.modules; sys.stderr.write('mine')"
        )
        self.assertEqual(_stderr(code), "mine")

    def test_takes_only_the_memory_of_a_gpu_that_it_needs(self):
        code = (
            "import os, third_party.tensorflow.quiet; "
            "print(os.environ['TF_FORCE_GPU_ALLOW_GROWTH'], file=sys.stderr)"
        )
        self.assertEqual(_stderr(f"import sys; {code}"), "true\n")

    def test_keras_is_imported_only_if_it_is_used(self):
        code = (
            "import third_party.tensorflow.quiet, sys, tensorflow as tf; "
            "assert 'keras' not in sys.modules; "
            "assert 'keras' in tf.keras.layers.Dense.__module__"
        )
        self.assertEqual(_stderr(code), "")
        # This stands for Keras, whose import prints TensorFlow's messages.
        code = (
            "import sys, types; sys.modules['keras'] = keras = types.ModuleType('keras'); "
            "import third_party.tensorflow.quiet; assert sys.modules['keras'] is keras"
        )
        self.assertEqual(_stderr(code), "")

    def test_other_messages_are_printed(self):
        code = (
            "import os, sys, types\n"
            "class Finder:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name == 'tensorflow':\n"
            "            os.write(2, b'a library is broken\\noneDNN custom operations are on\\n')\n"
            "            sys.modules[name] = types.ModuleType(name)\n"
            "sys.meta_path.insert(0, Finder())\n"
            "try:\n"
            "    import third_party.tensorflow.quiet\n"
            "except ImportError:\n"
            "    pass\n"
        )
        self.assertIn("a library is broken", _stderr(code))


if __name__ == "__main__":
    absltest.main()
