"""Tests of photo_imprinting.py."""

from absl.testing import absltest

from classification.imprinting.photo_imprinting import Options


class OptionsTest(absltest.TestCase):
    def test_refuses_views_below_1(self):
        with self.assertRaisesRegex(ValueError, "--views to be at least 1, got 0"):
            Options(views=0)

    def test_refuses_lost_classes_if_none_are_kept(self):
        with self.assertRaisesRegex(ValueError, "expected --keep_classes"):
            Options(allow_lost_classes=True)


if __name__ == "__main__":
    absltest.main()
