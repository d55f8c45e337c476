"""Tests of the program convert_weights."""

import os
import pathlib
import struct
import zipfile

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.base import program_testing
from classification.nets import checkpoints, factory, model_config
from classification.nets.efficientnet_lite_blocks import VARIANTS, blocks
from classification.nets.model_config import ModelConfig
from classification.pretrained import convert_weights
from imprinting.embedding.leading_moments import LeadingMoments
from imprinting.embedding.moments import Moments

_FILES = ("labels.txt", "model.ckpt.data-00000-of-00001", "model.ckpt.index", "model.json")


def shapes_of(variant, classes):
    """PyTorch's names and shapes of an EfficientNet-Lite."""
    shapes = {}

    def layer(conv, norm, *shape):
        shapes[f"{conv}.weight"] = shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = shape[:1]

    layer("_conv_stem", "_bn0", 32, 3, 3, 3)
    before = 32
    for number, block in enumerate(blocks(variant)):
        name, inner = f"_blocks.{number}.", before * block.expansion
        if number:
            layer(name + "_expand_conv", name + "_bn0", inner, before, 1, 1)
        size = block.kernel_size
        layer(name + "_depthwise_conv", name + "_bn1", inner, 1, size, size)
        layer(name + "_project_conv", name + "_bn2", block.depth, inner, 1, 1)
        before = block.depth
    layer("_conv_head", "_bn1", 1280, before, 1, 1)
    return shapes | {"_fc.weight": (classes, 1280), "_fc.bias": (classes,)}


def state_of(number=0, classes=1000):
    """Random weights of a variant."""
    random = np.random.default_rng(1)
    return {
        # Variances are above 0.
        name: 0.1 + random.random(shape, np.float32)
        for name, shape in shapes_of(VARIANTS[number], classes).items()
    }


def pytorch_file(state):
    """The bytes of a PyTorch file in the legacy format, with a storage for each array.

    The instructions are those of `pickletools`.
    """

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def number(value):
        return b"J" + struct.pack("<i", value)

    def numbers(values):
        return b"(" + b"".join(map(number, values)) + b"t"

    def pickled(value):
        return b"\x80\x02" + value + b"."

    entries = []
    for name, array in state.items():
        strides = [stride // 4 for stride in array.strides]
        parts = text("storage") + b"ctorch\nFloatStorage\n" + text(name) + text("cpu")
        storage = b"(" + parts + number(array.size) + b"NtQ"
        arguments = storage + number(0) + numbers(array.shape) + numbers(strides)
        hooks = b"ccollections\nOrderedDict\n)R"
        entries.append(
            text(name)
            + b"ctorch._utils\n_rebuild_tensor_v2\n("
            + arguments
            + b"\x89"
            + hooks
            + b"tR"
        )
    return b"".join(
        [
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
            pickled(b"M\xe9\x03"),
            pickled(b"}(" + text("little_endian") + b"\x88u"),
            pickled(b"}(" + b"".join(entries) + b"u"),
            pickled(b"](" + b"".join(map(text, state)) + b"e"),
            *(struct.pack("<q", a.size) + a.astype("<f4").tobytes() for a in state.values()),
        ]
    )


def moments(depth=1280):
    features = np.random.default_rng(2).gamma(0.5, size=[30, depth])
    return LeadingMoments.of(Moments.of(features), 4)


class _ProgramTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)
        ids = [f"n{number:08}" for number in range(1000)]
        self.write("synsets", "".join(f"{i}\n" for i in ids).encode())
        self.write("lemmas", "".join(f"{i}\tname of {i}, other\n" for i in ids).encode())

    def write(self, name, data):
        pathlib.Path(name).write_bytes(data)

    def run_program(self, *arguments):
        flags = ("--synsets=synsets", "--lemmas=lemmas", "--weights=a.pth", "--output_dir=out")
        return program_testing.run_program(convert_weights.main, *flags, *arguments)


