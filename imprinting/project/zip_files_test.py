import io
import struct
import zipfile

from absl.testing import absltest, parameterized

from imprinting.project import project_testing, zip_files


def archive(entries: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", kind) as file:
        for name, data in entries.items():
            file.writestr(zipfile.ZipInfo(name), data, kind)
    return output.getvalue()


def contents(data: bytes) -> zip_files.Contents:
    with zip_files.opened(io.BytesIO(data)) as file:
        return zip_files.contents(file)


class ZipFilesTest(parameterized.TestCase):
    def test_class_folders(self):
        found = contents(
            archive(
                dict.fromkeys(
                    ["photos/mug/1.jpg", "photos/cup/a.PNG", "我的杯子/1.webp", "a\\b\\c.jpg"], b"x"
                )
            )
        )
        self.assertEqual(
            [(each.class_name, each.name) for each in found.photos],
            [("mug", "1.jpg"), ("cup", "a.PNG"), ("我的杯子", "1.webp"), ("b", "c.jpg")],
        )
        self.assertEmpty(found.skipped)

    def test_ignored(self):
        names = ["mug/1.jpg", "mug/readme.txt", "__MACOSX/mug/._1.jpg", ".git/x.jpg", "mug/.a.jpg"]
        found = contents(archive(dict.fromkeys([*names, "mug/Thumbs.db"], b"x")))
        self.assertLen(found.photos, 1)
        self.assertEmpty(found.skipped)

    @parameterized.parameters(
        ("../mug/1.jpg", "leads out"),
        ("mug/../../1.jpg", "leads out"),
        ("/etc/mug/1.jpg", "leads out"),
        ("\\\\server\\mug\\1.jpg", "leads out"),
        ("C:\\mug\\1.jpg", "leads out"),
        ("1.jpg", "not in a folder"),
        (" /1.jpg", "not in a folder"),
    )
    def test_bad_paths(self, name, expected):
        found = contents(archive({"mug/1.jpg": b"x", name: b"y"}))
        self.assertLen(found.photos, 1)
        self.assertRegex(found.skipped[0], expected)

    def test_links(self):
        output = io.BytesIO()
        with zipfile.ZipFile(output, "w") as file:
            file.writestr("mug/1.jpg", b"x")
            link = zipfile.ZipInfo("mug/2.jpg")
            link.external_attr = 0o120777 << 16
            file.writestr(link, "/etc/passwd")
        found = contents(output.getvalue())
        self.assertLen(found.photos, 1)
        self.assertRegex(found.skipped[0], "a link or a device")

    def test_encrypted(self):
        data = bytearray(archive({"mug/1.jpg": b"x", "mug/2.jpg": b"y"}))
        place = data.rindex(b"PK\1\2")
        data[place + 8] |= 1
        self.assertRegex(contents(bytes(data)).skipped[0], "encrypted")

    @parameterized.parameters(b"", b"nonsense", b"PK\3\4" + bytes(100))
    def test_other_files(self, data):
        with self.assertRaisesRegex(ValueError, "expected a zip file, got one that cannot be read"):
            zip_files.opened(io.BytesIO(data))

    def test_without_photos(self):
        with self.assertRaisesRegex(ValueError, "folders of photos.*got one without"):
            contents(archive({"readme.txt": b"x"}))

    def test_a_bomb_is_read_up_to_the_limit(self):
        data = archive({"mug/1.jpg": bytes(50 << 20)}, zipfile.ZIP_DEFLATED)
        self.assertLess(len(data), 100_000)
        # The archive may claim any size.
        place = data.rindex(b"PK\1\2")
        lying = data[: place + 24] + struct.pack("<I", 1000) + data[place + 28 :]
        for each in (data, lying):
            with zip_files.opened(io.BytesIO(each)) as file:
                with self.assertRaises(ValueError):
                    zip_files.read(file, file.infolist()[0])
        self.assertRegex(contents(_with(data)).skipped[0], "more than")

    def test_too_many_entries(self):
        data = archive({f"{number}/": b"" for number in range(80_001)})
        with self.assertRaisesRegex(ValueError, "at most 80,000 entries"):
            zip_files.opened(io.BytesIO(data))

    def test_a_damaged_photo(self):
        data = archive({"mug/1.jpg": project_testing.photo(1)}, zipfile.ZIP_DEFLATED)
        damaged = data[:200] + bytes(50) + data[250:]
        with zip_files.opened(io.BytesIO(damaged)) as file, self.assertRaises(ValueError):
            zip_files.read(file, file.infolist()[0])

    def test_folder_names(self):
        taken = set()
        names = ["a/b", "A_b", "..", "con", "我的", "x" * 300, "", "a\tb", "nul.jpg", " . "]
        self.assertEqual(
            [zip_files.folder_name(name, taken) for name in names],
            ["a_b", "A_b 2", "_", "_con", "我的", "x" * 150, "_ 2", "a_b 3", "_nul.jpg", "_ 3"],
        )


def _with(bomb: bytes) -> bytes:
    """An archive of a photo and of what another archive contains."""
    output = io.BytesIO(bomb)
    with zipfile.ZipFile(output, "a") as file:
        file.writestr("mug/2.jpg", b"x")
    return output.getvalue()


if __name__ == "__main__":
    absltest.main()
