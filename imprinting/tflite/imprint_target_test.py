"""Tests of imprint_target.py: imprints into each kind of model, and compares what changed."""

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.base.photo_crop import Crop
from imprinting.tflite import imprint_target, metadata, model_file, model_graph, pairs
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.metadata import About
from transforms.conversion import testing

_ABOUT = About("Some Net", Crop.SQUARE)


def parsed(data):
    return model_file.parse(data, compiled=True)


def joined(extractor, head):
    return parsed(pairs.join_files(testing.compiled(extractor), head).tflite)


def imprinted(target):
    """The model of a target, with two imprinted classes."""
    engine = ImprintingEngine(target.classifier, keep_classes=False)
    for number in range(2):
        engine.add(number, np.eye(testing.EMBEDDING)[number : number + 1])
    return target.with_classes_of(engine.build().tflite_model)


class ImprintTargetTest(parameterized.TestCase):
    def test_a_classifier_is_changed_itself(self):
        model = parsed(testing.small().model)
        target = imprint_target.read(model, None)
        self.assertIs(target.classifier, model)
        self.assertIs(target.embedder, model)
        self.assertFalse(target.is_old)
        changed = imprinted(target)
        self.assertEqual(model_graph.graph(changed).outputs[0].shape, (1, 2))

    @parameterized.product(old=[True, False], int8=[True, False])
    def test_only_the_head_of_a_joined_file_changes(self, old, int8):
        small = testing.small(int8=int8)
        model = joined(*((small.embedder, small.classes) if old else (small.extractor, small.head)))
        for embedder in (small.embedder, small.model) + (small.extractor,) * (not old):
            target = imprint_target.read(model, parsed(embedder))
            self.assertEqual(target.is_old, old)
            changed = parsed(model_file.serialise(imprinted(target)))
            before, after = (m.subgraphs[0].operators for m in (model, changed))
            self.assertLen(after, len(before))
            self.assertEqual(np.asarray(after[0].customOptions).tobytes(), testing.COMPILED_OPTIONS)
            a, b = (model_graph.graph(m) for m in (model, changed))
            self.assertEqual(
                [str(t) for t in a.operators[0].inputs + a.operators[0].outputs],
                [str(t) for t in b.operators[0].inputs + b.operators[0].outputs],
            )
            self.assertEqual([op.name for op in a.operators], [op.name for op in b.operators])
            self.assertEqual(b.outputs[0].shape, (1, 2))
            self.assertEqual(changed.description, b"0 1.000000\n1 1.000000\n")
            self.assertEqual(metadata.about(changed), About())

    @parameterized.parameters(True, False)
    def test_the_head_of_a_pair(self, old):
        small = testing.small()
        head = parsed(
            metadata.attach(parsed(small.classes if old else small.head), testing.LABELS, _ABOUT)
        )
        target = imprint_target.read(head, parsed(small.embedder))
        self.assertEqual((target.is_old, target.crop), (old, Crop.SQUARE))
        changed = parsed(model_file.serialise(imprinted(target)))
        names = [op.name for op in model_graph.graph(changed).operators]
        self.assertEqual(names, [op.name for op in model_graph.graph(head).operators])
        self.assertEqual(changed.description, b"0 1.000000\n1 1.000000\n")
        self.assertEqual(metadata.about(changed), _ABOUT)
        self.assertTrue(pairs.is_head(changed))
        # It still fits its extractor, and imprinting can go on.
        again = imprint_target.read(changed, parsed(small.embedder))
        self.assertTrue(ImprintingEngine(again.classifier, keep_classes=True).is_imprinted(1))

    def test_the_part_of_a_photo_is_that_of_the_embedder(self):
        small = testing.small()
        model = joined(small.extractor, small.head)
        self.assertEqual(metadata.crop_of(model), Crop.STRETCHED)
        embedder = parsed(metadata.attach(parsed(small.extractor), None, _ABOUT))
        self.assertEqual(imprint_target.read(model, embedder).crop, Crop.SQUARE)

    def test_without_an_embedder_the_edge_tpu_computes_the_embeddings(self):
        model = joined(testing.small().extractor, testing.small().head)
        target = imprint_target.read(model, None)
        self.assertIsNone(target.embedder)
        self.assertIs(target.classifier, model)

    def test_embedders_that_are_missing_unnecessary_or_do_not_fit(self):
        small, other = testing.small(), testing.small(int8=True)
        new, old = joined(small.extractor, small.head), joined(small.embedder, small.classes)
        for model, embedder, expected in (
            (parsed(small.head), None, "--embedder with a head, .*got only the head"),
            (old, None, "--embedder with a file that was joined from an old pair, got none"),
            (parsed(small.model), small.extractor, "computes its own embeddings; leave it out"),
            (new, other.extractor, "gives what the head takes, uint8 .*24.*, got one"),
            (new, small.head, "an embedder that takes .*32, 32.*, got one that takes .*1, 1, 1"),
            (old, small.extractor, "of the same, old pair"),
            (parsed(small.extractor), small.extractor, "computes its own embeddings"),
            (
                parsed(testing.compiled(small.model)),
                None,
                "expected a file whose last operators, CONV_2D",
            ),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                imprint_target.read(model, None if embedder is None else parsed(embedder))


if __name__ == "__main__":
    absltest.main()
