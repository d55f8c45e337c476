"""Installs the wheel in new virtual environments of the machine's Pythons, and tests it there.

PYTHONS names the interpreters, separated by spaces. pip downloads what the wheel requires. All
Pythons must make the same bytes.

  ./bazelw test //tests/wheel:pythons_test --test_env=PYTHONS="$(which python3.12)" --test_env=HOME
"""

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from absl.testing import absltest, parameterized

from tests import runfiles
from tests.wheel import installed

_VERSIONS = ("3.10", "3.11", "3.12", "3.13")
# The least version of each requirement, by the wheel's metadata.
_BOUND = re.compile(r'"([\w-]+) >=([\w.]+)[^"]*"')


def interpreters() -> dict[str, str]:
    """The interpreters that PYTHONS names, by version."""
    found = {}
    for path in os.environ.get("PYTHONS", "").split():
        version = subprocess.run(
            [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        found.setdefault(version, path)
    return found


def lower_bounds() -> list[str]:
    """The least versions of the requirements."""
    text = runfiles.path("imprinting/pyproject.toml").read_text()
    bounds = _BOUND.findall(text[text.index("dependencies") : text.index("optional")])
    return [f"{name}=={version}" for name, version in bounds if name != "tflite-runtime"]


class PythonsTest(parameterized.TestCase):
    digests: dict[str, str] = {}

    def run_journey(self, python: str, name: str, *packages: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

            def run(*command: str, **more: str) -> str:
                done = subprocess.run(
                    command,
                    cwd=folder,
                    env=environment | more,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
                self.assertEqual(done.returncode, 0, msg=f"{command}: {done.stdout}")
                return done.stdout

            run(python, "-m", "venv", "venv")
            new = os.path.join(folder, "venv", "bin", "python")
            run(new, "-m", "pip", "install", "--quiet", *packages)
            output = os.path.join(folder, "mine.tflite")
            start = time.monotonic()
            text = run(new, str(runfiles.path("tests/wheel/journey.py")), JOURNEY_OUTPUT=output)
            self.digests[name] = hashlib.sha256(pathlib.Path(output).read_bytes()).hexdigest()
            print(f"{name}: {text.splitlines()[-1]}, {time.monotonic() - start:.1f} s")

    @parameterized.parameters(*_VERSIONS)
    def test_journey(self, version):
        python = interpreters().get(version)
        if python is None:
            self.skipTest(f"there is no Python {version} among PYTHONS")
        extra = "[camera]" if version == _VERSIONS[-1] else ""
        self.run_journey(python, version, f"{installed.wheel()}{extra}")

    def test_lower_bounds(self):
        python = interpreters().get(_VERSIONS[0])
        if python is None:
            self.skipTest(f"there is no Python {_VERSIONS[0]} among PYTHONS")
        self.run_journey(python, "lower bounds", str(installed.wheel()), *lower_bounds())

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        # The lower bounds have another interpreter, whose kernels may round differently.
        found = {digest for name, digest in cls.digests.items() if name in _VERSIONS}
        if len(found) > 1:
            raise AssertionError(f"expected the same bytes with all Pythons, got {cls.digests}")


if __name__ == "__main__":
    print(sys.version)
    absltest.main()