class ConvertTest(_ProgramTestCase):
    def test_moments_whiten_the_embedding(self):
        self.write("a.pth", pytorch_file(state_of()))
        moments().save("moments.npz")
        kernels = []
        for flags in ((), ("--moments=moments.npz",)):
            status, _, err = self.run_program(*flags)
            self.assertIsNone(status, err)
            reader = tf.train.load_checkpoint("out/model.ckpt")
            name = "efficientnet-lite0/Logits/Conv2d_1c_1x1_negative/weights"
            kernels.append(reader.get_tensor(name)[0, 0])
        np.testing.assert_array_equal(kernels[0], np.eye(1280))
        self.assertGreater(np.count_nonzero(kernels[1]), 0.9 * 1280**2)

    def test_moments_of_another_network(self):
        self.write("a.pth", pytorch_file(state_of()))
        moments(depth=1024).save("moments.npz")
        status, _, err = self.run_program("--moments=moments.npz")
        self.assertEqual(status, 1)
        self.assertIn("expected moments of 1280 features, got those of 1024", err)
        self.assertFalse(os.path.exists("out"))

    @parameterized.parameters(True, False)
    def test_writes_a_network(self, quantize):
        state = state_of()
        self.write("a.pth", pytorch_file(state))
        status, out, err = self.run_program(f"--quantize={quantize}")
        self.assertEqual((status, err), (None, ""))
        kind = "quantised" if quantize else "float"
        self.assertEqual(
            out,
            f"Network: efficientnet_lite0, {kind}, 1000 classes, 224 x 224 pixels.\n"
            "Written to out\n",
        )
        self.assertCountEqual(os.listdir("out"), _FILES)
        model = model_config.read("out")
        labels = tuple(f"name of n{number:08}" for number in range(1000))
        expected = ModelConfig(
            network="efficientnet_lite0",
            num_classes=1000,
            quantize=quantize,
            labels=labels,
            dataset="ImageNet",
        )
        self.assertEqual(model, expected)
        self.assertEqual(pathlib.Path("out/labels.txt").read_text().splitlines(), [*labels])
        checkpoint = checkpoints.find("out")
        with tf.Graph().as_default():
            factory.build(tf.placeholder(tf.float32, [1, 224, 224, 3]), model)
            read = checkpoint.read_all(tf.global_variables())
        values = {variable.op.name: value for variable, value in read.items()}
        self.assertEqual(set(checkpoint.shapes), set(values))
        self.assertEqual(checkpoint.is_quantised, quantize)
        kernel = values["efficientnet-lite0/stem/conv2d/kernel"]
        np.testing.assert_array_equal(kernel, state["_conv_stem.weight"].transpose(2, 3, 1, 0))
        rows = state["_fc.weight"].T
        np.testing.assert_allclose(
            values["efficientnet-lite0/Logits/Conv2d_1d_1x1_normalize/weights"][0, 0],
            rows / np.linalg.norm(rows, axis=0),
            rtol=0,
            atol=5.1e-5,
        )

    def test_equal_files_give_equal_bytes(self):
        self.write("a.pth", pytorch_file(state_of()))
        results = []
        # The second time, the earlier result is replaced.
        for _ in range(2):
            self.assertIsNone(self.run_program()[0])
            results.append([pathlib.Path("out", name).read_bytes() for name in _FILES])
        self.assertEqual(*results)


class ErrorsTest(_ProgramTestCase):
    def assert_fails(self, expected, *arguments):
        status, out, err = self.run_program(*arguments)
        self.assertEqual((status, out), (1, ""), msg=err)
        self.assertRegex(err, f"^prog: {expected}\n$")
        self.assertLen(err.splitlines(), 1)
        self.assertFalse(os.path.exists("out"))

    def test_files_of_another_kind(self):
        start = "a.pth: expected a PyTorch file of weights in the legacy format, got "
        for data in (b"", b"no weights", b"\x89HDF\r\n\x1a\n" + bytes(100)):
            self.write("a.pth", data)
            self.assert_fails(f"{start}.*")
        # The present format of PyTorch.
        with zipfile.ZipFile("a.pth", "w") as archive:
            archive.writestr("archive/data.pkl", b"")
        self.assert_fails(f"{start}.*")

    def test_damaged(self):
        data = pytorch_file(state_of(classes=1))
        for size in (5, 1000, len(data) // 2, len(data) - 1):
            self.write("a.pth", data[:size])
            self.assert_fails(
                "a.pth: expected a PyTorch file of weights .*; download or save it .*"
            )

    def test_code_is_not_run(self):
        data = pytorch_file(state_of(classes=1))
        self.write("a.pth", data.replace(b"ccollections\nOrderedDict\n)R", b"cposix\ngetcwd\n)R"))
        self.assert_fails("a.pth: .* one that asks for 'posix.getcwd', .* was not run; .*")

    def test_another_network(self):
        self.write("a.pth", pytorch_file(state_of(number=1)))
        self.assert_fails(
            "a.pth: expected the weights of efficientnet_lite0, got those of efficientnet_lite1"
        )
        self.write("a.pth", pytorch_file(state_of()))
        self.assert_fails(
            "a.pth: expected the weights of efficientnet_lite2, got those of efficientnet_lite0",
            "--network=efficientnet_lite2",
        )

    def test_another_number_of_classes(self):
        self.write("a.pth", pytorch_file(state_of(classes=7)))
        self.assert_fails("expected .* 7 classes, got 1,000 names in synsets; .*")

    def test_bad_weights(self):
        state = state_of()
        del state["_bn1.bias"]
        self.write("a.pth", pytorch_file(state))
        self.assert_fails(
            "a.pth: expected the weights of efficientnet_lite0, got none called _bn1.b.*"
        )
        state = state_of()
        state["_bn1.bias"][5] = np.nan
        self.write("a.pth", pytorch_file(state))
        self.assert_fails("a.pth: expected finite values in _bn1.bias, got NaN or infinity")

    def test_missing_files_and_flags(self):
        self.assert_fails(".*a.pth.*")
        self.write("a.pth", pytorch_file(state_of(classes=1)))
        self.assert_fails("expected .*weights.*", "--weights=")
        os.remove("lemmas")
        self.assert_fails(".*lemmas.*")
        self.write("lemmas", b"n00000000\tonly one\n")
        self.assert_fails(
            "lemmas: expected a name for each .* none for 999 of them, such as n0000.*"
        )
        self.write("synsets", b"n00000000\n")
        self.assert_fails("synsets: expected 1000 WordNet IDs, got 1")


if __name__ == "__main__":
    absltest.main()
