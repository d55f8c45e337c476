"""Tests that 20,000 broken graphs, checkpoints and transform strings do not crash the process.

Each case gives a result or an exception.
The cases run in another process, so that a case that crashes it can be reported. To run one again:
`graph_transforms_fuzz_test --case=N`. A case depends only on its number.
"""

import collections
import os
import random
import subprocess
import sys
import time

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import tensorflow.compat.v1 as tf
from absl import app, flags
from absl.testing import absltest

from classification.deployment import export
from classification.nets import factory
from classification.nets.model_config import ModelConfig
from tests.fuzz import byte_mutations, mutations
from transforms import graph_transforms

FLAGS = flags.FLAGS

flags.DEFINE_string("folder", "", "Folder of the valid files, for the process that runs the cases.")
flags.DEFINE_integer("first", 0, "The first case to run.")
flags.DEFINE_integer("case", -1, "The only case to run.")
flags.DEFINE_integer("cases", 20_000, "The number of cases.")

_EXCEPTIONS = (ValueError, FileNotFoundError, PermissionError, MemoryError, RuntimeError)
# The transforms with a parameter that names a file.
_READ_FILES = ("freeze_requantization_ranges", "sparsify_gather")
_CONFIG = ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=3, quantize=True)
_HEAD = "MobilenetV1/Logits/"
_OUTPUT = "MobilenetV1/Predictions/Reshape_1"
# The inputs and outputs of parts of the graph. Small graphs make cases faster.
_PARTS = {
    "base": (
        "input",
        "MobilenetV1/MobilenetV1/Conv2d_1_pointwise/act_quant/FakeQuantWithMinMaxVars",
    ),
    "head": (_HEAD + "Normalize_1a/activation_Mul_quant/FakeQuantWithMinMaxVars", _OUTPUT),
}
_PARAMETERS = (
    "exclude_op=FakeQuantWithMinMaxVars",
    "clear_output_shapes=false",
    "max_constant_size_in_bytes=1000",
    "ignore_errors=true",
    "type=float",
    'shape="1,2,3,4"',
    'shape="-1,4"',
    'shape="4611686018427387904,2,4"',
    "name=input",
    "type_for_name=float",
    'shape_for_name="1,2"',
    'shape_for_name="-7"',
    "op=Identity",
    "op=Conv2D",
    "max_inputs=2",
    "minimum_size=1",
    "minimum_size=-1",
    "num_steps=3",
    "num_steps=0",
    "num_steps=-1",
    "old_op_name=Mul",
    "new_op_name=Add",
    "old_node_name=input",
    "new_node_name=x",
    "attribute_name=T",
    "op_name=Const",
    "old_attribute_name=T",
    "new_attribute_name=S",
    "device=/cpu:0",
    "if_default=true",
    "input_min=0",
    "input_max=1",
    "fallback_min=-1",
    "fallback_max=1",
    "show_name=true",
    "message=x",
    "first_n=1",
    "summarize=1",
    "min_max_log_file=/dev/null",
    "input_checkpoint=/dev/null",
    "min_percentile=5",
)


def write_files(folder: str) -> None:
    """Writes the network's graph and parts of it, and checkpoints of three kinds."""
    graph = export.build(model=_CONFIG, batch_size=1).graph_def
    prefix = os.path.join(folder, "v2")
    with tf.Graph().as_default(), tf.Session() as session:
        factory.build(tf.placeholder(tf.float32, [1, 32, 32, 3]), _CONFIG)
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False)
        tf.train.Saver(write_version=tf.train.SaverDef.V1).save(
            session, os.path.join(folder, "v1"), write_meta_graph=False
        )
    _write_objects(os.path.join(folder, "objects"))
    files = {"whole": graph}
    for name, (start, end) in _PARTS.items():
        part = tf.GraphDef()
        part.CopyFrom(graph)
        node = next(n for n in part.node if n.name == start)
        if node.op != "Placeholder":
            node.Clear()
            node.name, node.op = start, "Placeholder"
            node.attr["dtype"].type = tf.float32.as_datatype_enum
        files[name] = tf.graph_util.extract_sub_graph(part, [end])
    for name, part in files.items():
        data = part.SerializeToString()
        end = _PARTS.get(name, ("", _OUTPUT))[1]
        frozen = graph_transforms.freeze(data, checkpoint=prefix, outputs=[end])
        for kind, content in (("graph", data), ("frozen", frozen)):
            with open(os.path.join(folder, f"{name}.{kind}"), "wb") as file:
                file.write(content)


