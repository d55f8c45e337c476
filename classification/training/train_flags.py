"""The flags of `train`: the network, how it is trained, and the cluster.

Importing this module defines them. Their defaults are those of `TrainingConfig`; for some, `train`
chooses another that suits the data (see `flag_defaults`).
"""

import dataclasses

from absl import flags

from classification.nets import checkpoints, networks
from classification.training import optimizers
from classification.training.training_config import TrainingConfig
from imprinting.base import path_flags

flags.DEFINE_string(
    "master", "", "Address of the TensorFlow server to run on; '' means this process."
)
flags.DEFINE_integer("task", 0, "Number of this worker; 0 is the chief, which writes all files.")
flags.DEFINE_integer("ps_tasks", 0, "Number of parameter servers, which hold the variables.")
flags.DEFINE_integer("worker_replicas", 1, "Number of workers, among which the data is divided.")
flags.DEFINE_bool(
    "sync_replicas", False, "Let workers take each step together, with the mean of gradients."
)
flags.DEFINE_integer("batch_size", TrainingConfig.batch_size, "Images a step.")
flags.DEFINE_integer("num_classes", 1001, "Number of classes. Default: that of the data.")
flags.DEFINE_integer(
    "number_of_steps",
    None,
    "Global step at which to stop. Default: training does not stop by itself.",
)
flags.DEFINE_enum(
    "network",
    None,
    list(networks.NETWORKS),
    "The network. Default: that of --checkpoint_dir or --fine_tune_checkpoint, else "
    f"{networks.DEFAULT}.",
)
flags.DEFINE_integer(
    "image_size",
    224,
    "Height and width of the input in pixels, at least 32. Default: what the network was published "
    "for: 224, or 240, 260, 280 and 300 for efficientnet_lite1 to 4.",
)
flags.DEFINE_float(
    "depth_multiplier",
    1.0,
    "Factor of the numbers of channels of the base's layers, for mobilenet_v1.",
)
flags.DEFINE_float(
    "learning_rate",
    TrainingConfig.learning_rate,
    "Learning rate at the start; it is multiplied by 0.94 every 2.5 epochs of the data. Default: "
    "0.0045 if training starts from a checkpoint, 0.45 if in addition the base is frozen and the "
    "last layer is new, else 0.045.",
)
flags.DEFINE_bool("quantize", False, "Train a quantised network, with fake-quant nodes.")
flags.DEFINE_integer(
    "quant_delay",
    None,
    "Step from which the fake-quant nodes quantise. Default: 0 if training starts from a "
    "checkpoint, else 250000.",
)
flags.DEFINE_bool(
    "learned_embedding_range",
    False,
    "Learn the embedding's quantisation range, as TensorFlow 1's tools do, instead of using "
    "-1..127/128, which is that of a .tflite.",
)
path_flags.define(
    "fine_tune_checkpoint",
    "",
    "Checkpoint (its prefix, or its folder) that variables start from. What it lacks starts "
    "fresh, and is named. `none` starts from random values. Default: for your own data and "
    "efficientnet_lite0, 1 or 2, their published weights; else none.",
)
path_flags.define(
    "checkpoint_dir",
    "",
    f"Folder for checkpoints and summaries. Default: a new one below {checkpoints.DEFAULT_ROOT}/.",
)
path_flags.define(
    "dataset_dir", "", "Folder of TFRecords in slim's form, train-*. Default: handwritten digits."
)
flags.DEFINE_integer(
    "log_every_n_steps",
    TrainingConfig.log_every_n_steps,
    "Steps between two lines of progress, if there is no terminal.",
)
flags.DEFINE_integer(
    "save_summaries_secs",
    TrainingConfig.save_summaries_secs,
    "Seconds between summaries; 0 for none. Default: more often than that: every 10 steps, or a "
    "thousand times in all.",
)
flags.DEFINE_integer(
    "save_interval_secs", TrainingConfig.save_interval_secs, "Seconds between checkpoints."
)
flags.DEFINE_bool(
    "freeze_base_model",
    False,
    "Train only the layers under Logits; the base computes as it will when it is deployed.",
)
flags.DEFINE_bool(
    "update_base_statistics",
    False,
    "With --freeze_base_model: let the base's batch norm statistics and quantisation ranges "
    "adapt to the data.",
)
path_flags.define(
    "cache_features",
    "",
    "With --freeze_base_model: compute the base's features of each image only once, without "
    "distortion, and keep them in `memory`, or in this folder for later runs, too. More than 64 MB "
    "of `memory` are a temporary file.",
)
flags.DEFINE_enum("optimizer", TrainingConfig.optimizer, optimizers.NAMES, "The optimiser.")
flags.DEFINE_float(
    "momentum", TrainingConfig.momentum, "Momentum of the optimisers momentum and rmsprop."
)
flags.DEFINE_float(
    "label_smoothing",
    TrainingConfig.label_smoothing,
    "Part of each label that is spread over all classes.",
)
flags.DEFINE_integer(
    "warmup_steps",
    TrainingConfig.warmup_steps,
    "Steps over which the learning rate rises from 0 at the start; 0 for none.",
)
flags.DEFINE_float(
    "weight_decay",
    TrainingConfig.weight_decay,
    "Weight decay of kernels, except depthwise kernels and class vectors.",
)
flags.DEFINE_float(
    "moving_average_decay",
    None,
    "Keep moving averages of weights, statistics and ranges; checkpoints then hold the averages "
    "under the names of these. Default: none.",
)
flags.DEFINE_integer(
    "eval_every",
    TrainingConfig.eval_every,
    "Steps between two evaluations on the validation split; the best checkpoint is kept in the "
    "folder best/ of --checkpoint_dir. 0 for none.",
)
flags.DEFINE_float(
    "batch_norm_decay",
    TrainingConfig.batch_norm_decay,
    "Decay of batch norm's moving statistics per step.",
)
flags.DEFINE_bool(
    "freeze_batch_norm",
    False,
    "If training starts from a checkpoint: let batch norm compute with the checkpoint's "
    "statistics, as it will when it is deployed, and leave them unchanged. Twice as fast if the "
    "base is trained.",
)
flags.DEFINE_integer(
    "seed", TrainingConfig.seed, "Seed of initial values, shuffling, distortion and dropout."
)

# Those that describe the network, that say where this process is in a cluster, and the fields of
# TrainingConfig that users set.
MODEL = (
    "network",
    "image_size",
    "depth_multiplier",
    "quantize",
    "learned_embedding_range",
)
CLUSTER = ("master", "task", "ps_tasks", "worker_replicas")
CONFIG = tuple(
    field.name
    for field in dataclasses.fields(TrainingConfig)
    if field.name != "save_summaries_steps"
)
