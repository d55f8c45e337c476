import io
import os

from absl.testing import absltest, parameterized
from PIL import Image

from imprinting.photos.photo_file import BadImageError
from imprinting.project import photo_check, project_testing


class PhotoCheckTest(parameterized.TestCase):
    @parameterized.parameters(
        ("JPEG", ".jpg"), ("PNG", ".png"), ("BMP", ".bmp"), ("WEBP", ".webp"), ("GIF", ".gif")
    )
    def test_ending(self, form, ending):
        self.assertEqual(photo_check.ending(project_testing.photo(1, form=form)), ending)

    @parameterized.parameters(
        (b"", "it is empty"),
        (b"hello", "not a JPEG, PNG, BMP, WebP or GIF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a JPEG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"x" * (photo_check.MOST_BYTES + 1), "the most is 33,554,432"),
    )
    def test_bad_files(self, data, expected):
        with self.assertRaisesRegex(BadImageError, expected):
            photo_check.ending(data)

    def test_too_many_pixels(self):
        output = io.BytesIO()
        Image.new("1", (20_000, 6_001)).save(output, "PNG")
        self.assertLess(len(output.getvalue()), 1 << 20)
        with self.assertRaisesRegex(BadImageError, "20000 x 6001 pixels, and the most is 120,000"):
            photo_check.ending(output.getvalue())

    def test_thumbnail(self):
        path = os.path.join(project_testing.folder(self), "a.png")
        image = Image.new("RGBA", (400, 100), (255, 0, 0, 255))
        exif = image.getexif()
        exif[0x112] = 6
        image.save(path, exif=exif)
        found = Image.open(io.BytesIO(photo_check.thumbnail(path, 80)))
        self.assertEqual((found.format, found.size), ("JPEG", (20, 80)))
        with open(path, "wb") as file:
            file.write(b"nonsense")
        with self.assertRaisesRegex(BadImageError, "it is not a JPEG"):
            photo_check.thumbnail(path, 80)


if __name__ == "__main__":
    absltest.main()
