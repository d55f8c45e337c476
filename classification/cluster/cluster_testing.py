"""A process of the small clusters that the tests start.

It learns a weight whose gradient is the worker's number + 1, with a learning rate of 1. It prints
"step N" after each step, "took N", the number of its steps, at the end, and, on the chief,
"weight W".
"""

import functools
import os
import time

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import tensorflow.compat.v1 as tf
from absl import flags

from classification.base import runner
from classification.cluster import cluster, cluster_spec, synchronous

FLAGS = flags.FLAGS

flags.DEFINE_integer("steps", 1, "The step at which training ends.")
flags.DEFINE_float("secs", 0.0, "The least duration of a step.")
flags.DEFINE_bool("sync", False, "Whether gradients are averaged.")
flags.DEFINE_bool("ended", False, "Whether training has already ended.")
flags.DEFINE_string("hold", "", "File; while it exists, workers wait after their tenth step.")


class _WeightHook(tf.train.SessionRunHook):
    def __init__(self, weight: tf.Variable):
        self._weight = weight

    def end(self, session: tf.Session) -> None:
        print(f"weight {session.run(self._weight)}", flush=True)


def main() -> None:
    """Runs the task that TF_CONFIG says."""
    tf.disable_resource_variables()
    task = cluster_spec.from_environment(os.environ["TF_CONFIG"])
    assert task is not None
    if task.job == "ps":
        cluster.serve(task, grace_secs=0.5)
    else:
        _train(cluster.join(task))
    print("ended", flush=True)


def _train(place: cluster.Cluster) -> None:
    with tf.Graph().as_default(), tf.device(place.placement()):
        step = tf.train.create_global_step()
        weight = tf.get_variable("w", shape=(), initializer=tf.zeros_initializer())
        gradients = [(tf.constant(place.worker + 1.0), weight)]
        optimizer = tf.train.GradientDescentOptimizer(1.0)
        hooks: list[tf.train.SessionRunHook] = [_WeightHook(weight)] if place.is_chief else []
        returned = None
        if FLAGS.sync:
            optimizer = tf.train.SyncReplicasOptimizer(optimizer, place.num_workers)
            train = optimizer.apply_gradients(gradients, step)
            aggregate = synchronous.AggregateHook(
                optimizer, is_chief=place.is_chief, last_step=FLAGS.steps
            )
            hooks.append(aggregate)
            returned = aggregate.chief_returned
        else:
            with tf.control_dependencies([cluster.claim_step(FLAGS.steps)]):
                train = optimizer.apply_gradients(gradients)
        with tf.control_dependencies([train]):
            step = step.read_value()
        creator = place.session_creator(
            tf.train.Scaffold(),
            "",
            ended=lambda: FLAGS.ended,
            on_return=returned,
            say=functools.partial(print, flush=True),
        )
        try:
            _take_steps(creator, hooks, step)
        except cluster.TrainingEnded as error:
            print(error)
        place.leave()


def _take_steps(
    creator: tf.train.SessionCreator, hooks: list[tf.train.SessionRunHook], step: tf.Tensor
) -> None:
    taken = 0
    with tf.train.MonitoredSession(creator, hooks) as session:
        while not session.should_stop():
            number = session.run(step)
            taken += 1
            print(f"step {number}", flush=True)
            time.sleep(FLAGS.secs)
            while taken >= 10 and os.path.exists(FLAGS.hold):
                time.sleep(0.01)
    print(f"took {taken}", flush=True)


if __name__ == "__main__":
    runner.run(main)
