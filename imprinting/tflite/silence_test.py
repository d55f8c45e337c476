"""Tests of hiding messages on stderr."""

import os
import subprocess
import sys
import tempfile

from absl.testing import absltest

from imprinting.tflite.silence import silence


class SilenceTest(absltest.TestCase):
    def printed(self, action):
        """Returns what action() prints on the file descriptor of stderr."""
        stderr = os.dup(2)
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            try:
                action()
            finally:
                os.dup2(stderr, 2)
                os.close(stderr)
            file.seek(0)
            return file.read()

    def test_hides_what_is_printed_within(self):
        def action():
            os.write(2, b"before ")
            with silence():
                os.write(2, b"chatter ")
            os.write(2, b"after")

        self.assertEqual(self.printed(action), b"before after")

    def test_ends_with_an_error(self):
        def action():
            with self.assertRaises(KeyError), silence():
                os.write(2, b"chatter ")
                raise KeyError
            os.write(2, b"after")

        self.assertEqual(self.printed(action), b"after")

    def test_stderr_is_closed(self):
        code = (
            "import os\n"
            "from imprinting.tflite.silence import silence\n"
            "with silence(): os.write(2, b'chatter')\n"
            "with silence(): print(os.open(os.devnull, os.O_RDONLY) != 2)\n"
        )
        for closed in ("2>&-", "2>&- 0>&-"):
            done = subprocess.run(
                ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
                capture_output=True,
                check=False,
            )
            self.assertEqual((done.returncode, done.stdout), (0, b"True\n"))


if __name__ == "__main__":
    absltest.main()
