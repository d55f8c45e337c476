"""Tests of records.py: counting, damage, missing files, class names."""

import pathlib

import tensorflow as tf
from absl.testing import absltest, parameterized

from classification.data import records


class RecordsTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def write(self, name: str, payloads: list[bytes], options: str | None = None) -> str:
        path = str(self.folder / name)
        with tf.io.TFRecordWriter(path, options=options) as writer:
            for payload in payloads:
                writer.write(payload)
        return path

    @parameterized.parameters(0, 1, 3, 1000)
    def test_counts_records(self, number):
        path = self.write("train-0", [bytes([i % 256]) * (i % 7) for i in range(number)])
        self.assertEqual(records.count(path), number)

    def test_long_records(self):
        path = self.write("train-0", [b"a" * 70_000, b"b" * 300])
        self.assertEqual(records.count(path), 2)
        self.assertEqual(records.read_first(path), b"a" * 70_000)

    def test_spans(self):
        path = self.write("train-0", [b"a" * 70_000, b"", b"b" * 300])
        self.assertEqual(records.spans(path), [(0, 70_016), (70_016, 16), (70_032, 316)])
        self.assertEqual(records.spans(self.write("train-1", [])), [])

    def test_counts_each_file(self):
        paths = [self.write(f"train-{i}", [b"x"] * i) for i in range(12)]
        self.assertEqual(list(records.count_each(paths)), paths)
        self.assertEqual(list(records.count_each(paths).values()), list(range(12)))

    # Two records with a payload of 10 bytes have 26 bytes each.
    @parameterized.parameters((51, 26), (30, 26), (27, 26), (25, 0), (5, 0))
    def test_refuses_truncated_file(self, size, offset):
        path = self.write("train-0", [b"0123456789"] * 2)
        content = pathlib.Path(path).read_bytes()
        self.assertLen(content, 52)
        pathlib.Path(path).write_bytes(content[:size])
        with self.assertRaisesRegex(ValueError, f"at offset {offset} of .*train-0.*ends inside"):
            records.count(path)

    @parameterized.parameters(26, 33, 34, 37)
    def test_refuses_damaged_head(self, position):
        path = self.write("train-0", [b"0123456789"] * 2)
        content = bytearray(pathlib.Path(path).read_bytes())
        content[position] ^= 1
        pathlib.Path(path).write_bytes(content)
        with self.assertRaisesRegex(ValueError, "at offset 26 of .*train-0.*checksum"):
            records.count_each([path])

    def test_refuses_compressed_file(self):
        path = self.write("train-0", [b"0123456789"] * 100, options="GZIP")
        with self.assertRaisesRegex(ValueError, "compressed"):
            records.count(path)

    def test_reads_some_records(self):
        path = self.write("r", [b"zero", b"", b"two", b"three"])
        self.assertEqual(records.read(path, [0, 2]), [b"zero", b"two"])
        self.assertEqual(records.read(path, [1, 3]), [b"", b"three"])
        self.assertEqual(records.read(path, []), [])
        for indices, missing in (([3, 4], 4), ([2, 1], 1)):
            with self.assertRaisesRegex(
                ValueError, f"expected a record number {missing} in {path}"
            ):
                records.read(path, indices)

    def test_refuses_wrong_checksum(self):
        path = self.write("r", [b"zero", b"first"])
        data = pathlib.Path(path).read_bytes()
        pathlib.Path(path).write_bytes(data.replace(b"first", b"worst"))
        self.assertEqual(records.read(path, [0]), [b"zero"])
        with self.assertRaisesRegex(
            ValueError, f"as number 1 of {path}, got one with a wrong checksum"
        ):
            records.read(path, [1])

    def test_fingerprint_depends_on_the_content(self):
        paths = [self.write(str(i), [b"a", b"b"][: i + 1] + [b"c"]) for i in range(2)]
        found = records.fingerprint(paths)
        self.assertRegex(found, "^[0-9a-f]{64}$")
        # a c a b c
        divided = [self.write("x", [b"a"]), self.write("y", [b"c", b"a", b"b"])]
        self.assertEqual(records.fingerprint([*divided, self.write("z", [b"c"])]), found)
        self.assertNotEqual(records.fingerprint([*divided, self.write("z", [b"d"])]), found)
        self.assertNotEqual(records.fingerprint(paths[::-1]), found)
        self.assertNotEqual(records.fingerprint(paths[:1]), found)

    def test_fingerprint_reads_no_payload(self):
        path = self.write("r", [b"zero", b"first"])
        found = records.fingerprint([path])
        data = pathlib.Path(path).read_bytes()
        pathlib.Path(path).write_bytes(data.replace(b"first", b"worst"))
        self.assertEqual(records.fingerprint([path]), found)

    def test_no_damage(self):
        self.assertIsNone(records.find_damage([self.write("r", [b"a"] * 3), self.write("s", [])]))
        self.assertIsNone(records.find_damage([]))

    def test_finds_damage(self):
        whole = self.write("whole", [b"0123456789"] * 2)
        content = pathlib.Path(whole).read_bytes()
        for name, changed, message in (
            (
                "payload",
                content[:-5] + b"x" + content[-4:],
                "number 1 of .*payload, got one with a wrong check",
            ),
            ("cut", content[:-5], "at offset 26 of .*cut, got a file that ends"),
            ("head", b"x" + content[1:], "at offset 0 of .*head, got a length with a wrong check"),
        ):
            path = self.folder / name
            path.write_bytes(changed)
            self.assertRegex(records.find_damage([whole, str(path)]) or "", message)
        self.assertRegex(records.find_damage([str(self.folder / "gone")]) or "", "gone")

    def test_another_file_system(self):
        folder = "ram://records_test"
        path = f"{folder}/train-0"
        payloads = [b"zero", b"x" * 70_000, b"", b"three"]
        with tf.io.TFRecordWriter(path) as writer:
            for payload in payloads:
                writer.write(payload)
        size = 70_009 + 4 * 16
        self.assertEqual(records.find_files(folder, "train"), {path: size})
        self.assertEqual(records.count(path), 4)
        self.assertEqual(records.read_first(path), b"zero")
        self.assertEqual(records.read(path, [1, 3]), [b"x" * 70_000, b"three"])
        self.assertEqual(
            records.fingerprint([path]), records.fingerprint([self.write("r", payloads)])
        )
        self.assertIsNone(records.find_damage([path]))
        self.assertIsNone(records.read_labels(folder))
        with tf.io.gfile.GFile(f"{folder}/labels.txt", "w") as file:
            file.write("0:Äpfel\n1:pears\n")
        self.assertEqual(records.read_labels(folder), ("Äpfel", "pears"))
        with self.assertRaisesRegex(FileNotFoundError, f"got {folder}/no, which does not exist"):
            records.find_files(f"{folder}/no", "train")
        with self.assertRaisesRegex(NotADirectoryError, f"got the file {path}"):
            records.find_files(path, "train")

    def test_finds_files_of_the_split(self):
        for name in ("train-00001-of-2", "train-00000-of-2", "validation-0", "training", "x"):
            self.write(name, [b"0123456789"])
        (self.folder / "train-folder").mkdir()
        self.assertEqual(
            list(records.find_files(str(self.folder), "train").items()),
            [(str(self.folder / f"train-0000{i}-of-2"), 26) for i in range(2)],
        )

    def test_refuses_missing_folder(self):
        with self.assertRaisesRegex(FileNotFoundError, "nowhere, which does not exist"):
            records.find_files(str(self.folder / "nowhere"), "train")

    def test_refuses_file_as_folder(self):
        path = self.write("train-0", [])
        with self.assertRaisesRegex(NotADirectoryError, "got the file .*train-0"):
            records.find_files(path, "train")

    def test_refuses_folder_below_file(self):
        path = self.write("train-0", [])
        with self.assertRaisesRegex(OSError, "train-0/x cannot be read: .*Not a directory"):
            records.find_files(f"{path}/x", "train")

    def test_refuses_folder_without_the_split(self):
        for i in range(7):
            self.write(f"validation-{i}", [])
        with self.assertRaisesRegex(
            FileNotFoundError, r"named train-\* in .*validation-0.* and 2 more"
        ):
            records.find_files(str(self.folder), "train")

    def test_refuses_empty_folder(self):
        with self.assertRaisesRegex(FileNotFoundError, "got an empty folder"):
            records.find_files(str(self.folder), "train")


