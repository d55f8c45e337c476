"""How a network is trained: all settings except the network, the data and the machines."""

import dataclasses
import math

from classification.nets.batch_norm import BatchNorm
from classification.nets.l2norm_network import WEIGHT_DECAY
from classification.training import optimizers


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
      number_of_steps: the global step at which training ends; None trains until stopped.
      batch_size: images in a step of each worker.
      learning_rate: at the start; it is multiplied by 0.94 every 2.5 epochs of the data.
      warmup_steps: the number of steps over which the learning rate rises linearly to
        `learning_rate`; 0 for none.
      optimizer: one of `optimizers.NAMES`.
      momentum: of the optimisers momentum and rmsprop.
      label_smoothing: in [0, 1): this part of each label is spread over all classes.
      weight_decay: factor of half the squared L2 norm of each kernel in the loss.
      moving_average_decay: of the weights' moving averages, per step; checkpoints then hold
        the averages under the weights' names. None for no averages.
      batch_norm_decay: of the moving statistics, per step.
      freeze_batch_norm: whether batch norm computes with the moving statistics of the
        checkpoint to fine-tune from, and leaves them unchanged.
      quant_delay: the step from which a quantised network's fake-quant nodes quantise.
      fine_tune_checkpoint: prefix of the checkpoint that variables start from, or ''.
      freeze_base_model: whether only the layers under Logits are trained, and the base computes
        as it will when it is deployed.
      update_base_statistics: whether a frozen base's moving statistics and ranges adapt
        to the data.
      cache_features: "memory" or a folder, to keep the features that a frozen base computes
        of each image, which is then not distorted; '' computes them at every step.
      sync_replicas: whether several workers take each step together.
      seed: of initial values, shuffling, distortion and dropout.
      eval_every: steps between two evaluations; 0 for none.
      log_every_n_steps: how often a line is printed if there is no terminal.
      save_summaries_secs: seconds between summaries for TensorBoard; 0 for none.
      save_summaries_steps: steps between summaries, if they come sooner; 0 counts only seconds.
      save_interval_secs: seconds between checkpoints.
    """

    number_of_steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 0.045
    warmup_steps: int = 0
    optimizer: str = "sgd"
    momentum: float = 0.9
    label_smoothing: float = 0.0
    weight_decay: float = WEIGHT_DECAY
    moving_average_decay: float | None = None
    batch_norm_decay: float = BatchNorm.decay
    freeze_batch_norm: bool = False
    quant_delay: int = 0
    fine_tune_checkpoint: str = ""
    freeze_base_model: bool = False
    update_base_statistics: bool = False
    cache_features: str = ""
    sync_replicas: bool = False
    seed: int = 0
    eval_every: int = 0
    log_every_n_steps: int = 100
    save_summaries_secs: int = 100
    save_summaries_steps: int = 0
    save_interval_secs: int = 100

    def __post_init__(self) -> None:
        least = {
            "number_of_steps": 1,
            "batch_size": 1,
            "warmup_steps": 0,
            "quant_delay": 0,
            "seed": 0,
            "eval_every": 0,
            "log_every_n_steps": 1,
            "save_summaries_secs": 0,
            "save_summaries_steps": 0,
            "save_interval_secs": 1,
        }
        for name, limit in least.items():
            value = getattr(self, name)
            if value is not None and value < limit:
                raise ValueError(f"expected --{name} to be at least {limit}, got {value}")
        for name in ("label_smoothing", "momentum", "batch_norm_decay", "moving_average_decay"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ValueError(f"expected --{name} in [0, 1), got {value}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"expected --weight_decay of at least 0, got {self.weight_decay}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"expected --learning_rate to be above 0, got {self.learning_rate}")
        if self.optimizer not in optimizers.NAMES:
            raise ValueError(
                f"expected --optimizer to be one of {', '.join(optimizers.NAMES)}, got "
                f"{self.optimizer!r}"
            )
        self._check_frozen()

    def _check_frozen(self) -> None:
        if self.freeze_batch_norm and not self.fine_tune_checkpoint:
            raise ValueError(
                "expected --fine_tune_checkpoint with --freeze_batch_norm, got none: a new "
                "network has no statistics of data"
            )
        if self.freeze_batch_norm and self.update_base_statistics:
            raise ValueError(
                "expected either --freeze_batch_norm or --update_base_statistics, got both"
            )
        if self.update_base_statistics and not self.freeze_base_model:
            raise ValueError(
                "expected --freeze_base_model with --update_base_statistics, got only the latter: "
                "a base that is trained updates them anyway"
            )
        if not self.cache_features:
            return
        if not self.freeze_base_model:
            raise ValueError(
                "expected --freeze_base_model with --cache_features, got only the latter: the "
                "features of a base that is trained change at every step"
            )
        if self.update_base_statistics:
            raise ValueError(
                "expected either --update_base_statistics or --cache_features, got both: the "
                "base's features change with its statistics"
            )
