"""Tests of cluster.py, with small clusters of cluster_testing.py processes on loopback."""

import os
import re
import socket
import time

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.cluster import cluster
from classification.cluster.cluster_processes import Processes
from classification.cluster.cluster_spec import Task
from tests import runfiles

_PROGRAM = runfiles.path("classification/cluster/cluster_testing")


class ClusterTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tf.disable_resource_variables()

    def _processes(self, *flags: str) -> Processes:
        """One parameter server and two workers, not started yet."""
        folder = self.create_tempdir().full_path
        jobs = {"ps": 1, "worker": 2}
        return self.enter_context(Processes([_PROGRAM, *flags], jobs, folder))

    def test_single_process(self):
        alone = cluster.from_flags(master="", task=0, ps_tasks=0)
        self.assertEqual(alone, cluster.Cluster())
        self.assertTrue(alone.is_chief)
        self.assertIsNone(alone.placement())
        self.assertEmpty(alone.session_config().device_filters)
        alone.leave()

    def test_places_variables_on_parameter_servers(self):
        place = cluster.from_flags(master="grpc://a:1", task=1, ps_tasks=2, worker_replicas=3)
        self.assertFalse(place.is_chief)
        self.assertEqual((place.worker, place.num_workers, place.num_ps), (1, 3, 2))
        with tf.Graph().as_default(), tf.device(place.placement()):
            variables = [tf.get_variable(name, shape=(2,)) for name in "ab"]
            product = variables[0] * variables[1]
        self.assertEqual([v.device for v in variables], ["/job:ps/task:0", "/job:ps/task:1"])
        self.assertEqual(product.device, "/job:worker/task:1")
        self.assertEqual(
            list(place.session_config().device_filters), ["/job:ps", "/job:worker/task:1"]
        )

    def test_refuses_bad_flags(self):
        for flags, expected in (
            ({"task": -1}, "--task to be at least 0"),
            ({"worker_replicas": 0}, "--worker_replicas to be at least 1"),
            ({"ps_tasks": 1, "master": ""}, "--master=grpc://HOST:PORT with --task"),
            ({"master": "a:1"}, "--master=grpc://HOST:PORT, or none, got 'a:1'"),
            ({"task": 2, "worker_replicas": 2}, "--task below 2"),
            ({"task": 1}, "--ps_tasks of at least 1 with --task above 0"),
            ({"worker_replicas": 2}, "--ps_tasks of at least 1 .* or --worker_replicas above 1"),
        ):
            with self.subTest(expected), self.assertRaisesRegex(ValueError, expected):
                cluster.from_flags(**{"master": "grpc://a:1", "task": 0, "ps_tasks": 0, **flags})

    def test_claim_step_ends_at_the_limit(self):
        with tf.Graph().as_default(), tf.Session() as session:
            step = tf.train.create_global_step()
            claim = cluster.claim_step(3)
            session.run(tf.global_variables_initializer())
            self.assertEqual([session.run(claim) for _ in range(3)], [0, 1, 2])
            with self.assertRaises(tf.errors.OutOfRangeError):
                session.run(claim)
            self.assertEqual(session.run(step), 3)

    def test_refuses_taken_port(self):
        with socket.socket() as taken:
            taken.bind(("0.0.0.0", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            with self.assertRaisesRegex(OSError, f"expected to listen at {address}"):
                cluster.serve(Task(("127.0.0.1:1",), (address,), "ps", 0))

    def test_workers_share_the_steps_and_end(self):
        hold = self.create_tempfile().full_path
        processes = self._processes("--steps=60", "--secs=0.02", f"--hold={hold}")
        processes.start("ps 0", "worker 1")
        waiting = "Waiting for values from the chief.\n"
        processes.wait_for("worker 1", re.escape(waiting))
        processes.start("worker 0")
        for worker in ("worker 0", "worker 1"):
            processes.wait_for(worker, r"step (\d+)\n")
        os.remove(hold)
        processes.end()
        self.assertEqual(processes.printed("ps 0"), "ended\n")
        taken = [int(processes.wait_for(f"worker {i}", r"took (\d+)\n")) for i in (0, 1)]
        self.assertEqual(sum(taken), 60)
        self.assertGreater(min(taken), 0)
        self.assertEqual(processes.printed("worker 1").count(waiting), 1)

    def test_chief_comes_back_but_worker_does_not(self):
        hold = self.create_tempfile().full_path
        processes = self._processes("--steps=200", "--secs=0.02", f"--hold={hold}")
        processes.start("ps 0", "worker 0", "worker 1")
        processes.wait_for("worker 1", r"step (\d+)\n")
        before = int(processes.wait_for("worker 0", r"step (\d\d+)\n"))
        with processes.suspended("ps 0"):
            os.remove(hold)
            # So that they are waiting for the answer to a step.
            time.sleep(0.1)
            processes.kill("worker 0", "worker 1")
        processes.start("worker 0")
        self.assertGreater(int(processes.wait_for("worker 0", r"step (\d+)\n")), before)
        processes.end()
        self.assertIn("step 200\n", processes.printed("worker 0"))
        self.assertNotIn("step 201\n", processes.printed("worker 0"))

    def test_worker_ends_if_training_has_ended(self):
        processes = self._processes("--ended")
        processes.start("worker 1")
        processes.end()
        self.assertIn("training has ended", processes.printed("worker 1"))


if __name__ == "__main__":
    absltest.main()
