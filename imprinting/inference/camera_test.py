"""Tests of camera.py without OpenCV; tests/wheel has a video."""

import sys
from unittest import mock

from absl.testing import absltest

from imprinting.inference import camera
from imprinting.inference.photo_classifier import PhotoClassifier
from transforms.conversion import testing


class CameraTest(absltest.TestCase):
    def test_says_how_to_get_opencv(self):
        classifier = PhotoClassifier(testing.small().model)
        with (
            mock.patch.dict(sys.modules, {"cv2": None}),
            self.assertRaisesRegex(ValueError, "expected OpenCV, .*pip install opencv-python-hea"),
        ):
            camera.show(classifier, "0", top=5, threshold=0.0)


if __name__ == "__main__":
    absltest.main()
