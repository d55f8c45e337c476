"""Tests of graph_transforms: arguments, the syntax of transforms, and the interpreter lock."""

import pathlib
import statistics
import threading

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from transforms import graph_transforms, testing
from transforms.cc import _graph_transforms
from transforms.testing import quantised_layer, transform


class GraphTransformsTest(absltest.TestCase):
    def test_transform_names(self):
        names = graph_transforms.transform_names()
        self.assertContainsSubset(
            {"strip_unused_nodes", "fold_constants", "fold_batch_norms", "quantize_weights"}, names
        )
        self.assertIn("fold_l2_norm", names)
        self.assertEqual(names, sorted(names))

    def test_transforms_as_text_and_as_list(self):
        graph = quantised_layer()
        text = 'strip_unused_nodes(type=half, shape="1,5") rename_op(old_op_name=MatMul,' \
               " new_op_name=MyMatMul)"  # fmt: skip
        listed = [
            ("strip_unused_nodes", {"type": "half", "shape": ["1,5"]}),
            ("rename_op", {"old_op_name": ["MatMul"], "new_op_name": "MyMatMul"}),
        ]
        options = {"inputs": ["quant"]}
        result = transform(graph, text, **options)
        self.assertEqual(result, transform(graph, listed, **options))
        quant = testing.nodes(result)["quant"]
        self.assertEqual(quant.op, "Placeholder")
        self.assertEqual(quant.attr["dtype"].type, tf.float16.as_datatype_enum)
        self.assertEqual([dim.size for dim in quant.attr["shape"].shape.dim], [1, 5])
        self.assertEqual(testing.nodes(result)["MatMul"].op, "MyMatMul")
        parsed = [(name, {k: [v] if isinstance(v, str) else v for k, v in values.items()})
                  for name, values in listed]  # fmt: skip
        self.assertEqual(graph_transforms.parse_transforms(text), parsed)

    def test_line_breaks_between_transforms(self):
        text = "\n strip_unused_nodes\n  fold_constants(ignore_errors=true)\n"
        self.assertEqual(
            graph_transforms.parse_transforms(text),
            [("strip_unused_nodes", {}), ("fold_constants", {"ignore_errors": ["true"]})],
        )

    def test_from_text(self):
        graph = tf.GraphDef.FromString(quantised_layer())
        read = graph_transforms.from_text(str(graph).encode())
        self.assertEqual(tf.GraphDef.FromString(read), graph)
        with self.assertRaisesRegex(ValueError, r"in text form, got something else \(line 1: "):
            graph_transforms.from_text(b"nodes { }")
        with self.assertRaisesRegex(ValueError, r"something else \(no node\)"):
            graph_transforms.from_text(b"")

    def test_other_threads_run_during_a_transform(self):
        graph = quantised_layer(size=1 << 22)
        counted, done, progress = 0, False, []

        def work():
            nonlocal done
            for _ in range(9):
                before = counted
                transform(graph, "strip_unused_nodes")
                progress.append(counted - before)
            done = True

        thread = threading.Thread(target=work)
        thread.start()
        while not done:
            counted += 1
        thread.join()
        # With the lock held, the count would not change in nearly every call.
        self.assertGreater(statistics.median(progress), 100)

    def test_stub_has_all_functions(self):
        stub = pathlib.Path(_graph_transforms.__file__).with_suffix(".pyi").read_text()
        names = [name for name in dir(_graph_transforms) if not name.startswith("_")]
        for name in names:
            self.assertIn(f"def {name}(", stub)
        self.assertLen(names, stub.count("def "))

    def test_argument_types(self):
        with self.assertRaisesRegex(ValueError, "a list of names as outputs, got the string 'y'"):
            transform(quantised_layer(), "strip_unused_nodes", outputs="y")
        listed = [("quantize_weights", {"minimum_size": 5, "ignore_errors": False})]
        text = "quantize_weights(minimum_size=5, ignore_errors=false)"
        self.assertEqual(transform(quantised_layer(), listed), transform(quantised_layer(), text))


if __name__ == "__main__":
    absltest.main()
