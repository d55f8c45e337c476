"""Tests of imprint for compiled extractors and heads; the uncompiled extractor embeds photos."""

import os
import pathlib
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from imprinting.base import program_testing
from imprinting.commands import imprint
from imprinting.tflite import inference, metadata, model_file, model_graph, pairs, product_rules
from imprinting.tflite.inference import Kernels
from transforms.conversion import testing

_AS_ON_A_DEVICE = ("--fit_embedding=never", "--nofit_scale_factor")
_COLOURS = {"blue": (20, 30, 220), "red": (230, 20, 20)}
_FLAGS = ("--images_dir=photos", "--output=out.tflite")


def read(path):
    return pathlib.Path(path).read_bytes()


def run(*arguments):
    return program_testing.run(imprint.main, *_FLAGS, *arguments)


def options_of(path):
    operators = model_file.read(path, compiled=True).subgraphs[0].operators
    return np.asarray(operators[0].customOptions, np.uint8).tobytes()


class ImprintPartsTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(os.path.realpath(self.create_tempdir().full_path))
        small = testing.small()
        head = metadata.attach(model_file.parse(small.head), testing.LABELS)
        old_head = metadata.attach(model_file.parse(small.classes), testing.LABELS)
        for path, data in {
            "whole.tflite": metadata.attach(model_file.parse(small.model), testing.LABELS),
            "extractor.tflite": small.extractor,
            "head.tflite": head,
            "joined.tflite": pairs.join_files(testing.compiled(small.extractor), head).tflite,
            "old_extractor.tflite": small.embedder,
            "old_head.tflite": old_head,
            "old.tflite": pairs.join_files(testing.compiled(small.embedder), old_head).tflite,
            "other.tflite": testing.small(int8=True).extractor,
        }.items():
            pathlib.Path(path).write_bytes(data)
        random = np.random.default_rng(1)
        for name, colour in _COLOURS.items():
            os.makedirs(f"photos/{name}")
            for index in range(3):
                noise = random.integers(-20, 20, [testing.SIZE, testing.SIZE, 3])
                pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(f"photos/{name}/{index}.png")

    def imprint(self, *arguments):
        """Imprints next to the model's own, random classes; returns what the program prints."""
        status, out, err = run(*arguments, "--keep_classes", "--allow_lost_classes")
        self.assertEqual((status, err), (None, ""), msg=out)
        return out

    def assert_same_classes(self, expected, found):
        """Checks that the heads in two models are the same, with the same notes and labels."""
        heads = []
        for path in (expected, found):
            model = model_file.read(path, compiled=True)
            heads.append(model if pairs.is_head(model) else pairs.parts(model).head)
            self.assertEqual(metadata.labels_of(read(path)), (*testing.LABELS, "blue", "red"))
        tails = []
        for head in heads:
            tail = product_rules.tail(model_graph.graph(head))
            constants = [t for op in tail for t in op.inputs if t is not None and t.constant]
            tails.append(
                [
                    (str(t), head.buffers[head.subgraphs[0].tensors[t.index].buffer].data.tobytes())
                    for t in constants
                ]
            )
        self.assertEqual(tails[0], tails[1])
        self.assertLen(tails[0], 4)
        self.assertEqual(heads[0].description, heads[1].description)

    @parameterized.parameters("extractor", "old_extractor", "whole")
    def test_only_the_head_of_a_joined_file_changes(self, embedder):
        out = self.imprint("--model=joined.tflite", f"--embedder={embedder}.tflite")
        self.assertIn("Wrote out.tflite: 7 classes kept, 2 new, from 6 photos.", out)
        self.assertNotIn("old", out)
        self.assertIn("not changed (the extractor is not changed, only the head).\n", out)
        self.assertEqual(options_of("out.tflite"), testing.COMPILED_OPTIONS)
        model = model_file.read("out.tflite", compiled=True)
        self.assertEqual(product_rules.check(model, quantised=True), [])
        self.imprint(*_AS_ON_A_DEVICE, "--model=whole.tflite", "--output=expected.tflite")
        self.assert_same_classes("expected.tflite", "out.tflite")
        # The result recognises the new classes.
        whole = pairs.complete(
            model_file.read("extractor.tflite"), pairs.parts(model).head
        ).joined()
        pixels = np.stack(
            [np.asarray(Image.open(f"photos/{c}/{i}.png")) for c in _COLOURS for i in range(3)]
        )
        (found,) = inference.run(whole, pixels, kernels=Kernels.REFERENCE)
        np.testing.assert_array_equal(found[:, 7:].argmax(axis=1), [0, 0, 0, 1, 1, 1])

    def test_photos_are_added_later(self):
        self.imprint("--model=joined.tflite", "--embedder=extractor.tflite")
        once = model_file.read("out.tflite", compiled=True).description
        self.imprint("--model=out.tflite", "--embedder=extractor.tflite")
        twice = model_file.read("out.tflite", compiled=True).description
        lengths = [[float(line.split()[1]) for line in d.splitlines()] for d in (once, twice)]
        np.testing.assert_allclose(lengths[1], 2 * np.array(lengths[0]), rtol=0.02)
        self.assertEqual(options_of("out.tflite"), testing.COMPILED_OPTIONS)

    def test_the_head_of_a_pair(self):
        out = self.imprint("--model=head.tflite", "--embedder=extractor.tflite")
        self.assertNotIn("old", out)
        self.imprint(*_AS_ON_A_DEVICE, "--model=whole.tflite", "--output=expected.tflite")
        self.assert_same_classes("expected.tflite", "out.tflite")
        joined = pairs.join_files(read("extractor.tflite"), read("out.tflite"))
        self.assertEqual(
            model_file.parse(joined.tflite).description, model_file.read("out.tflite").description
        )

    def test_old_pairs_are_accepted_with_a_note(self):
        self.imprint(*_AS_ON_A_DEVICE, "--model=whole.tflite", "--output=expected.tflite")
        for model in ("old", "old_head"):
            out = self.imprint(f"--model={model}.tflite", "--embedder=old_extractor.tflite")
            self.assertIn(f"{pairs.OLD}\n", out)
            self.assert_same_classes("expected.tflite", "out.tflite")
        self.imprint("--model=old.tflite", "--embedder=old_extractor.tflite")
        self.assertEqual(options_of("out.tflite"), testing.COMPILED_OPTIONS)

    def test_an_edge_tpu_computes_the_embeddings_if_there_is_one(self):
        with mock.patch.object(inference, "edge_tpu", return_value="delegate") as found:
            # It is used by the interpreter, for which this is not one.
            with self.assertRaisesRegex(AttributeError, "delegate|str"):
                run("--model=joined.tflite")
        found.assert_called_once()
        with mock.patch.object(inference, "edge_tpu") as found:
            self.imprint("--model=joined.tflite", "--embedder=extractor.tflite")
        found.assert_not_called()

    def test_errors(self):
        for arguments, expected in (
            (
                ("--model=joined.tflite",),
                "joined.tflite: expected an Edge TPU .*, got none; add --embedder=",
            ),
            (("--model=head.tflite",), "head.tflite: expected --embedder with a head"),
            (("--model=old.tflite",), "old.tflite: expected --embedder with a file .* old pair"),
            (("--model=joined.tflite", "--embedder=gone.tflite"), "gone.tflite: No such file"),
            (("--model=joined.tflite", "--embedder=photos"), "expected a file, got the folder"),
            (
                ("--model=joined.tflite", "--embedder=photos/red/0.png"),
                "photos/red/0.png: expected a .tflite",
            ),
            (
                ("--model=joined.tflite", "--embedder=joined.tflite"),
                "joined.tflite: .* compiled for the Edge TPU, .*; name the file that was compiled",
            ),
            (
                ("--model=joined.tflite", "--embedder=other.tflite"),
                "joined.tflite: expected an extractor that gives what the head takes",
            ),
            (
                ("--model=joined.tflite", "--embedder=head.tflite"),
                "joined.tflite: expected an embedder that takes what",
            ),
            (
                ("--model=whole.tflite", "--embedder=extractor.tflite"),
                "whole.tflite: expected --embedder only for",
            ),
            (
                ("--model=extractor.tflite",),
                "extractor.tflite: expected a model that the on-device imprinting engines accept",
            ),
            (("--embedder=extractor.tflite",), "expected --embedder only with --model"),
        ):
            with mock.patch.object(inference, "edge_tpu", return_value=None):
                status, out, err = run(*arguments)
            self.assertEqual((status, out), (1, ""), msg=err)
            self.assertRegex(err, f"(?s)^prog: {expected}")
            self.assertNotIn("Traceback", err)
            self.assertFalse(os.path.exists("out.tflite"))


if __name__ == "__main__":
    absltest.main()
