"""Runs the notebook with the installed wheel, in a virtual environment without the network."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

from absl.testing import absltest

from tests import runfiles
from tests.wheel import installed

_NOTEBOOK = runfiles.path("imprinting/own_classes.ipynb")
_RUN = """
import sys
import nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=None, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


class NotebookTest(absltest.TestCase):
    def test_outputs_are_stripped(self):
        for cell in json.loads(_NOTEBOOK.read_text())["cells"]:
            if cell["cell_type"] == "code":
                self.assertEqual((cell["outputs"], cell["execution_count"]), ([], None))

    def test_runs(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        python = installed.environment(folder / "venv")
        kernel = folder / "jupyter" / "kernels" / "python3"
        kernel.mkdir(parents=True)
        (kernel / "kernel.json").write_text(
            json.dumps(
                {
                    "argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                    "display_name": "Python 3",
                    "language": "python",
                }
            )
        )
        place = folder / "place"
        place.mkdir()
        shutil.copy(installed.wheel(), place)
        shutil.copy(_NOTEBOOK, place / "in.ipynb")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [python, "-c", _RUN, "in.ipynb", "out.ipynb"],
            cwd=place,
            env=environment
            | {
                "HOME": str(folder),
                "IPYTHONDIR": str(folder / "ipython"),
                "JUPYTER_DATA_DIR": str(folder / "jupyter"),
                "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
                "MPLCONFIGDIR": str(folder / "matplotlib"),
                "PATH": f"{os.path.dirname(python)}:{os.environ['PATH']}",
                # Requirements are there already; nothing is downloaded.
                "PIP_NO_INDEX": "1",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, msg=done.stdout + done.stderr)
        output = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
        if output:
            shutil.copy(place / "out.ipynb", output)
        cells = json.loads((place / "out.ipynb").read_text())["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        pictures = [o for o in outputs if "image/png" in o.get("data", {})]
        self.assertLen(pictures, 4)
        text = "".join("".join(o.get("text", "")) for o in outputs)
        print(text)
        self.assertRegex(
            text, r"(?m)^(?:[7-9]\d|100)% of the other photos are recognised, instead of"
        )
        self.assertIn("1,010 classes", text)
        self.assertRegex(text, r"(?m)^ *>?\.\d\d  \w+\r?$")


if __name__ == "__main__":
    print(sys.version)
    absltest.main()
