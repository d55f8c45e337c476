"""Tests of answer_text.py: what users see."""

import csv
import json

from absl.testing import absltest, parameterized

from imprinting.inference import answer_text
from imprinting.inference.photo_classifier import Answer

_ANSWERS = [Answer("coffee mug", 213 / 256), Answer("Äpfel", 0.0859375), Answer("5", 0.0)]


class AnswerTextTest(parameterized.TestCase):
    @parameterized.parameters(
        (0.0, "<.01"),
        (1 / 256, "<.01"),
        (2 / 256, ".01"),
        (0.5, ".50"),
        (0.0949, ".09"),
        (254 / 256, ".99"),
        (255 / 256, ">.99"),
        (1.0, ">.99"),
    )
    def test_digits(self, probability, expected):
        self.assertEqual(answer_text.digits(probability), expected)

    def test_block(self):
        self.assertEqual(
            answer_text.block("photos/mug.jpg", _ANSWERS),
            "photos/mug.jpg\n   .83  coffee mug\n   .09  Äpfel\n  <.01  5",
        )
        # A name that is not UTF-8.
        self.assertEqual(
            answer_text.block("\udcff.jpg", _ANSWERS[:1], threshold=0.83),
            "\\xff.jpg\n   .83  coffee mug",
        )

    def test_unknown(self):
        self.assertEqual(
            answer_text.block("mug.jpg", _ANSWERS, threshold=0.84),
            "mug.jpg\n  unknown (the best class is coffee mug, .83)",
        )

    def test_json(self):
        answers = [("a.jpg", _ANSWERS), ("\udcff.jpg", _ANSWERS[1:]), ("a.jpg", _ANSWERS)]
        first, second, third = map(
            json.loads, answer_text.json_lines(answers, threshold=0.5).split("\n")
        )
        self.assertEqual((first["photo"], first["known"]), ("a.jpg", True))
        self.assertEqual(
            first["answers"],
            [{"label": answer.label, "probability": answer.probability} for answer in _ANSWERS],
        )
        self.assertEqual(third, first)
        self.assertEqual((second["photo"], second["known"]), ("\\xff.jpg", False))

    def test_csv(self):
        answers = [("a,b.jpg", _ANSWERS[:2]), ("c.jpg", _ANSWERS[1:])]
        rows = [*csv.reader(answer_text.csv_table(answers, threshold=0.5).split("\n"))]
        self.assertEqual(
            rows,
            [
                ["photo", "known", "rank", "label", "probability"],
                ["a,b.jpg", "true", "1", "coffee mug", "0.83203125"],
                ["a,b.jpg", "true", "2", "Äpfel", "0.0859375"],
                ["c.jpg", "false", "1", "Äpfel", "0.0859375"],
                ["c.jpg", "false", "2", "5", "0.0"],
            ],
        )


if __name__ == "__main__":
    absltest.main()
