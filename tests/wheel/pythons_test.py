"""Installs the wheel in new virtual environments of the machine's Pythons, and tests it there.

PYTHONS names the interpreters, separated by spaces. pip downloads what the wheel requires. All
Pythons must make the same bytes. What they make is read by other libraries, too.

  ./bazelw test //tests/wheel:pythons_test --test_env=HOME --test_env=PYTHONS="$(which python3.12)"
"""

import functools
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from absl.testing import absltest, parameterized

from tests import runfiles
from tests.wheel import installed, page
from transforms.conversion import testing

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


def lower_bounds_of_the_page() -> list[str]:
    """The least versions of what only the page needs."""
    text = runfiles.path("imprinting/pyproject.toml").read_text()
    (line,) = re.findall(r"^app = (.*)", text, re.M)
    return [f"{name}=={version}" for name, version in _BOUND.findall(line)]


class Environment:
    """A new virtual environment in a folder of its own.

    Attributes:
      folder: the folder.
      variables: environment variables with which its programs are found.
    """

    def __init__(self, test: absltest.TestCase, version: str) -> None:
        self._test = test
        python = interpreters().get(version)
        if python is None:
            test.skipTest(f"there is no Python {version} among PYTHONS")
        self.folder = test.enter_context(tempfile.TemporaryDirectory())
        # Those of Bazel's interpreter would be in the way.
        self.variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self._run(python, "-m", "venv", "venv")
        bin_folder = os.path.join(self.folder, "venv", "bin")
        self.variables["PATH"] = f"{bin_folder}:{self.variables.get('PATH', '')}"
        self._python = os.path.join(self.folder, "venv", "bin", "python")

    def install(self, *packages: str) -> None:
        self._run(self._python, "-m", "pip", "install", "--quiet", *packages)

    def python(self, *arguments: str, **environment: str) -> str:
        return self._run(self._python, *arguments, **environment)

    def _run(self, *command: str, **environment: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self._test.assertEqual(done.returncode, 0, msg=f"{command}: {done.stdout} {done.stderr}")
        return done.stdout + done.stderr * ("journey_test" in command[-1])


def digest(path: str) -> str:
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


@functools.cache
def expected_digest() -> str:
    """The digest of what the build's Python makes on the journey."""
    with tempfile.TemporaryDirectory() as folder:
        site, output = os.path.join(folder, "site"), os.path.join(folder, "mine.tflite")
        installed.install(installed.wheel(), site)
        subprocess.run(
            [
                sys.executable,
                runfiles.path("tests/wheel/journey_test.py"),
                "JourneyTest.test_imprint",
            ],
            env=os.environ | {"PYTHONPATH": installed.python_path(site), "JOURNEY_OUTPUT": output},
            check=True,
            capture_output=True,
        )
        return digest(output)


class PythonsTest(parameterized.TestCase):
    def run_journey(self, environment: Environment, name: str) -> None:
        output = os.path.join(environment.folder, "mine.tflite")
        journey = str(runfiles.path("tests/wheel/journey_test.py"))
        start = time.monotonic()
        text = environment.python(journey, JOURNEY_OUTPUT=output)
        print(f"{name}: {text.splitlines()[-1]}, {time.monotonic() - start:.1f} s")
        if name in _VERSIONS:
            # The lower bounds have another interpreter, whose kernels may round differently.
            self.assertEqual(digest(output), expected_digest())

    @parameterized.parameters(*_VERSIONS)
    def test_journey(self, version):
        environment = Environment(self, version)
        extra = "[camera]" if version == _VERSIONS[-1] else ""
        environment.install(f"{installed.wheel()}{extra}")
        self.run_journey(environment, version)

    def test_lower_bounds(self):
        environment = Environment(self, _VERSIONS[0])
        environment.install(str(installed.wheel()), *lower_bounds())
        self.run_journey(environment, "lower bounds")

    @parameterized.parameters(("3.10", lower_bounds_of_the_page), ("3.12", list), ("3.13", list))
    def test_page(self, version, requirements):
        environment = Environment(self, version)
        environment.install(f"{installed.wheel()}[app]", *requirements())
        text = environment.python(str(runfiles.path("tests/wheel/app_journey.py")))
        self.assertEqual(text, "app: green, 6 places\n")

    def test_tflite_runtime(self):
        # What pip installs instead of LiteRT on 32-bit ARM.
        environment = Environment(self, "3.11")
        names = [bound.partition("==")[0] for bound in lower_bounds()]
        names.remove("ai-edge-litert")
        environment.install(*names, "numpy<2", "tflite-runtime")
        environment.install("--no-deps", str(installed.wheel()))
        self.run_journey(environment, "tflite-runtime")

    @parameterized.parameters(
        ("mediapipe", "mediapipe_answers.py", "3.12", ["mediapipe"]),
        ("tflite_support", "task_library_answers.py", "3.10", ["tflite-support", "numpy<2"]),
    )
    def test_other_libraries(self, library, program, version, packages):
        environment = Environment(self, version)
        environment.install(str(installed.wheel()))
        folder = pathlib.Path(environment.folder)
        page.write_photos(folder)
        flags = ("--images_dir=photos", "--keep_classes", "--output=mine.tflite")
        environment.python("-m", "imprinting", "imprint", *flags)
        reader = Environment(self, version)
        reader.install(*packages)
        why = reader.python(
            "-c", f"try: import {library}\nexcept ImportError as error: print(error)"
        )
        if why:
            # Their wheels need libraries of the system, such as libusb.
            self.skipTest(f"{library} cannot be imported here: {why.strip()}")
        files = [str(folder / name) for name in ("mine.tflite", "photo.jpg")]
        answers = reader.python(str(runfiles.path(f"tests/wheel/{program}")), *files)
        self.assertEqual(json.loads(answers.splitlines()[-1]), ["my mug"])

    def test_edge_tpu_page(self):
        # The page's first commands make an environment, too.
        base = Environment(self, "3.11")
        folder = pathlib.Path(base.folder, "board")
        folder.mkdir()
        page.write_photos(folder)
        shutil.copy(installed.wheel(), folder)
        printed = page.run(folder, base.variables, testing.compiled, setup=True)
        self.assertIn("more_edgetpu.tflite: 1,001 classes kept", printed[-1])


if __name__ == "__main__":
    absltest.main()
