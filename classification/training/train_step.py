"""The graph of a training step: loss, schedule, optimiser, summaries."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf

from classification.cluster.cluster import Cluster, claim_step
from classification.cluster.synchronous import AggregateHook
from classification.data.dataset import Dataset
from classification.nets import factory
from classification.nets.batch_norm import BatchNorm
from classification.nets.l2norm_network import TrainingOptions
from classification.nets.layers import Mode
from classification.nets.model_config import ModelConfig
from classification.training import optimizers
from classification.training.cached_features import Features
from classification.training.training_config import TrainingConfig

# The schedule of TensorFlow 1's tools: a factor of the rate, and the epochs after which it applies.
_DECAY_FACTOR = 0.94
_EPOCHS_PER_DECAY = 2.5


class Graph(NamedTuple):
    """A training step.

    Attributes:
      step: the global step, read after the step's updates.
      loss: the total loss, read after the step's updates.
      learning_rate: that of the step, read after the step's updates.
      variables: those of the network, whose values may come from a checkpoint to fine-tune from.
      initialize: to be run after initialisation, if variables are not restored.
      stored_as: the variables, by the names that their values have in a checkpoint.
      hooks: for the session that runs the step; one of them ends it at the last step.
      feed: returns the values to feed to the next step.
    """

    step: tf.Tensor
    loss: tf.Tensor
    learning_rate: tf.Tensor
    variables: tuple[tf.Variable, ...]
    initialize: tf.Operation
    stored_as: dict[str, tf.Variable]
    hooks: tuple[tf.train.SessionRunHook, ...]
    feed: Callable[[], dict[tf.Tensor, Any]]


def build(
    model: ModelConfig,
    config: TrainingConfig,
    dataset: Dataset,
    *,
    start: int = 0,
    features: Features | None = None,
    cluster: Cluster | None = None,
) -> Graph:
    """Builds the graph of a training step in the default graph, which has a global step already.

    A step depends only on its number and on the variables. A run that was interrupted and continued
    therefore gives the same result as one that was not.

    Args:
      model: the network.
      config: how it is trained.
      dataset: the training split.
      start: the global step that this run starts at.
      features: the frozen base's features of the data, which replace the images.
      cluster: the place of this process among workers; None means that it is alone.
    """
    cluster = cluster or Cluster()
    step = tf.train.get_global_step()
    in_turn = _in_turn(config, cluster)
    # A copy: a value that is read from a reference variable changes with the variable.
    number = claim_step(config.number_of_steps) if in_turn else tf.raw_ops.DeepCopy(x=step)
    # Workers that take steps on their own have each taken their share of the steps so far.
    taken = start if config.sync_replicas else start // cluster.num_workers
    images, labels, given, feed = _inputs(model, config, dataset, taken, features, cluster)
    if in_turn:
        # All of the step depends on these, so it comes after the claim.
        with tf.control_dependencies([number]):
            images, labels = tf.identity(images), tf.identity(labels)
    end_points = factory.build(
        images,
        model,
        training=TrainingOptions(
            weight_decay=config.weight_decay,
            base_mode=_base_mode(config),
            dropout_seed=tf.stack([number, config.seed * cluster.num_workers + cluster.worker]),
            features=given,
        ),
        batch_norm=BatchNorm(decay=config.batch_norm_decay, freeze=config.freeze_batch_norm),
        quant_delay=config.quant_delay,
    )
    variables = tuple(v for v in tf.global_variables() if v is not step)
    _add_cross_entropy(labels, end_points["Logits"], config.label_smoothing)
    loss = tf.losses.get_total_loss()
    rate = learning_rate(config, number, dataset.num_examples, cluster.num_workers)
    optimizer = optimizers.make(config.optimizer, rate, momentum=config.momentum)
    train_op, hooks = _train_op(loss, number, optimizer, config, cluster)
    averages: dict[tf.Variable, tf.Variable] = {}
    if config.moving_average_decay is not None:
        averages = _averages([v for v in variables if _changes(v, config)])
        if cluster.is_chief:
            decay = tf.cast((1 + number) / (10 + number), tf.float32)
            decay = tf.minimum(config.moving_average_decay, decay)
            train_op = _move(averages, decay, train_op)
    initialize = tf.group(*(average.assign(v) for v, average in averages.items()))
    if config.save_summaries_secs:
        _summarize(loss, rate)
    with tf.control_dependencies([train_op]):
        return Graph(
            step=step.read_value() if config.sync_replicas else number + 1,
            loss=tf.identity(loss),
            learning_rate=tf.identity(rate),
            variables=variables,
            initialize=initialize,
            stored_as=_stored_as(averages),
            hooks=hooks,
            feed=feed,
        )


def _base_mode(config: TrainingConfig) -> Mode:
    if not config.freeze_base_model:
        return Mode.TRAINING
    return Mode.STATISTICS_ONLY if config.update_base_statistics else Mode.FROZEN


def learning_rate(
    config: TrainingConfig, step: tf.Tensor, num_examples: int, num_workers: int = 1
) -> tf.Tensor:
    """The schedule: a linear warm-up, and a factor of 0.94 after every 2.5 epochs.

    Args:
      config: the training.
      step: the global step.
      num_examples: images in an epoch.
      num_workers: the number of workers among which an epoch's images are divided.
    """
    # Each batch of a worker is a step, unless the workers take each step together.
    together = config.batch_size * (num_workers if config.sync_replicas else 1)
    steps_per_stair = max(1, int(num_examples / together * _EPOCHS_PER_DECAY))
    rate = tf.train.exponential_decay(
        config.learning_rate, step, steps_per_stair, _DECAY_FACTOR, staircase=True
    )
    if not config.warmup_steps:
        return rate
    risen = tf.cast(step + 1, tf.float32) / config.warmup_steps
    return rate * tf.minimum(risen, 1.0)


def _inputs(
    model: ModelConfig,
    config: TrainingConfig,
    dataset: Dataset,
    start: int,
    features: Features | None,
    cluster: Cluster,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, Callable[[], dict]]:
    """Images, labels, features that replace the images, and the function that feeds them."""
    size = model.image_size
    if features is not None:
        given = tf.placeholder(tf.float32, [None, 1, 1, features.depth], "features")
        labels = tf.placeholder(tf.int64, [None], "labels")
        batches = features.batches(
            config.batch_size,
            seed=config.seed,
            start=start,
            num_shards=cluster.num_workers,
            shard_index=cluster.worker,
        )
        feed = lambda: dict(zip((given, labels), next(batches), strict=True))  # noqa: E731
        return tf.zeros([1, size, size, 3]), labels, given, feed
    batches = dataset.batches(
        batch_size=config.batch_size,
        image_size=size,
        is_training=True,
        seed=config.seed,
        start=start,
        num_shards=cluster.num_workers,
        shard_index=cluster.worker,
    )
    if cluster.num_ps:
        # Closing a server's session may wait up to a minute for the autotuning thread.
        options = tf.data.Options()
        options.autotune.enabled = False
        batches = batches.with_options(options)
    batch = tf.data.make_one_shot_iterator(batches).get_next()
    return batch["image"], batch["label"], None, dict


def _add_cross_entropy(labels: tf.Tensor, logits: tf.Tensor, smoothing: float) -> None:
    if not smoothing:
        tf.losses.sparse_softmax_cross_entropy(labels, logits)
        return
    one_hot = tf.one_hot(labels, logits.shape[-1])
    # Szegedy et al., "Rethinking the Inception Architecture", arXiv 1512.00567, section 7.
    tf.losses.softmax_cross_entropy(one_hot, logits, label_smoothing=smoothing)


def _train_op(
    loss: tf.Tensor,
    number: tf.Tensor,
    optimizer: tf.train.Optimizer,
    config: TrainingConfig,
    cluster: Cluster,
) -> tuple[tf.Operation, tuple[tf.train.SessionRunHook, ...]]:
    """The operation that updates variables and counts the step, and hooks that end training."""
    if config.sync_replicas:
        workers = cluster.num_workers
        optimizer = tf.train.SyncReplicasOptimizer(
            optimizer, replicas_to_aggregate=workers, total_num_replicas=workers
        )
    # Updates change reference variables in place, so all reads must come before them.
    gradients = optimizer.compute_gradients(
        loss, tf.trainable_variables(), gate_gradients=tf.train.Optimizer.GATE_GRAPH
    )
    # A claimed step is counted already.
    step = None if _in_turn(config, cluster) else tf.train.get_global_step()
    with tf.control_dependencies([loss, number, *tf.get_collection(tf.GraphKeys.UPDATE_OPS)]):
        train_op = optimizer.apply_gradients(gradients, step)
    last_step = config.number_of_steps
    if config.sync_replicas:
        hook = AggregateHook(optimizer, is_chief=cluster.is_chief, last_step=last_step)
        return train_op, (hook,)
    if step is None or last_step is None:
        return train_op, ()
    return train_op, (tf.train.StopAtStepHook(last_step=last_step),)


def _in_turn(config: TrainingConfig, cluster: Cluster) -> bool:
    """Whether there are several workers and each takes steps on its own."""
    return bool(cluster.num_ps) and not config.sync_replicas


def _averages(variables: Sequence[tf.Variable]) -> dict[tf.Variable, tf.Variable]:
    """Creates moving-average variables; returns each by the variable that it averages."""
    model_variables = set(tf.model_variables())
    return {
        variable: tf.get_variable(
            f"{variable.op.name}/ExponentialMovingAverage",
            variable.shape,
            initializer=tf.zeros_initializer(),
            trainable=False,
        )
        for variable in variables
        if variable in model_variables
    }


def _move(
    averages: Mapping[tf.Variable, tf.Variable], decay: tf.Tensor, train_op: tf.Operation
) -> tf.Operation:
    """The train_op, followed by the update of the averages."""
    with tf.control_dependencies([train_op]):
        return tf.group(
            *(
                average.assign_sub((1.0 - decay) * (average.read_value() - variable.read_value()))
                for variable, average in averages.items()
            )
        )


def _stored_as(averages: Mapping[tf.Variable, tf.Variable]) -> dict[str, tf.Variable]:
    """The variables by their names in a checkpoint.

    A checkpoint holds the averages under the variables' own names, so that every program that
    reads a checkpoint uses them, and the variables themselves under the averages' names.
    """
    stored_as = {v.op.name: v for v in tf.global_variables()}
    for variable, average in averages.items():
        stored_as[variable.op.name], stored_as[average.op.name] = average, variable
    return stored_as


def _changes(variable: tf.Variable, config: TrainingConfig) -> bool:
    """Whether training changes a variable."""
    return (
        not config.freeze_base_model
        or config.update_base_statistics
        or "/Logits/" in variable.op.name
    )


def _summarize(loss: tf.Tensor, rate: tf.Tensor) -> None:
    values = {"total_loss": loss, "learning_rate": rate}
    for variable in tf.global_variables():
        name = variable.op.name
        is_range = "_quant/" in name and name.endswith(("/min", "/max"))
        # The ranges of a kernel's channels would be hundreds of curves.
        if (is_range and variable.shape.rank == 0) or name.endswith("/scale_factor"):
            values[name] = variable
    for name, value in values.items():
        # tf.summary.scalar would add numbers to the tags: variables have these names already.
        summary = tf.raw_ops.ScalarSummary(tags=name, values=value)
        tf.add_to_collection(tf.GraphKeys.SUMMARIES, summary)
