"""Tests of stop_signals.py: sends signals to this process."""

import os
import signal

from absl.testing import absltest

from classification.training.stop_signals import Stopped, StopSignals


class StopSignalsTest(absltest.TestCase):
    def test_a_signal_is_kept_and_does_not_end_anything(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with StopSignals() as signals:
                signals.check()
                self.assertIsNone(signals.received)
                os.kill(os.getpid(), number)
                self.assertIs(signals.received, number)
                with self.assertRaises(Stopped):
                    signals.check()

    def test_a_second_interrupt_interrupts(self):
        with StopSignals(), self.assertRaises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    def test_afterwards_signals_mean_what_they_did(self):
        before = signal.getsignal(signal.SIGTERM)
        with StopSignals():
            self.assertNotEqual(signal.getsignal(signal.SIGTERM), before)
        self.assertEqual(signal.getsignal(signal.SIGTERM), before)


if __name__ == "__main__":
    absltest.main()
