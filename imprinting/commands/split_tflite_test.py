"""Tests of the program split_tflite."""

import os
import pathlib

from absl.testing import absltest

from imprinting.base import program_testing
from imprinting.commands import split_tflite
from imprinting.tflite import metadata, model_file, model_graph, pairs
from transforms.conversion import testing


def run(*arguments: str) -> tuple[int | str | None, str, str]:
    return program_testing.run(split_tflite.main, *arguments)


class SplitTfliteTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)
        model = model_file.parse(testing.small().model)
        self.data = metadata.attach(model, testing.LABELS)
        pathlib.Path("in.tflite").write_bytes(self.data)

    def test_joined_again_it_is_the_same_model(self):
        status, out, err = run("--model=in.tflite", "--output_prefix=a")
        self.assertEqual((status, err), (None, ""))
        self.assertRegex(out, r"^Wrote a_extractor.tflite: [0-9,]+ bytes.\nWrote a_head.tflite: ")
        parts = [pathlib.Path(f"a_{part}.tflite").read_bytes() for part in ("extractor", "head")]
        joined = pairs.join_files(*parts).tflite
        graphs = [model_graph.graph(model_file.parse(data)) for data in (joined, self.data)]
        self.assertEqual(*([op.name for op in graph.operators] for graph in graphs))
        self.assertEqual(metadata.labels_of(joined), testing.LABELS)
        self.assertEqual(metadata.labels_of(parts[1]), testing.LABELS)

    def test_errors(self):
        pathlib.Path("head.tflite").write_bytes(testing.small().head)
        pathlib.Path("in_head.tflite").write_bytes(self.data)
        os.symlink("in.tflite", "link_extractor.tflite")
        for arguments, expected in (
            (("--model=in.tflite",), "expected --output_prefix"),
            (("--model=gone.tflite", "--output_prefix=a"), "gone.tflite: No such file"),
            (("--model=head.tflite", "--output_prefix=a"), "head.tflite: expected a model that b"),
            (("--model=in_head.tflite", "--output_prefix=in"), "got in_head.tflite, which is read"),
            (("--model=in.tflite", "--output_prefix=link"), "link_.*, the same file as in.tflite"),
            (("--model=in.tflite", "--output_prefix=no/"), "got no/; for example no/model"),
            (("--model=", "--output_prefix=a"), "expected --model=FILE.tflite, got"),
            (("--model=in.tflite", "--output_prefix=no/a"), "expected a folder no to write"),
        ):
            status, out, err = run(*arguments)
            self.assertEqual((status, out), (1, ""))
            self.assertRegex(err, f"^prog: .*{expected}")
        self.assertLen(os.listdir(), 4)


if __name__ == "__main__":
    absltest.main()
