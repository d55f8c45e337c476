"""Tests of the comparison with the reference's training steps, on a small network."""

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl.testing import absltest, parameterized

from classification.nets.model_config import ModelConfig
from tests.benchmarks import step_ratio, training_speed
from tests.benchmarks.training_speed import Setting

_SETTING = Setting(
    steps=2,
    batch_size=4,
    model=ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=10),
)


class StepRatioTest(parameterized.TestCase):
    @parameterized.parameters((True, False), (True, True), (False, False))
    def test_both_are_the_same_network(self, quantize, freeze_base):
        losses = []
        # Where the last digits differ, a quantised activation may be rounded to the next level.
        tolerance = 2e-3 if quantize else 1e-5
        for reference in (False, True):
            with training_speed.step(
                _SETTING, quantize=quantize, freeze_base=freeze_base, reference=reference
            ) as take:
                # With batches of four images, small differences grow from step to step.
                losses.append(take()[1])
        np.testing.assert_allclose(*losses, rtol=tolerance)

    def test_takes_steps_in_turns(self):
        for steps in step_ratio.compare(
            _SETTING, quantize=True, freeze_base=False, without_vnni=True
        ):
            self.assertLen(steps, 2)
            for step in steps:
                self.assertGreater(step.elapsed, 0)
                self.assertGreater(step.processor, 0)


if __name__ == "__main__":
    absltest.main()
