"""Starts small clusters on loopback; each of their processes is cluster_testing.py."""

import json
import os
import pathlib
import re
import socket
import subprocess
from collections.abc import Collection

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification import cluster
from classification.cluster_spec import Task

_PROGRAM = pathlib.Path(__file__).parent / "cluster_testing"
_SECS = 60


class _Processes:
    """One parameter server and two workers, by job and index."""

    def __init__(self, *flags: str):
        self._flags = flags
        ports = _free_ports(3)
        self._cluster = {
            "ps": [f"127.0.0.1:{ports[0]}"],
            "worker": [f"127.0.0.1:{port}" for port in ports[1:]],
        }
        self._running: dict[str, subprocess.Popen[str]] = {}

    def start(self, *names: str) -> None:
        for name in names:
            job, index = name.split()
            task = {"type": job, "index": int(index)}
            config = json.dumps({"cluster": self._cluster, "task": task})
            self._running[name] = subprocess.Popen(
                [_PROGRAM, *self._flags],
                env={**os.environ, "TF_CONFIG": config},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def wait_for(self, name: str, line: str) -> int:
        """Reads until a line that matches; returns its number."""
        seen = []
        stdout = self._running[name].stdout
        assert stdout is not None
        for text in stdout:
            seen.append(text)
            if found := re.match(line, text):
                return int(found[1])
        raise AssertionError(f"{name} never printed {line}, but: {''.join(seen)}")

    def kill(self, *names: str) -> None:
        """With a signal that no process can do anything about."""
        for name in names:
            process = self._running.pop(name)
            process.kill()
            process.communicate()

    def end(self) -> tuple[dict[str, int], dict[str, str]]:
        """Waits for all; returns exit statuses, and what was printed since it was last read."""
        printed = {name: process.communicate(timeout=_SECS)[0] for name, process in self}
        return {name: process.returncode for name, process in self}, printed

    def __iter__(self):
        return iter(self._running.items())


class ClusterTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        tf.disable_resource_variables()

    def _processes(self, *flags: str) -> _Processes:
        processes = _Processes(*flags)
        self.addCleanup(lambda: processes.kill(*dict(processes)))
        return processes

    def test_alone(self) -> None:
        alone = cluster.from_flags(master="", task=0, ps_tasks=0)
        self.assertEqual(alone, cluster.Cluster())
        self.assertTrue(alone.is_chief)
        self.assertIsNone(alone.placement())
        self.assertIsNone(alone.session_config())
        alone.leave()

    def test_variables_are_on_parameter_servers_and_operations_on_the_worker(self) -> None:
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

    def test_flags_that_contradict_each_other_are_an_error(self) -> None:
        for flags, expected in (
            ({"task": -1}, "--task to be at least 0"),
            ({"worker_replicas": 0}, "--worker_replicas to be at least 1"),
            ({"ps_tasks": 1, "master": ""}, "--master=grpc://HOST:PORT"),
            ({"task": 2, "worker_replicas": 2}, "--task below 2"),
        ):
            with self.subTest(expected), self.assertRaisesRegex(ValueError, expected):
                cluster.from_flags(**{"master": "grpc://a:1", "task": 0, "ps_tasks": 0, **flags})

    def test_claims_end_at_the_limit(self) -> None:
        with tf.Graph().as_default(), tf.Session() as session:
            step = tf.train.create_global_step()
            claim = cluster.claim_step(3)
            session.run(tf.global_variables_initializer())
            self.assertEqual([session.run(claim) for _ in range(3)], [0, 1, 2])
            with self.assertRaises(tf.errors.OutOfRangeError):
                session.run(claim)
            self.assertEqual(session.run(step), 3)

    def test_a_taken_port_is_an_error(self) -> None:
        with socket.socket() as taken:
            taken.bind(("0.0.0.0", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            with self.assertRaisesRegex(OSError, f"expected to listen at {address}"):
                cluster.serve(Task((f"127.0.0.1:{_free_ports(1)[0]}",), (address,), "ps", 0))

    def test_workers_take_so_many_steps_together_and_all_end(self) -> None:
        processes = self._processes("--steps=60", "--secs=0.02")
        processes.start("ps 0", "worker 0", "worker 1")
        statuses, printed = processes.end()
        self.assertEqual(set(statuses.values()), {0}, str(printed))
        self.assertEqual(printed["ps 0"], "ended\n")
        self.assertEqual(sum(_taken(printed, ("worker 0", "worker 1"))), 60)

    def test_a_chief_comes_back_and_a_worker_does_not(self) -> None:
        processes = self._processes("--steps=200", "--secs=0.02")
        processes.start("ps 0", "worker 0", "worker 1")
        processes.wait_for("worker 1", r"step (\d+)")
        before = processes.wait_for("worker 0", r"step (\d\d+)")
        processes.kill("worker 0", "worker 1")
        processes.start("worker 0")
        self.assertGreater(processes.wait_for("worker 0", r"step (\d+)"), before)
        statuses, printed = processes.end()
        self.assertEqual(statuses, {"ps 0": 0, "worker 0": 0}, str(printed))
        self.assertIn("step 200\n", printed["worker 0"])
        self.assertNotIn("step 201\n", printed["worker 0"])

    def test_gradients_are_averaged_and_a_chief_comes_back(self) -> None:
        processes = self._processes("--steps=120", "--secs=0.01", "--sync")
        processes.start("ps 0", "worker 0", "worker 1")
        processes.wait_for("worker 0", r"step (\d\d)")
        processes.kill("worker 0")
        processes.start("worker 0")
        statuses, printed = processes.end()
        self.assertEqual(set(statuses.values()), {0}, str(printed))
        weight = float(re.search(r"weight (\S+)", printed["worker 0"])[1])
        # The one step that was broken off may have been taken or not; behind it, a worker may
        # have given both gradients of a step.
        self.assertBetween(weight, -2.0 * 120, -1.0 * 119)

    def test_equal_parts_of_each_step(self) -> None:
        processes = self._processes("--steps=40", "--sync")
        processes.start("ps 0", "worker 0", "worker 1")
        statuses, printed = processes.end()
        self.assertEqual(set(statuses.values()), {0}, str(printed))
        self.assertIn(f"weight {-1.5 * 40}\n", printed["worker 0"])
        self.assertEqual(_taken(printed, ("worker 0", "worker 1")), [40, 40])

    def test_a_worker_that_comes_after_the_end_ends(self) -> None:
        processes = self._processes("--ended")
        processes.start("worker 1")
        statuses, printed = processes.end()
        self.assertEqual(statuses, {"worker 1": 0}, str(printed))
        self.assertIn("training has ended", printed["worker 1"])


def _taken(printed: dict[str, str], names: Collection[str]) -> list[int]:
    return [int(re.search(r"took (\d+)", printed[name])[1]) for name in names]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


if __name__ == "__main__":
    absltest.main()
