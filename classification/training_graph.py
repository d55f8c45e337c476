"""The graph of a training step: loss, schedule, optimiser, summaries."""

import dataclasses
from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf

from classification import network
from classification.data.dataset import Dataset
from classification.model_config import ModelConfig

# The reference's schedule: stairs of this height, each as many epochs long.
_DECAY_FACTOR = 0.94
_EPOCHS_PER_DECAY = 2.5


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
      number_of_steps: at which global step training ends; None trains on until stopped.
      batch_size: images a step.
      learning_rate: of stochastic gradient descent at the start; it is multiplied by
        0.94 every 2.5 epochs of the data.
      batch_norm_decay: of the moving statistics, per step.
      quant_delay: the step from which a quantised network's fake-quant nodes quantise.
      fine_tune_checkpoint: prefix of the checkpoint that variables start from, or ''.
      freeze_base: whether only what is under Logits is trained, and the base computes as
        it will when it is deployed.
      update_base_statistics: whether a frozen base's moving statistics and ranges adapt
        to the data.
      seed: of initial values, shuffling, distortion and dropout.
      log_every_n_steps: how often a line is printed where there is no terminal.
      save_summaries_secs: seconds between summaries for TensorBoard; 0 for none.
      save_interval_secs: seconds between checkpoints.
      master: address of the TensorFlow server to run on; '' for this process.
      task: number of this worker; 0 is the chief, which writes all files.
      ps_tasks: how many parameter servers hold the variables; 0 for none.
    """

    number_of_steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 0.045
    batch_norm_decay: float = 0.9997
    quant_delay: int = 0
    fine_tune_checkpoint: str = ""
    freeze_base: bool = False
    update_base_statistics: bool = False
    seed: int = 0
    log_every_n_steps: int = 100
    save_summaries_secs: int = 100
    save_interval_secs: int = 100
    master: str = ""
    task: int = 0
    ps_tasks: int = 0

    def __post_init__(self) -> None:
        least = {
            "number_of_steps": 1,
            "batch_size": 1,
            "quant_delay": 0,
            "log_every_n_steps": 1,
            "save_summaries_secs": 0,
            "save_interval_secs": 1,
            "task": 0,
            "ps_tasks": 0,
        }
        for name, limit in least.items():
            value = getattr(self, name)
            if value is not None and value < limit:
                raise ValueError(f"expected --{name} to be at least {limit}, got {value}")
        if self.update_base_statistics and not self.freeze_base:
            raise ValueError(
                "expected --freeze_base_model with --update_base_statistics: a base that is "
                "trained updates them anyway"
            )
        if not self.learning_rate > 0:
            raise ValueError(f"expected --learning_rate to be above 0, got {self.learning_rate}")
        if not 0 <= self.batch_norm_decay < 1:
            raise ValueError(f"expected --batch_norm_decay in [0, 1), got {self.batch_norm_decay}")


def placement(config: TrainingConfig) -> Any:
    """Where variables and operations are put: what `tf.device` takes."""
    if not config.ps_tasks:
        return None
    return tf.train.replica_device_setter(
        ps_tasks=config.ps_tasks, worker_device=f"/job:worker/task:{config.task}"
    )


class Graph(NamedTuple):
    """A training step: scalars that are read once its updates are done."""

    step: tf.Tensor
    loss: tf.Tensor
    learning_rate: tf.Tensor


def build(model: ModelConfig, config: TrainingConfig, dataset: Dataset, start: int) -> Graph:
    """Builds the graph of a training step, in the default graph.

    Args:
      model: the network.
      config: how it is trained.
      dataset: the training split.
      start: the global step that this run starts at.
    """
    # A run that goes on must not see the batches again that the one before saw first.
    batches = dataset.batches(
        batch_size=config.batch_size,
        image_size=model.image_size,
        is_training=True,
        seed=config.seed + start + config.task,
    )
    batch = tf.data.make_one_shot_iterator(batches).get_next()
    end_points = network.build(
        batch["image"],
        model,
        is_training=True,
        quant_delay=config.quant_delay,
        batch_norm_decay=config.batch_norm_decay,
        freeze_base=config.freeze_base,
        update_base_statistics=config.update_base_statistics,
    )
    tf.losses.sparse_softmax_cross_entropy(batch["label"], end_points["Logits"])
    loss = tf.losses.get_total_loss()
    step = tf.train.get_global_step()
    rate = learning_rate(config.learning_rate, step, dataset.num_examples, config.batch_size)
    optimizer = tf.train.GradientDescentOptimizer(rate)
    # Updates change reference variables in place: nothing may still be reading them.
    gradients = optimizer.compute_gradients(
        loss, tf.trainable_variables(), gate_gradients=tf.train.Optimizer.GATE_GRAPH
    )
    with tf.control_dependencies([loss, *tf.get_collection(tf.GraphKeys.UPDATE_OPS)]):
        train_op = optimizer.apply_gradients(gradients, global_step=step)
    _summarize(loss, rate)
    with tf.control_dependencies([train_op]):
        return Graph(step.read_value(), tf.identity(loss), tf.identity(rate))


def learning_rate(start: float, step: tf.Tensor, num_examples: int, batch_size: int) -> tf.Tensor:
    """The schedule: start times 0.94 for every whole 2.5 epochs of num_examples images."""
    steps_per_stair = max(1, int(num_examples / batch_size * _EPOCHS_PER_DECAY))
    return tf.train.exponential_decay(start, step, steps_per_stair, _DECAY_FACTOR, staircase=True)


def _summarize(loss: tf.Tensor, rate: tf.Tensor) -> None:
    values = {"total_loss": loss, "learning_rate": rate}
    for variable in tf.global_variables():
        name = variable.op.name
        is_range = "_quant/" in name and name.endswith(("/min", "/max"))
        if is_range or name.endswith("/scale_factor"):
            values[name] = variable
    for name, value in values.items():
        # tf.summary.scalar would number the tags, since variables have their names already.
        summary = tf.raw_ops.ScalarSummary(tags=name, values=value)
        tf.add_to_collection(tf.GraphKeys.SUMMARIES, summary)
