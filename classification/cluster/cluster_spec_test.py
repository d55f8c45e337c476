"""Tests of cluster_spec.py."""

import json
from typing import Any

from absl.testing import absltest

from classification.cluster import cluster_spec
from classification.cluster.cluster_spec import Task

_CLUSTER = {"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["d:1", "e:1"]}
_WORKERS, _PS = ("a:1", "b:1", "c:1"), ("d:1", "e:1")


def _read(cluster: Any, job: Any = "worker", index: Any = 0) -> Task | None:
    return cluster_spec.from_environment(
        json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})
    )


class ClusterSpecTest(absltest.TestCase):
    def test_numbers_the_chief_first(self):
        self.assertEqual(_read(_CLUSTER, "chief"), Task(_WORKERS, _PS, "worker", 0))
        self.assertEqual(_read(_CLUSTER, "worker", 1), Task(_WORKERS, _PS, "worker", 2))
        self.assertEqual(_read(_CLUSTER, "ps", 1), Task(_WORKERS, _PS, "ps", 1))

    def test_master_is_a_chief(self):
        cluster = {"master": ["a:1"], "worker": ["b:1"], "ps": ["d:1"]}
        self.assertEqual(_read(cluster, "master"), Task(("a:1", "b:1"), ("d:1",), "worker", 0))
        self.assertEqual(_read(cluster, "worker"), Task(("a:1", "b:1"), ("d:1",), "worker", 1))

    def test_worker_0_is_the_chief_if_there_is_none(self):
        cluster = {"worker": ["b:1", "c:1"], "ps": ["d:1"]}
        self.assertEqual(_read(cluster, "worker"), Task(("b:1", "c:1"), ("d:1",), "worker", 0))

    def test_accepts_additional_keys(self):
        text = json.dumps(
            {
                "cluster": {**_CLUSTER, "evaluator": ["f:1"]},
                "task": {"type": "chief", "index": 0, "trial": "1"},
                "environment": "cloud",
            }
        )
        self.assertEqual(cluster_spec.from_environment(text), Task(_WORKERS, _PS, "worker", 0))

    def test_single_process_has_no_task(self):
        self.assertIsNone(cluster_spec.from_environment(""))
        self.assertIsNone(_read({"worker": ["a:1"]}))
        self.assertIsNone(_read({"chief": ["a:1"]}, "chief"))

    def test_refuses_bad_text(self):
        for text, expected in (
            ("{", "expected JSON"),
            ("[]", "a JSON object"),
            ("{}", 'a "cluster"'),
            (json.dumps({"cluster": _CLUSTER}), 'a "task"'),
            (json.dumps({"cluster": _CLUSTER, "task": {"index": 0}}), 'a "task"'),
        ):
            with self.subTest(text), self.assertRaisesRegex(ValueError, f"{expected}.*TF_CONFIG"):
                cluster_spec.from_environment(text)

    def test_refuses_bad_task(self):
        for job, index, expected in (
            ("worker", 2, "below 2.*got 2"),
            ("worker", -1, "below 2.*got -1"),
            ("worker", "0", "below 2.*got '0'"),
            ("master", 0, "below 0"),
            ("evaluator", 0, "run eval"),
            ("boss", 0, "one of chief, master, worker, ps.*'boss'"),
            (["worker"], 0, "one of chief"),
        ):
            with self.subTest(f"{job} {index}"), self.assertRaisesRegex(ValueError, expected):
                _read(_CLUSTER, job, index)

    def test_refuses_bad_cluster(self):
        for cluster, expected in (
            ({"worker": ["a:1", "b:1"]}, 'a "ps".*2 workers'),
            ({"worker": ["a:1"], "boss": ["b:1"]}, "got 'boss'"),
            ({"worker": ["a:1"], "ps": ["a:1"]}, "a:1 2 times"),
            ({"worker": ["a:1"], "ps": ["b"]}, "HOST:PORT.*'ps'"),
            ({"worker": ["a:1"], "ps": ["b:70000"]}, "HOST:PORT"),
            ({"worker": ["a:1"], "ps": "b:1"}, "HOST:PORT"),
            ({"worker": {"0": "a:1"}, "ps": ["b:1"]}, "HOST:PORT"),
            ({"worker": ["a:1"], "chief": ["b:1", "c:1"], "ps": ["d:1"]}, "one chief"),
        ):
            with self.subTest(str(cluster)), self.assertRaisesRegex(ValueError, expected):
                _read(cluster)
        with self.assertRaisesRegex(ValueError, '"chief" or "worker"'):
            _read({"ps": ["a:1"]}, "ps")


if __name__ == "__main__":
    absltest.main()