def _write_objects(prefix: str) -> None:
    """Writes an object-based checkpoint of a graph with resource variables, and that graph."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float32, [1, 4], name="x")
        w = tf.get_variable("w", [4, 3], use_resource=True)
        tf.identity(tf.matmul(x, w), name="y")
        session.run(tf.global_variables_initializer())
        tf.train.Checkpoint(w=w).write(prefix, session)
        with open(prefix + ".graph", "wb") as file:
            file.write(graph.as_graph_def().SerializeToString())


class Cases:
    """The cases, for the files in a folder."""

    def __init__(self, folder: str):
        self._folder = folder
        self._files = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), "rb") as file:
                self._files[name] = file.read()
        self._names = graph_transforms.transform_names()
        self._inner = {
            part: [n.name for n in tf.GraphDef.FromString(self._files[f"{part}.frozen"]).node]
            for part in ("base", "head", "whole")
        }
        self._fitting = {n: [p for p in _PARAMETERS if _known(n, p)] for n in self._names}

    def run(self, case: int) -> str:
        """Runs a case; returns its kind, and "result" or the name of the exception."""
        rng = random.Random(case)
        part = rng.choices(("base", "head", "whole"), (48, 48, 4))[0]
        start, end = _PARTS.get(part, ("input", _OUTPUT))
        kind = rng.choices((self._transform, self._freeze), (3, 2))[0]
        self._reads_files = False
        try:
            result = kind(part, start, end, rng)
        except _EXCEPTIONS as error:
            if isinstance(error, FileNotFoundError) and not self._reads_files:
                raise AssertionError("expected no file to be read") from error
            return f"{kind.__name__[1:]}: {type(error).__name__}"
        tf.GraphDef.FromString(result)
        return f"{kind.__name__[1:]}: result"

    def _transform(self, part: str, start: str, end: str, rng: random.Random) -> bytes:
        graph = self._files[part + rng.choice((".frozen", ".frozen", ".frozen", ".graph"))]
        names = self._names + ["strip_unused_nodes", "fold_constants", "fold_l2_norm"] * 8
        text = " ".join(self._one(rng.choice(names), rng) for _ in range(rng.choice((1, 1, 2, 3))))
        self._reads_files = any(name in text for name in _READ_FILES)
        inputs, outputs = [start], [end]
        if rng.random() < 0.2:
            # With an inner node as input, strip_unused_nodes replaces it by a placeholder.
            inputs = [rng.choice(self._inner[part])]
        what = rng.randrange(12)
        if what < 9:
            graph = mutations.mutate_graph(graph, rng)
        elif what < 10:
            graph = byte_mutations.mutate_bytes(graph, rng)
        elif what < 11:
            text = byte_mutations.mutate_text(text, rng)
        else:
            inputs = [byte_mutations.mutate_text(start, rng) for _ in range(rng.randrange(3))]
            outputs = [byte_mutations.mutate_text(end, rng) for _ in range(rng.randrange(3))]
        return graph_transforms.transform(
            graph,
            inputs=inputs,
            outputs=outputs,
            transforms=text,
            fold_fake_quant=rng.random() < 0.3,
        )

    def _one(self, name: str, rng: random.Random) -> str:
        fitting = self._fitting[name] if rng.random() < 0.97 else _PARAMETERS
        given = ", ".join(rng.choice(fitting) for _ in range(rng.choice((0, 1, 1, 2, 3))))
        return f"{name}({given})"

    def _freeze(self, part: str, start: str, end: str, rng: random.Random) -> bytes:
        del start  # Freezing has no inputs.
        self._reads_files = True
        graph, outputs, checkpoint = self._files[part + ".graph"], [end], "v2"
        what = rng.randrange(12)
        if what < 3:
            graph = mutations.mutate_graph(graph, rng)
        elif what < 4:
            graph = byte_mutations.mutate_bytes(graph, rng)
        elif what < 5:
            outputs = [byte_mutations.mutate_text(end, rng) for _ in range(rng.randrange(3))]
        elif what < 10:
            checkpoint = self._break(rng.choice(("v1", "v2")), rng)
        else:
            graph, outputs = self._files["objects.graph"], ["y"]
            checkpoint = self._break("objects", rng)
        return graph_transforms.freeze(
            graph, checkpoint=os.path.join(self._folder, checkpoint), outputs=outputs
        )

    def _break(self, checkpoint: str, rng: random.Random) -> str:
        """Writes a checkpoint with one of its files broken; returns its name."""
        names = [checkpoint]
        if checkpoint != "v1":
            names = [checkpoint + ending for ending in (".index", ".data-00000-of-00001")]
        broken = rng.choice((names[0], names[0], names[-1]))
        for name in names:
            data = self._files[name]
            if name == broken:
                data = byte_mutations.mutate_bytes(data, rng)
            path = os.path.join(self._folder, "broken-" + name)
            with open(path, "wb") as file:
                file.write(data)
        return "broken-" + checkpoint


def _known(name: str, parameter: str) -> bool:
    try:
        graph_transforms.parse_transforms(f"{name}({parameter})")
    except ValueError:
        return False
    return True


def run_cases() -> None:
    """Runs cases in this process; prints the number of each before it starts."""
    cases = Cases(FLAGS.folder)
    which = range(FLAGS.first, FLAGS.cases) if FLAGS.case < 0 else [FLAGS.case]
    for case in which:
        start = time.monotonic()
        print(case, flush=True)
        outcome = cases.run(case)
        print(f"= {outcome} {time.monotonic() - start:.3f}", flush=True)


class FuzzTest(absltest.TestCase):
    def test_every_case_ends_in_a_result_or_an_exception(self):
        folder = self.create_tempdir().full_path
        write_files(folder)
        outcomes: collections.Counter[str] = collections.Counter()
        first, ended, slowest = max(FLAGS.first, FLAGS.case), [], (0.0, -1)
        while first < FLAGS.cases:
            done = subprocess.run(
                [sys.executable, __file__, f"--folder={folder}", f"--first={first}"]
                + [f"--case={FLAGS.case}", f"--cases={FLAGS.cases}"],
                capture_output=True,
                text=True,
                errors="replace",
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
            lines = done.stdout.split("\n")
            last = first
            for line in lines:
                if line.startswith("= "):
                    outcome, seconds = line[2:].rsplit(" ", 1)
                    outcomes[outcome] += 1
                    slowest = max(slowest, (float(seconds), last))
                elif line.isdigit():
                    last = int(line)
            if done.returncode == 0:
                break
            ended.append(f"case {last} ended the process ({done.returncode}): {done.stderr[-300:]}")
            print(ended[-1], flush=True)
            if len(ended) >= 40 or FLAGS.case >= 0:
                break
            first = last + 1
        print(f"{outcomes}; slowest: case {slowest[1]}, {slowest[0]:.1f} s")
        self.assertEmpty(ended)
        if FLAGS.case < 0 and FLAGS.first == 0 and FLAGS.cases >= 1000:
            # Cases that all fail in the same way would find nothing.
            for kind in ("transform: result", "transform: ValueError", "freeze: result"):
                self.assertGreater(outcomes[kind], FLAGS.cases // 100, msg=kind)
            # Errors must say what is wrong with the input; few may be internal errors of
            # TensorFlow.
            internal = sum(n for outcome, n in outcomes.items() if "RuntimeError" in outcome)
            self.assertLess(internal, FLAGS.cases // 200)


def main(argv: list[str]) -> None:
    del argv
    run_cases()


if __name__ == "__main__":
    if any(argument.startswith("--folder=") for argument in sys.argv):
        app.run(main)
    else:
        absltest.main()
