"""Tests of training_config.py: settings that are refused."""

from absl.testing import absltest, parameterized

from classification.training.training_config import TrainingConfig


class TrainingConfigTest(parameterized.TestCase):
    @parameterized.parameters(
        ("batch_size", 0),
        ("number_of_steps", 0),
        ("number_of_steps", -5),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("batch_norm_decay", 1.0),
        ("momentum", -0.1),
        ("label_smoothing", 1.0),
        ("moving_average_decay", 1.0),
        ("weight_decay", -1.0),
        ("warmup_steps", -1),
        ("optimizer", "lion"),
        ("quant_delay", -1),
        ("eval_every", -1),
        ("log_every_n_steps", 0),
        ("save_interval_secs", 0),
        ("seed", -1),
    )
    def test_refuses_values_out_of_range(self, name, value):
        with self.assertRaisesRegex(ValueError, f"expected --{name}"):
            TrainingConfig(**{name: value})

    @parameterized.parameters(
        ({"update_base_statistics": True}, "expected --freeze_base_model with --update_base"),
        ({"freeze_batch_norm": True}, "--fine_tune_checkpoint with --freeze_batch_norm"),
        (
            {
                "freeze_batch_norm": True,
                "fine_tune_checkpoint": "c",
                "freeze_base_model": True,
                "update_base_statistics": True,
            },
            "either --freeze_batch_norm or --update_base_statistics",
        ),
        ({"cache_features": "memory"}, "expected --freeze_base_model with --cache_features"),
        (
            {"cache_features": "memory", "freeze_base_model": True, "update_base_statistics": True},
            "either --update_base_statistics or --cache_features",
        ),
    )
    def test_refuses_what_does_not_go_together(self, values, message):
        with self.assertRaisesRegex(ValueError, message):
            TrainingConfig(**values)


if __name__ == "__main__":
    absltest.main()
