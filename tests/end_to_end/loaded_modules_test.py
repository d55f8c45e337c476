"""Tests that programs load only what they use, since users wait for it: what --help loads.

The tables have the packages from elsewhere that a program loads, without those that TensorFlow
itself needs, and the folders of `classification`.
"""

import functools
import json
import os
import subprocess
import sys

from absl.testing import absltest, parameterized

from tests import runfiles

# Runs a program, and prints the names and files of the modules that it has loaded.
_CODE = """
import atexit, json, os, runpy, sys
path = sys.argv.pop(1)
shown = os.fdopen(os.dup(1), "w")
sys.stdout = open(os.devnull, "w")
atexit.register(lambda: shown.write(json.dumps(
    {name: getattr(module, "__file__", None) for name, module in sys.modules.items()})))
if path:
    runpy.run_path(path, run_name="__main__")
else:
    import third_party.tensorflow.quiet
"""
_FOLDERS = ("classification", "imprinting", "tests", "transforms")


@functools.cache
def _loaded(program: str) -> tuple[set[str], set[str]]:
    """The packages from elsewhere, and the project's folders, that --help of a program loads."""
    path = str(runfiles.path(program)) if program else ""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _CODE, path, "--help"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    # absl's --help ends with 1.
    assert done.returncode == (1 if program else 0), done.stderr
    modules = json.loads(done.stdout)
    ours = {n.rpartition(".")[0] for n in modules if n.startswith(_FOLDERS) and "." in n}
    library = os.path.dirname(os.__file__)
    others = {
        name.partition(".")[0]
        for name, file in modules.items()
        if file and not file.startswith(library)
    }
    folders = {n for n in ours if n in _FOLDERS or "." in n}
    return others - {*_FOLDERS, "third_party", "__main__", "__mp_main__"}, folders


class LoadedModulesTest(parameterized.TestCase):
    @parameterized.parameters(
        ("classification/images/convert_images.py", "PIL simplejpeg tqdm", "images"),
        (
            "classification/fitting/fit_embedding.py",
            "PIL simplejpeg tf_slim threadpoolctl tqdm",
            "deployment fitting nets pretrained",
        ),
        (
            "classification/low_shot/evaluate_low_shot.py",
            "PIL ai_edge_litert rich simplejpeg tf_slim threadpoolctl tqdm",
            "deployment imprinting low_shot nets",
        ),
        ("classification/mobilenet_v1_l2norm_eval.py", "rich tf_slim tqdm", "evaluation nets"),
        ("classification/mobilenet_v1_l2norm_export.py", "tf_slim", "deployment nets"),
        (
            "classification/mobilenet_v1_l2norm_train.py",
            "rich tf_slim tqdm",
            "cluster evaluation nets pretrained training",
        ),
    )
    def test_with_tensorflow(self, program, others, folders):
        of_tensorflow, _ = _loaded("")
        loaded, ours = _loaded(program)
        self.assertIn("tensorflow", loaded)
        self.assertEqual(" ".join(sorted(loaded - of_tensorflow)), others)
        # The base and the data are parts of all of them.
        of_all = {"classification", "classification.base", "classification.data"}
        ours = {name for name in ours - of_all if name.startswith("classification")}
        self.assertEqual(" ".join(sorted(n.partition(".")[2] for n in ours)), folders)

    @parameterized.parameters(
        (
            "classification/imprinting/imprint.py",
            "PIL ai_edge_litert flatbuffers numpy simplejpeg threadpoolctl tqdm",
        ),
        ("imprinting/commands/check_edgetpu.py", "flatbuffers numpy"),
        (
            "imprinting/commands/classify.py",
            "PIL ai_edge_litert flatbuffers numpy simplejpeg tqdm",
        ),
        (
            "imprinting/commands/graft.py",
            "PIL ai_edge_litert flatbuffers numpy simplejpeg threadpoolctl tqdm",
        ),
        ("imprinting/commands/join_tflite.py", "flatbuffers numpy"),
        ("imprinting/commands/split_tflite.py", "ai_edge_litert flatbuffers numpy"),
        ("transforms/freeze_graph.py", ""),
        ("transforms/transform_graph.py", ""),
    )
    def test_without_tensorflow(self, program, others):
        loaded, _ = _loaded(program)
        self.assertEqual(" ".join(sorted(loaded - {"absl"})), others)


if __name__ == "__main__":
    absltest.main()