class IterateTest(absltest.TestCase):
    def test_yields_all_records(self):
        folder = self.create_tempdir()
        paths = [f"{folder.full_path}/{name}" for name in "abc"]
        for path, payloads in zip(paths, ([b"1", b""], [], [b"2"]), strict=True):
            with tf.io.TFRecordWriter(path) as writer:
                for payload in payloads:
                    writer.write(payload)
        first, _, last = paths
        found = list(records.iterate(paths))
        self.assertEqual(found, [(first, 0, b"1"), (first, 1, b""), (last, 0, b"2")])
        damaged = bytearray(pathlib.Path(last).read_bytes())
        damaged[12] ^= 1
        pathlib.Path(last).write_bytes(damaged)
        with self.assertRaisesRegex(
            ValueError, f"number 0 of {last}, got one with a wrong checksum"
        ):
            list(records.iterate(paths))


class LabelsTest(parameterized.TestCase):
    def labels_of(self, text: str) -> tuple[str, ...] | None:
        folder = self.create_tempdir()
        folder.create_file("labels.txt", text, encoding="utf-8")
        return records.read_labels(folder.full_path)

    def test_missing_file(self):
        self.assertIsNone(records.read_labels(self.create_tempdir().full_path))

    def test_numbered_names(self):
        self.assertEqual(
            self.labels_of("0:background\n1:tench: a fish\n\n2:Müesli\n"),
            ("background", "tench: a fish", "Müesli"),
        )

    def test_names_without_numbers(self):
        self.assertEqual(self.labels_of("daisy\nrose\r\n\ntulip"), ("daisy", "rose", "tulip"))

    @parameterized.parameters("1:a\n2:b", "0:a\n0:b", "0:a\n2:b")
    def test_refuses_gaps(self, text):
        with self.assertRaisesRegex(ValueError, "[01]:NAME as line [12] of .*labels.txt"):
            self.labels_of(text)

    def test_reads_file_of_any_name(self):
        file = self.create_tempfile("names", "a\nb\n")
        self.assertEqual(records.read_label_file(file.full_path), ("a", "b"))
        with self.assertRaises(FileNotFoundError):
            records.read_label_file(file.full_path + "-gone")

    def test_refuses_binary_file(self):
        file = self.create_tempfile("names", b"\xff\x00a", mode="wb")
        with self.assertRaisesRegex(ValueError, f"as text in UTF-8, in {file.full_path}, got"):
            records.read_label_file(file.full_path)


if __name__ == "__main__":
    absltest.main()
