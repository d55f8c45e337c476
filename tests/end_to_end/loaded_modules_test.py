"""Tests that programs load only what they use, since users wait for it: what --help loads.

The tables have the packages from elsewhere that a program loads, and the folders of
`classification`. Of programs that use TensorFlow, it is what they load after TensorFlow.
"""

import json
import os
import subprocess
import sys

from absl.testing import absltest

from tests import runfiles

# Runs --help of each program in a process that has loaded TensorFlow before, or nothing. Prints a
# line for each, with the names and the files of the modules that it has loaded.
_CODE = """
import json, os, runpy, sys
kind, *paths = sys.argv[1:]
if kind == "tensorflow":
    import third_party.tensorflow.quiet
before = {name.partition(".")[0] for name in sys.modules}
for path in paths:
    child = os.fork()
    if not child:
        shown, sys.stdout = sys.stdout, open(os.devnull, "w")
        sys.argv = [path, "--help"]
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit:
            found = {n: getattr(m, "__file__", None) for n, m in sys.modules.items()}
            new = {n: f for n, f in found.items() if n.partition(".")[0] not in before}
            print(json.dumps(new), file=shown)
            shown.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""
_OURS = ("classification", "imprinting", "tests", "third_party", "transforms", "__mp_main__")

_WITH_TENSORFLOW = {
    "classification/images/convert_images.py": ("PIL simplejpeg tqdm", "images"),
    "classification/fitting/fit_embedding.py": (
        "PIL simplejpeg tf_slim threadpoolctl tqdm",
        "deployment fitting nets pretrained",
    ),
    "classification/low_shot/evaluate_low_shot.py": (
        "PIL ai_edge_litert rich simplejpeg tf_slim threadpoolctl tqdm",
        "deployment imprinting low_shot nets",
    ),
    "classification/mobilenet_v1_l2norm_eval.py": ("rich tf_slim tqdm", "evaluation nets"),
    "classification/mobilenet_v1_l2norm_export.py": ("tf_slim", "deployment nets"),
    "classification/mobilenet_v1_l2norm_train.py": (
        "rich tf_slim tqdm",
        "cluster evaluation nets pretrained training",
    ),
}
_WITHOUT_TENSORFLOW = {
    "classification/imprinting/imprint.py": (
        "PIL absl ai_edge_litert flatbuffers numpy simplejpeg threadpoolctl tqdm"
    ),
    "imprinting/commands/check_edgetpu.py": "absl flatbuffers numpy",
    "imprinting/commands/classify.py": (
        "PIL absl ai_edge_litert flatbuffers numpy simplejpeg tqdm"
    ),
    "imprinting/commands/graft.py": (
        "PIL absl ai_edge_litert flatbuffers numpy simplejpeg threadpoolctl tqdm"
    ),
    "imprinting/commands/join_tflite.py": "absl flatbuffers numpy",
    "imprinting/commands/split_tflite.py": "absl ai_edge_litert flatbuffers numpy",
    "transforms/freeze_graph.py": "absl",
    "transforms/transform_graph.py": "absl",
}


def _loaded(kind: str, programs: dict) -> dict[str, dict[str, str | None]]:
    """The modules that each program loads, with their files."""
    done = subprocess.run(
        [sys.executable, "-c", _CODE, kind, *(str(runfiles.path(name)) for name in programs)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(zip(programs, found, strict=True))


def _packages(modules: dict[str, str | None]) -> str:
    """The packages from elsewhere, without the standard library."""
    library = os.path.dirname(os.__file__)
    names = {n.partition(".")[0] for n, file in modules.items() if file and library not in file}
    return " ".join(sorted(names - {*_OURS}))


def _folders(modules: dict[str, str | None]) -> str:
    """The folders of `classification`, without those that all programs use."""
    names = {n.split(".")[1] for n in modules if n.startswith("classification.")}
    return " ".join(sorted(names - {"base", "data"}))


class LoadedModulesTest(absltest.TestCase):
    def test_with_tensorflow(self):
        for name, modules in _loaded("tensorflow", _WITH_TENSORFLOW).items():
            with self.subTest(name):
                found = _packages(modules), _folders(modules)
                self.assertEqual(found, _WITH_TENSORFLOW[name])

    def test_without_tensorflow(self):
        for name, modules in _loaded("nothing", _WITHOUT_TENSORFLOW).items():
            with self.subTest(name):
                self.assertEqual(_packages(modules), _WITHOUT_TENSORFLOW[name])


if __name__ == "__main__":
    absltest.main()
