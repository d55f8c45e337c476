"""Tests of PyTorch files as PyTorch writes them, and as damage and attackers change them."""

import collections
import io
import os
import pickle
import random
import struct
import tracemalloc
from typing import Any

import numpy as np
from absl.testing import absltest, parameterized

from classification.pretrained import pytorch_file

_MAGIC = 0x1950A86A20F9469CFC6C
_SYSTEM = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}
_EXPECTED = "^a/b.pth: expected a PyTorch file of weights in the legacy format, got "
_SAVE = r"; save only the weights, with torch.save\(model.state_dict\(\), PATH, .*=False\)$"
_AGAIN = "; download or save it again$"


class Name:
    """Pickled as a name, such as `torch.FloatStorage`."""

    def __init__(self, name):
        self.name = name


class Call:
    """Pickled as a call of a function of this name."""

    def __init__(self, name, *arguments):
        self.function, self.arguments = Name(name), arguments


class Reference:
    """Pickled as a reference to what is outside the pickle."""

    def __init__(self, *parts):
        self.parts = parts


# Python's own pickler; that in C has no methods that write parts.
_PythonPickler: Any = pickle._Pickler


class Pickler(_PythonPickler):
    """Writes names that cannot be imported, as PyTorch would write them."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Name):
            module, _, name = obj.name.rpartition(".")
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        elif isinstance(obj, Reference):
            self.save(obj.parts)
            self.write(pickle.BINPERSID)
        else:
            super().save(obj, save_persistent_id)


def pickled(value, protocol=2):
    file = io.BytesIO()
    Pickler(file, protocol).dump(value)
    return file.getvalue()


def storage(key="0", count=12, kind="FloatStorage", view=None):
    return Reference("storage", Name(f"torch.{kind}"), key, "cpu", count, view)


def tensor(size=(3, 4), stride=(4, 1), offset=0, of=None):
    hooks: dict = collections.OrderedDict()
    name = "torch._utils._rebuild_tensor_v2"
    return Call(name, of or storage(), offset, size, stride, False, hooks)


def numbers(values):
    return struct.pack("<q", len(values)) + values.tobytes()


_TWELVE = numbers(np.arange(12, dtype="<f4"))


def file_of(
    state, *, keys=("0",), storages=_TWELVE, magic=_MAGIC, version=1001, system=_SYSTEM, after=b""
):
    """Returns the bytes of a file; `state` is the state dict, or its pickle."""
    state = state if isinstance(state, bytes) else pickled(state)
    parts = [pickled(magic), pickled(version), pickled(system), state]
    return b"".join([*parts, pickled(list(keys)), storages, after])


def small_file():
    """Returns the bytes of a file like those of networks."""
    state = collections.OrderedDict(
        [
            ("conv.weight", tensor((2, 1, 2, 3), (1, 12, 6, 2))),
            ("bn.num_batches_tracked", tensor((), (), of=storage("7", 1, "LongStorage"))),
            ("bn.bias", tensor((2,), (1,), 1, of=storage("8", 3, "HalfStorage"))),
        ]
    )
    vars(state)["_metadata"] = collections.OrderedDict(
        [("", {"version": 1}), ("bn", {"version": 2})]
    )
    storages = numbers(np.array([5], "<i8")) + _TWELVE + numbers(np.array([1, 2, 3], "<f2"))
    return file_of(state, keys=("7", "0", "8"), storages=storages)


class ParseTest(parameterized.TestCase):
    def assert_array(self, found, expected, dtype):
        np.testing.assert_array_equal(found, expected)
        self.assertEqual(found.dtype, dtype)
        self.assertTrue(found.dtype.isnative)
        self.assertTrue(found.flags.c_contiguous and found.flags.aligned and found.flags.writeable)

    def test_several_tensors(self):
        found = pytorch_file.parse(small_file(), "a/b.pth")
        self.assertEqual(list(found), ["conv.weight", "bn.num_batches_tracked", "bn.bias"])
        expected = np.arange(12).reshape(2, 3, 2).transpose(2, 0, 1)[:, None]
        self.assert_array(found["conv.weight"], expected, np.float32)
        self.assert_array(found["bn.num_batches_tracked"], np.array(5), np.int64)
        self.assert_array(found["bn.bias"], [2, 3], np.float16)

    @parameterized.parameters(
        ("HalfStorage", np.float16),
        ("FloatStorage", np.float32),
        ("DoubleStorage", np.float64),
        ("IntStorage", np.int32),
        ("LongStorage", np.int64),
    )
    def test_types(self, kind, dtype):
        values = np.array([1, -2, 3000], np.dtype(dtype).newbyteorder("<"))
        state = {"a": tensor((3,), (1,), of=storage("key", 3, kind))}
        data = file_of(state, keys=["key"], storages=numbers(values))
        self.assert_array(pytorch_file.parse(data, "")["a"], [1, -2, 3000], dtype)

    @parameterized.parameters(
        ((3, 4), (4, 1), 0, np.arange(12).reshape(3, 4)),
        ((4, 3), (1, 4), 0, np.arange(12).reshape(3, 4).T),
        ((2, 2), (6, 2), 1, [[1, 3], [7, 9]]),
        ((), (), 11, 11),
        ((1,), (1,), 11, [11]),
        # Strides of dimensions of size 1 and strides of empty tensors do not matter.
        ((1, 2), (2**70, 1), 10, [[10, 11]]),
        ((0, 3), (2**70, 2**70), 12, np.zeros([0, 3])),
        ((0,), (1,), 12, []),
        # `expand` repeats numbers.
        ((2, 3), (0, 1), 3, [[3, 4, 5], [3, 4, 5]]),
        ((1,) * 32, (1,) * 32, 7, np.full((1,) * 32, 7)),
    )
    def test_strides_and_offsets(self, size, stride, offset, expected):
        found = pytorch_file.parse(file_of({"a": tensor(size, stride, offset)}), "")
        self.assert_array(found["a"], expected, np.float32)

    def test_tensors_that_share_a_storage_become_independent(self):
        shared = storage()
        state = {"a": tensor(of=shared), "b": tensor(of=shared), "c": tensor((2,), (1,), 5)}
        found = pytorch_file.parse(file_of(state), "")
        found["a"][:] = -1
        self.assert_array(found["b"], np.arange(12).reshape(3, 4), np.float32)
        self.assert_array(found["c"], [5, 6], np.float32)

    def test_many_tensors_and_long_names(self):
        # They need the instructions for memos of more than 256 values, and for batches.
        state = {f"block{i}." + "x" * 300: tensor((1,), (1,), i % 12) for i in range(1500)}
        found = pytorch_file.parse(file_of(state), "")
        self.assertEqual(list(found), list(state))
        self.assertEqual([value.item() for value in found.values()], [i % 12 for i in range(1500)])

    def test_no_tensors(self):
        data = file_of(collections.OrderedDict(), keys=[], storages=b"")
        self.assertEqual(pytorch_file.parse(data, ""), {})

    def test_read(self):
        path = os.path.join(self.create_tempdir().full_path, "a.pth")
        with self.assertRaises(FileNotFoundError):
            pytorch_file.read(path)
        with open(path, "wb") as file:
            file.write(small_file())
        self.assertLen(pytorch_file.read(path), 3)
        with open(path, "wb") as file:
            file.write(small_file()[:-1])
        with self.assertRaisesRegex(ValueError, f"^{path}: expected a PyTorch file of weights"):
            pytorch_file.read(path)


class RefusedTest(parameterized.TestCase):
    def assert_refused(self, data, expected):
        with self.assertRaisesRegex(ValueError, _EXPECTED + expected):
            pytorch_file.parse(data, "a/b.pth")

    @parameterized.parameters(
        (b"", "an empty file" + _AGAIN),
        (b"PK\x03\x04 and so on", "the zip format of PyTorch 1.6 and later" + _SAVE),
        (b"version https://git-lfs", "something else, which begins .* b'version '" + _SAVE),
        (pickled({"a": 1}), r"something else, .* b'.x80.x02}"),
        (file_of({}, magic=_MAGIC + 1), "something else"),
        (file_of({}, magic=None), "something else"),
        (file_of({}, version=1002), "version 1002 instead of 1001" + _SAVE),
        (file_of({}, version=[1001]), "version a list instead of 1001"),
        (file_of({}, version=2**2000), "version 1148130695.{49}… instead of 1001"),
        (file_of({}, system={**_SYSTEM, "little_endian": False}), "one .* not marked as little-e"),
        (file_of({}, system={**_SYSTEM, "little_endian": 1}), "one .* not marked as little-endian"),
        (file_of({}, system=None), "one that is not marked as little-endian; save it on another"),
    )
    def test_other_files(self, data, expected):
        self.assert_refused(data, expected)

    @parameterized.parameters(
        (None, "None instead of a dict of tensors" + _SAVE),
        ([tensor()], "a list instead of a dict of tensors" + _SAVE),
        (tensor(), "a tensor instead of a dict of tensors" + _SAVE),
        ({"epoch": 3, "state_dict": {"a": tensor()}}, "3 instead of a tensor as 'epoch'" + _SAVE),
        ({"loss": 0.5}, "0.5 instead of a tensor as 'loss'" + _SAVE),
        ({"state_dict": {"a": tensor()}}, "a dict instead of a tensor as 'state_dict'" + _SAVE),
        ({"a": storage()}, "a storage instead of a tensor as 'a'" + _SAVE),
        ({"a": Name("torch.FloatStorage")}, "torch.FloatStorage instead of a tensor as 'a'"),
        ({"a" * 80: 1}, "1 instead of a tensor as 'a{58}…"),
        ({1: tensor()}, "a dict whose keys are not all names" + _SAVE),
        ({"optimizer": {(1, 2): 3}}, "a dict whose keys are not all names" + _SAVE),
        ({"a": b"bytes"}, "one that asks for '_codecs.encode', which is not supported"),
        ({"a": 2**3000}, "a pickle with the instruction LONG4 .*…" + _SAVE),
    )
    def test_something_else_than_a_flat_dict_of_tensors(self, state, expected):
        self.assert_refused(file_of(state), expected)

    @parameterized.parameters(
        ((3, 5), (4, 1), 0),
        ((4, 4), (4, 1), 0),
        ((3, 4), (4, 1), 1),
        ((), (), 12),
        ((0,), (1,), 13),
        ((2,), (2**70,), 0),
        ((2**70,), (1,), 0),
        ((1, 2), (0, 12), 0),
    )
    def test_tensors_that_reach_beyond_their_storage(self, size, stride, offset):
        data = file_of({"layer.weight": tensor(size, stride, offset)})
        self.assert_refused(
            data, "a tensor 'layer.weight' that reaches beyond its storage" + _AGAIN
        )

    @parameterized.parameters(
        ((-3, 4), (4, 1), 0),
        ((3, 4), (-4, 1), 8),
        ((3, 4), (4, 1), -1),
        ((3, 4), (4,), 0),
        ((3.0, 4), (4, 1), 0),
        ((3, 4), (4, None), 0),
        ((3, 4), (4, 1), "0"),
        ((True,), (1,), 0),
        ([3, 4], [4, 1], 0),
        ((1,) * 33, (1,) * 33, 0),
        (None, None, None),
        ((3, 4), (4, 1), 0, "storage"),
        ((3, 4), (4, 1), 0, Name("torch.FloatStorage")),
    )
    def test_tensors_without_meaning(self, *arguments):
        data = file_of({"a": tensor(*arguments)})
        self.assert_refused(
            data, "a call of torch._utils._rebuild_tensor_v2 with unexpected arg.*" + _AGAIN
        )

    @parameterized.parameters(
        ("torch._utils._rebuild_tensor_v2", ()),
        ("torch._utils._rebuild_tensor_v2", (storage(), 0, (3,), (1,), False)),
        ("torch._utils._rebuild_tensor_v2", (storage(), 0, (3,), (1,), False, None, None)),
        ("torch.FloatStorage", (10**12,)),
        ("collections.OrderedDict", ([("a", 1)],)),
    )
    def test_other_calls(self, name, arguments):
        data = file_of({"a": Call(name, *arguments)})
        self.assert_refused(data, f"a call of {name} with unexpected arguments" + _AGAIN)

    @parameterized.parameters(
        ("module", Name("torch.FloatStorage"), "0", "cpu", 12, None),
        ("storage", "torch.FloatStorage", "0", "cpu", 12, None),
        ("storage", Name("collections.OrderedDict"), "0", "cpu", 12, None),
        ("storage", Name("torch.FloatStorage"), 0, "cpu", 12, None),
        ("storage", Name("torch.FloatStorage"), "0", None, 12, None),
        ("storage", Name("torch.FloatStorage"), "0", "cpu", -12, None),
        ("storage", Name("torch.FloatStorage"), "0", "cpu", 12.0, None),
        ("storage", Name("torch.FloatStorage"), "0", "cpu", 12, ("1", 0, 6)),
        ("storage", Name("torch.FloatStorage"), "0", "cpu", 12),
        (),
    )
    def test_references(self, *parts):
        data = file_of({"a": tensor(of=Reference(*parts))})
        self.assert_refused(data, "a reference to a storage that is damaged or not supported")

    @parameterized.parameters(
        {"keys": "0", "storages": _TWELVE[:-1], "got": "[0-9]+ bytes .* truncated in storage '0'"},
        {"keys": "0", "storages": _TWELVE[:7], "got": "[0-9]+ bytes .* truncated in storage '0'"},
        {"keys": "0", "storages": b"", "got": "[0-9]+ bytes that are truncated in storage '0'"},
        {"keys": "0", "after": b"\0\0", "got": "2 bytes after its end"},
        {"keys": "0", "storages": _TWELVE * 2, "got": "56 bytes after its end"},
        {
            "keys": "0",
            "storages": b"\x0b" + _TWELVE[1:],
            "got": "11 numbers instead of 12 in storage '0'",
        },
        {
            "keys": "0",
            "storages": b"\xff" * 8 + _TWELVE[8:],
            "got": "-1 numbers instead of 12 in storage '0'",
        },
        {"keys": "", "storages": b"", "got": "0 storages that are not the 1 of its tensors"},
        {"keys": "1", "got": "1 storages that are not the 1 of its tensors"},
        {"keys": "01", "storages": _TWELVE * 2, "got": "2 storages that are not the 1 of its .*"},
        {"keys": "00", "storages": _TWELVE * 2, "got": "2 storages that are not the 1 of its .*"},
        {"keys": [0], "got": "one without a list of its storages"},
        {"keys": [((),)], "got": "one without a list of its storages"},
    )
    def test_storages(self, got, **parts):
        self.assert_refused(file_of({"a": tensor()}, **parts), got + _AGAIN)

    def test_no_list_of_storages(self):
        data = file_of({}, keys=[], storages=b"").removesuffix(pickled([])) + pickled({})
        self.assert_refused(data, "one without a list of its storages")

    def test_storages_of_two_types_or_sizes(self):
        for other in (storage(count=11), storage(kind="IntStorage")):
            data = file_of({"a": tensor(), "b": tensor((1,), (1,), of=other)})
            self.assert_refused(data, "two types or sizes of storage '0'" + _AGAIN)

    @parameterized.parameters(
        b".",
        b"N",
        b"NN.",
        b"N(.",
        b"(N.",
        b"t.",
        b"a.",
        b"]a.",
        b"}K\x01s.",
        b"}(X\1\0\0\0au.",
        b"h\x07.",
        b"q\x07.",
        b"R.",
        b"b.",
        b"Q.",
        b"X\xff\xff\xff\xffab.",
        b"X\1\0\0\0\xff.",
        b"X\3\0\0\0\xed\xa0\x80.",
        b"\xff.",
        b"cos\n",
        b"cos",
        b"c\xff\nsystem\n.",
    )
    def test_damaged_pickles(self, instructions):
        data = file_of(b"\x80\x02" + instructions, keys=(), storages=b"")
        end = data.index(instructions) + len(instructions)
        for changed in (data, data[:end]):
            self.assert_refused(changed, "")
        self.assert_refused(
            data[: data.index(instructions)], "[0-9]+ bytes, truncated or damaged before byte"
        )

    @parameterized.parameters(
        (pickled({}, 4), "a pickle with the instruction PROTO 4" + _SAVE),
        (b"\x80\x02(ios\nsystem\n.", "a pickle with the instruction INST 'os system'" + _SAVE),
        (b"\x80\x02(cos\nsystem\no.", "one that asks for 'os.system'"),
        (b"\x80\x02X\2\0\0\0osX\6\0\0\0system\x93.", "a pickle with .* STACK_GLOBAL None"),
        (b"\x80\x02\x82\x01.", "a pickle with the instruction EXT1 1"),
        (b"\x80\x02)K\1a.", "a pickle that adds to a tuple"),
    )
    def test_instructions_that_weights_do_not_need(self, state, expected):
        self.assert_refused(file_of(state), expected)


class AttackTest(parameterized.TestCase):
    @parameterized.parameters(
        ("os.system", "touch {path}"),
        ("posix.system", "touch {path}"),
        ("builtins.eval", "open({path!r}, 'w')"),
        ("builtins.exec", "open({path!r}, 'w')"),
        ("builtins.open", "{path}", "w"),
        ("builtins.getattr", Name("builtins.dict"), "get"),
        ("torch.os.system", "touch {path}"),
        ("torch._utils._rebuild_tensor_v2.__globals__", ""),
        ("collections.namedtuple", "a"),
        ("torch.load", "{path}"),
    )
    def test_functions_are_not_run(self, name, *arguments):
        path = os.path.join(self.create_tempdir().full_path, "created")
        filled = [a.format(path=path) if isinstance(a, str) else a for a in arguments]
        call = Call(name, *filled)
        nested = tensor(of=Call("torch._utils._rebuild_tensor_v2", call))
        for state in (call, {"a": call}, {"a": nested}, {"a": tensor((call,))}, [[call]]):
            for data in (
                file_of(state),
                file_of({}, version=state),
                file_of({}, system=state),
                file_of({}, keys=[state]),
            ):
                with self.assertRaisesRegex(
                    ValueError,
                    f"{_EXPECTED}one that asks for '{name}', which is not supported and was not "
                    "run; if you trust the file, save only the weights",
                ):
                    pytorch_file.parse(data, "a/b.pth")
        self.assertFalse(os.path.exists(path))

    def test_the_attack_works_against_an_unpickler(self):
        # Otherwise, the test above would show nothing.
        path = os.path.join(self.create_tempdir().full_path, "created")
        with pickle.loads(pickled(Call("builtins.open", path, "w"))):
            self.assertTrue(os.path.exists(path))

    def test_attributes_are_not_set(self):
        # BUILD sets attributes of the object, which may be a function.
        before = dict(vars(pytorch_file))
        for target in (
            b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"ccollections\nOrderedDict\n",
            b"ctorch\nFloatStorage\n",
        ):
            state = b"\x80\x02" + target + b"}X\x04\0\0\0nameX\x01\0\0\0xsb."
            with self.assertRaisesRegex(ValueError, "instead of a dict of tensors"):
                pytorch_file.parse(file_of(state), "a/b.pth")
        self.assertEqual(vars(pytorch_file), before)
        self.assertLen(pytorch_file.parse(file_of({"a": tensor()}), ""), 1)

    @parameterized.named_parameters(
        ("memo", b"\x80\x02}r\xff\xff\xff\xffh\0."),
        ("string", b"\x80\x02X\xff\xff\xff\xffa."),
        ("bytes", b"\x80\x02B\xff\xff\xff\xffa."),
        ("long_bytes", b"\x80\x02\x8e\0\0\0\0\0\1\0\0a."),
        ("byte_array", b"\x80\x02\x96\0\0\0\0\0\1\0\0a."),
        ("frame", b"\x80\x02\x95\0\0\0\0\0\1\0\0a."),
        ("number", b"\x80\x02\x8b\xff\xff\xff\x7fa."),
        ("digits", b"\x80\x02I" + b"9" * 100_000 + b"\n."),
    )
    def test_no_large_memory(self, state):
        data = file_of(state, keys=(), storages=b"")
        tracemalloc.start()
        with self.assertRaisesRegex(ValueError, _EXPECTED):
            pytorch_file.parse(data, "a/b.pth")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(most, 10_000_000)

    @parameterized.named_parameters(
        # Keys whose hashes would take 2 ** 100 steps, or would need 100,000 calls.
        ("hash", b"\x80\x02}" + b")" + b"q\0h\0\x86" * 100 + b"Ns."),
        ("deep_hash", b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"Ns."),
        ("deep_tuple", b"\x80\x02)" + b"\x85" * 100_000 + b"."),
        ("deep_list", b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."),
        ("deep_marks", b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b"."),
        ("deep_dict", b"\x80\x02" + b"}X\1\0\0\0a" * 100_000 + b"N" + b"s" * 100_000 + b"."),
        ("cycle", b"\x80\x02}q\0X\1\0\0\0ah\0s."),
    )
    def test_no_recursion(self, state):
        with self.assertRaisesRegex(ValueError, _EXPECTED):
            pytorch_file.parse(file_of(state, keys=(), storages=b""), "a/b.pth")

    def test_too_many_instructions(self):
        with (
            absltest.mock.patch.object(pytorch_file, "_MOST_INSTRUCTIONS", 1000),
            self.assertRaisesRegex(ValueError, "a pickle of more than 1000 instructions; save"),
        ):
            pytorch_file.parse(file_of(b"\x80\x02" + b"N" * 1000 + b"."), "a/b.pth")

    @parameterized.parameters(
        ({"a": tensor((10**12,), (0,))},),
        ({"a": tensor((2**40, 0), (0, 0))},),
        ({"a": tensor((2**70, 2**70), (0, 0))},),
        ({str(i): tensor() for i in range(2)} | {"a": tensor((10**4,), (0,))},),
    )
    def test_tensors_that_are_larger_than_the_file(self, state):
        with self.assertRaisesRegex(ValueError, "tensors of more than 4 times the bytes of the fi"):
            pytorch_file.parse(file_of(state), "a/b.pth")

    def test_storages_that_are_larger_than_the_file(self):
        state = {"a": tensor((2**50,), (1,), of=storage(count=2**50))}
        with self.assertRaisesRegex(ValueError, "4 times the bytes of the file"):
            pytorch_file.parse(file_of(state), "a/b.pth")
        state = {"a": tensor((1,), (1,), of=storage(count=2**70))}
        with self.assertRaisesRegex(ValueError, "truncated in storage '0'"):
            pytorch_file.parse(file_of(state), "a/b.pth")


class FuzzTest(absltest.TestCase):
    def parses(self, data):
        """Whether a file is read; fails if it is neither read nor refused with one sentence."""
        try:
            found = pytorch_file.parse(data, "a/b.pth")
        except ValueError as error:
            self.assertRegex(str(error), _EXPECTED + "[^\n]*; [^\n]*[^.\n]$")
            return False
        self.assertLessEqual(sum(array.nbytes for array in found.values()), 4 * len(data))
        return True

    def test_truncated_anywhere(self):
        data = small_file()
        self.assertTrue(self.parses(data))
        self.assertFalse(any(self.parses(data[:size]) for size in range(len(data))))

    def test_each_byte_changed(self):
        data = bytearray(small_file())
        read = 0
        for place, byte in enumerate(data):
            for changed in {0, 0xFF, *(byte ^ 1 << bit for bit in range(8))} - {byte}:
                data[place] = changed
                read += self.parses(bytes(data))
            data[place] = byte
        # Changes of values, names and unused arguments are not found.
        self.assertBetween(read, 1000, 5 * len(data))

    def test_random_changes(self):
        original = small_file()
        chosen = random.Random(1)
        for _ in range(3000):
            data = bytearray(original)
            for _ in range(chosen.randint(1, 4)):
                place, size = chosen.randrange(len(data)), chosen.randint(0, 8)
                other = chosen.randrange(len(original))
                new = chosen.choice([chosen.randbytes(size), original[other : other + size]])
                # It replaces bytes, is inserted, or replaces none, which removes bytes.
                removed = chosen.choice([size, 0, chosen.randint(0, 8)])
                data[place : place + removed] = new
            self.parses(bytes(data))

    def test_random_instructions(self):
        chosen = random.Random(2)
        opcodes = (
            b"\x80\x02}])(NK\x01J\xff\xff\xff\xffq\0h\0r\0\0\0\0\x85\x86\x87tRQbsuae\x88\x89X."
        )
        for _ in range(3000):
            body = bytes(chosen.choices(opcodes, k=chosen.randint(1, 40)))
            self.parses(file_of(b"\x80\x02" + body + b".", keys=(), storages=b""))


if __name__ == "__main__":
    absltest.main()
