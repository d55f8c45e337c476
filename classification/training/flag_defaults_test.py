"""Tests of flag_defaults.py."""

from typing import Any

from absl.testing import absltest, parameterized

from classification.training import flag_defaults

_DEFAULTS = {
    "image_size": 224,
    "depth_multiplier": 1.0,
    "quantize": False,
    "number_of_steps": None,
    "batch_norm_decay": 0.9997,
    "learning_rate": 0.045,
    "quant_delay": None,
    "fine_tune_checkpoint": "",
}


def _choose(digits: bool, fine_tuning: bool, new_head: bool, **given: Any) -> dict[str, Any]:
    return flag_defaults.choose(
        _DEFAULTS, given, digits=digits, fine_tuning=fine_tuning, new_head=new_head
    )


class TrainingDefaultsTest(parameterized.TestCase):
    @parameterized.parameters(
        # Digits, fine-tuning, new_head: learning rate, delay, image size.
        (False, False, False, 0.045, 250_000, 224),
        (False, True, False, 0.0045, 0, 224),
        (False, True, True, 0.45, 0, 224),
        (True, False, False, 0.1, 250, 32),
        (True, True, False, 0.0045, 0, 32),
        (True, True, True, 0.45, 0, 32),
    )
    def test_follows_data_and_start(self, digits, fine_tuning, new_head, rate, delay, size):
        values = _choose(digits, fine_tuning, new_head)
        self.assertEqual(values["learning_rate"], rate)
        self.assertEqual(values["quant_delay"], delay)
        self.assertEqual(values["image_size"], size)
        self.assertEqual(values["quantize"], digits)
        self.assertEqual(values["number_of_steps"], 1000 if digits else None)

    @parameterized.product(digits=(False, True), fine_tuning=(False, True))
    def test_what_is_given_wins(self, digits, fine_tuning):
        given = {
            "image_size": 96,
            "depth_multiplier": 0.5,
            "quantize": False,
            "number_of_steps": 7,
            "batch_norm_decay": 0.5,
            "learning_rate": 0.3,
            "quant_delay": 3,
        }
        values = _choose(digits, fine_tuning, False, **given)
        self.assertEqual(values, _DEFAULTS | given)

    def test_digits_quantise_from_a_quarter_of_the_steps(self):
        self.assertEqual(_choose(True, False, False, number_of_steps=60)["quant_delay"], 15)

    def test_warns_of_what_will_not_work(self):
        self.assertEmpty(flag_defaults.warnings(_choose(True, False, False)))
        self.assertEmpty(flag_defaults.warnings(_choose(False, False, False)))
        late = flag_defaults.warnings(
            _choose(False, False, False, number_of_steps=5000, quantize=True)
        )
        self.assertLen(late, 1)
        self.assertIn("step 250000", late[0])

    def test_warns_where_statistics_would_not_arrive(self):
        for fine_tuning in (False, True):
            values = _choose(False, fine_tuning, False, number_of_steps=1000)
            (stale,) = flag_defaults.warnings(values)
            self.assertIn("--batch_norm_decay=0.9997", stale)
            values["batch_norm_decay"] = 0.99
            self.assertEmpty(flag_defaults.warnings(values))
        new_head = _choose(False, True, True, number_of_steps=1000)
        self.assertEmpty(flag_defaults.warnings(new_head, statistics_move=False))

    def test_digits_for_a_network_of_one_width(self):
        values = flag_defaults.choose(
            {"depth_multiplier": 1.0, "number_of_steps": None, "quantize": False},
            {},
            digits=True,
            has_depth_multiplier=False,
            fine_tuning=False,
            new_head=False,
        )
        self.assertEqual((values["depth_multiplier"], values["quantize"]), (1.0, True))


class SummaryStepsTest(absltest.TestCase):
    def test_points_of_a_curve(self):
        for steps, expected in ((None, 100), (1, 10), (1000, 10), (9999, 10), (500_000, 500)):
            self.assertEqual(flag_defaults.summary_steps(steps), expected)


if __name__ == "__main__":
    absltest.main()
