"""Tests that the programs have the flags and defaults of the programs that they replace.

Users' scripts set these flags, or rely on their defaults. The programs may have other flags, too.
"""

import subprocess
from xml.etree import ElementTree

from absl.testing import absltest, parameterized

from tests import runfiles

_PROGRAMS = runfiles.path("classification")

# Defaults as on a command line; '' may also be None.
_FLAGS = {
    "train": {
        "master": "",
        "task": "0",
        "ps_tasks": "0",
        "batch_size": "64",
        "num_classes": "1001",
        "number_of_steps": "",
        "image_size": "224",
        "depth_multiplier": "1.0",
        "learning_rate": "0.045",
        "quantize": "false",
        "fine_tune_checkpoint": "",
        "checkpoint_dir": "",
        "dataset_dir": "",
        "log_every_n_steps": "100",
        "save_summaries_secs": "100",
        "save_interval_secs": "100",
        "freeze_base_model": "false",
    },
    "eval": {
        "master": "",
        "batch_size": "250",
        "num_classes": "1001",
        "num_examples": "50000",
        "image_size": "224",
        "depth_multiplier": "1.0",
        "quantize": "false",
        "checkpoint_dir": "",
        "eval_dir": "",
        "dataset_dir": "",
    },
    "export": {
        "is_training": "false",
        "image_size": "224",
        "num_classes": "1001",
        "batch_size": "",
        "output_file": "",
        "quantize": "false",
        "write_text_graphdef": "false",
    },
}


class ContractFlagsTest(parameterized.TestCase):
    @parameterized.parameters(*_FLAGS)
    def test_names_and_defaults(self, name):
        # The exit status of --helpxml is 1.
        done = subprocess.run(
            [_PROGRAMS / f"mobilenet_v1_l2norm_{name}", "--helpxml"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertStartsWith(done.stdout, "<?xml", done.stderr)
        found = {
            flag.findtext("name"): flag.findtext("default")
            for flag in ElementTree.fromstring(done.stdout).iter("flag")
        }
        expected = _FLAGS[name]
        self.assertEqual({flag: found.get(flag) for flag in expected}, expected)


if __name__ == "__main__":
    absltest.main()
