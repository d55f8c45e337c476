"""Draws the answers of a small network for photos with one colour each."""

import io
import os
import pathlib
import sys

from absl.testing import absltest
from PIL import Image

from imprinting.tflite import metadata, model_file
from tests.pictures import before_and_after
from transforms.conversion import testing


class BeforeAndAfterTest(absltest.TestCase):
    def test_draws_each_photo_with_its_answers(self):
        root = pathlib.Path(self.create_tempdir().full_path)
        photos = []
        for number in range(5):
            folder = root / (testing.LABELS[0] if number == 0 else f"new {number}")
            os.makedirs(folder)
            photos.append(folder / "1.png")
            Image.new("RGB", (40, 50), (250, 40 * number, 0)).save(photos[-1])
        model = root / "small.tflite"
        small = model_file.parse(testing.small().model)
        model.write_bytes(metadata.attach(small, testing.LABELS))

        (answer,) = before_and_after.classify(model.read_bytes(), photos[:1])
        self.assertIn(answer.name, testing.LABELS)
        self.assertBetween(answer.probability, 1 / len(testing.LABELS), 1)

        arguments = ["prog", str(model), str(model), str(root / "out.jpg"), *map(str, photos)]
        self.enter_context(absltest.mock.patch.object(sys, "argv", arguments))
        before_and_after.main()
        with Image.open(io.BytesIO((root / "out.jpg").read_bytes())) as picture:
            self.assertEqual(picture.format, "JPEG")
            # There are two rows of photos: four, and one.
            red, green, blue = picture.getpixel((100, 100))
            self.assertGreater(red, 240)
            self.assertLess(max(green, blue), 15)
            middle = picture.width // 8, picture.height * 2 // 3
            red, green, blue = picture.getpixel(middle)
            self.assertBetween(green, 145, 175)


if __name__ == "__main__":
    absltest.main()
