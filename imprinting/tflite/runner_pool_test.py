"""Tests of runner_pool.py."""

import threading

from absl.testing import absltest

from imprinting.tflite import runner_pool
from imprinting.tflite.inference import Kernels, Runner
from transforms.conversion import testing


class EachTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        data = testing.small().model
        self.runners = [Runner(data, kernels=Kernels.DEFAULT) for _ in range(3)]

    def test_all_numbers_with_an_interpreter_each(self):
        done, busy, progress = [], set(), []
        lock = threading.Lock()

        def task(index, runner):
            with lock:
                self.assertNotIn(runner, busy)
                busy.add(runner)
            runner.run(testing.images(1)[0])
            with lock:
                busy.remove(runner)
                done.append(index)

        runner_pool.each(40, self.runners, task, lambda *figures: progress.append(figures))
        self.assertCountEqual(done, range(40))
        self.assertEqual(progress, [(n, 40) for n in range(1, 41)])
        runner_pool.each(0, self.runners, task)

    def test_errors_end_it(self):
        begun = []

        def task(index, runner):
            del runner
            begun.append(index)
            raise ValueError(f"task {index}")

        with self.assertRaisesRegex(ValueError, "task 0"):
            runner_pool.each(1000, self.runners[:1], task)
        self.assertLess(len(begun), 1000)


if __name__ == "__main__":
    absltest.main()
