"""Tests of runner_pool.py."""

import threading
import time

from absl.testing import absltest

from imprinting.tflite import runner_pool
from imprinting.tflite.inference import Kernels, Runner
from transforms.conversion import testing


class ResultsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        data = testing.small().model
        self.runners = [Runner(data, kernels=Kernels.DEFAULT) for _ in range(3)]

    def test_all_numbers_with_an_interpreter_each(self):
        done, busy = [], set()
        lock = threading.Lock()

        def task(index, runner):
            with lock:
                self.assertNotIn(runner, busy)
                busy.add(runner)
            runner.run(testing.images(1)[0])
            with lock:
                busy.remove(runner)
                done.append(index)
            return 2 * index

        found = list(runner_pool.results(60, self.runners, task))
        self.assertEqual(found, list(range(0, 120, 2)))
        self.assertCountEqual(done, range(60))
        self.assertEqual(list(runner_pool.results(0, self.runners, task)), [])

    def test_in_order_even_if_the_first_takes_longest(self):
        def task(index, runner):
            del runner
            time.sleep(0 if index % 20 else 0.05)
            return index

        self.assertEqual(list(runner_pool.results(200, self.runners, task)), list(range(200)))

    def test_begins_only_some_ahead_of_what_is_taken(self):
        begun = []
        found = runner_pool.results(10_000, self.runners, lambda index, _: begun.append(index))
        for _ in range(5):
            next(found)
        found.close()
        self.assertLess(len(begun), 100)

    def test_errors_end_it(self):
        begun = []

        def task(index, runner):
            del runner
            begun.append(index)
            raise ValueError(f"task {index}")

        with self.assertRaisesRegex(ValueError, "task 0"):
            list(runner_pool.results(1000, self.runners[:1], task))
        self.assertLess(len(begun), 1000)


if __name__ == "__main__":
    absltest.main()
