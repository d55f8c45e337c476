"""What is measured of training: steps, what feeds them, and what makes the files that do.

Each measurement is a function that returns the times of its runs, and needs a process of its own
for its peak of memory to be its own: `measure` starts one.
"""

import concurrent.futures
import dataclasses
import functools
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from classification.cluster.cluster import Cluster
from classification.data.dataset import Dataset, open_dataset
from classification.images import image_conversion
from classification.nets.model_config import ModelConfig
from classification.training import train_loop, train_step
from classification.training.cached_features import Features
from classification.training.step_display import Display, Step
from classification.training.stop_signals import StopSignals
from classification.training.train_step import Graph
from classification.training.training_config import TrainingConfig
from tests.benchmarks import jpeg_images

_WARM_UP = 3
# Where a step takes milliseconds, or batches come in bursts, a run is as many of them.
_CACHED_STEPS = 30
# An epoch of 512 images, by default.
_PIPELINE_BATCHES = 16
_CONVERSIONS = 3

_NUM_FEATURES = 4096
_RELU6 = 6.0


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is measured on.

    Attributes:
      dataset_dir: of the input pipeline's record files, with a train split; '' makes them.
      num_images: parts of photographs that those, and what is converted, are made of.
      steps: how many are measured, behind those that warm up.
      batch_size: images a step.
      model: the network; it is quantised where the measurement is one of that.
    """

    dataset_dir: str = ""
    num_images: int = 512
    steps: int = 10
    batch_size: int = 32
    model: ModelConfig = ModelConfig()


@dataclasses.dataclass(frozen=True)
class Measured:
    """A measurement's figures.

    Attributes:
      batch_size: images a step.
      seconds: what each run took, divided by the steps, or batches, in it.
      peak: the most memory that the process had, in bytes, Python and TensorFlow included.
    """

    batch_size: int
    seconds: tuple[float, ...]
    peak: int

    @property
    def median(self) -> float:
        """Seconds a step."""
        return statistics.median(self.seconds)

    @property
    def images_per_second(self) -> float:
        """By the median."""
        return self.batch_size / self.median


def measure(name: str, setting: Setting) -> Measured:
    """Takes one of the `MEASUREMENTS` in a process of its own.

    Raises:
      ValueError, OSError, ArithmeticError, tf.errors.OpError: what the measurement raises.
      OSError: if the system ends the process.
    """
    # A fork would start with this process's memory.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        try:
            return pool.submit(_measure, name, setting).result()
        except BrokenProcessPool as error:
            raise OSError(
                f"expected {name} to be measured, but its process was ended; free memory, of "
                "which it may take 4 GB"
            ) from error


def matrix_product(size: int = 4096, runs: int = 3) -> float:
    """The fastest product of two float32 matrices [size, size] by numpy, in FLOP/s."""
    matrix = np.random.default_rng(0).random([size, size], np.float32)
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return 2.0 * size**3 / min(seconds)


def _measure(name: str, setting: Setting) -> Measured:
    seconds = MEASUREMENTS[name](setting)
    return Measured(setting.batch_size, tuple(seconds), _peak())


def _peak() -> int:
    # Not getrusage's, which counts the process that has started this one.
    with open("/proc/self/status") as file:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", file.read(), re.MULTILINE)
    if not found:
        raise OSError("expected VmHWM in /proc/self/status, got none: the system must be Linux")
    return int(found[1]) * 1024


def _step(setting: Setting, *, quantize: bool, freeze_base: bool) -> list[float]:
    """Training steps on one batch that stays the same, so that no pipeline takes part."""
    with tf.Graph().as_default():
        graph = _build(setting, TrainingConfig(freeze_base_model=freeze_base), quantize=quantize)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            # A frozen base's are made of the others.
            session.run(tf.local_variables_initializer())
            session.run(graph.initialize)
            return _time(lambda: session.run([graph.step, graph.loss]), setting.steps)


def _cached_step(setting: Setting, *, quantize: bool) -> list[float]:
    """Steps on features kept, with all that training does at each besides."""
    steps = setting.steps * _CACHED_STEPS
    config = TrainingConfig(freeze_base_model=True, number_of_steps=_WARM_UP + steps)
    clock = _Clock()
    with tf.Graph().as_default(), tempfile.TemporaryDirectory() as folder:
        graph = _build(setting, config, quantize=quantize, features=_features(setting.model))
        train_loop.run(
            graph,
            config,
            cluster=Cluster(),
            folder=folder,
            start_values={},
            signals=StopSignals(),
            best=None,
            display=clock,
        )
    return [float(difference) for difference in np.diff(clock.times)[_WARM_UP - 1 :]]


def _input_pipeline(setting: Setting) -> list[float]:
    """Batches for training, decoded and distorted, with nobody who trains on them."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = setting.dataset_dir
        if not folder:
            images, folder = (os.path.join(scratch, name) for name in ("images", "records"))
            jpeg_images.make(images, setting.num_images)
            image_conversion.convert(images, folder)
        _repeatable()
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(0)
            batches = open_dataset(folder, "train").batches(
                batch_size=setting.batch_size,
                image_size=setting.model.image_size,
                is_training=True,
            )
            # Without the copy to Python, which training does not make.
            batch = tf.data.make_one_shot_iterator(batches).get_next()
            taken = tf.group(*batch.values())

            def take() -> None:
                for _ in range(_PIPELINE_BATCHES):
                    session.run(taken)

            seconds = _time(take, setting.steps, warm_up=1)
    return [run / _PIPELINE_BATCHES for run in seconds]


def _convert_images(setting: Setting) -> list[float]:
    """Whole conversions; the times are of as many images as a batch has."""
    with tempfile.TemporaryDirectory() as scratch:
        images, output = (os.path.join(scratch, name) for name in ("images", "records"))
        jpeg_images.make(images, setting.num_images)
        convert = functools.partial(image_conversion.convert, images, output)
        info = convert()
        batches = sum(map(info.num_examples, info.splits)) / setting.batch_size
        seconds = _time(convert, _CONVERSIONS, warm_up=0)
    return [run / batches for run in seconds]


def _build(
    setting: Setting, config: TrainingConfig, *, quantize: bool, features: Features | None = None
) -> Graph:
    """The graph of a step, as training builds it, in the default graph."""
    _repeatable()
    tf.set_random_seed(0)
    tf.train.create_global_step()
    model = dataclasses.replace(setting.model, quantize=quantize)
    config = dataclasses.replace(config, batch_size=setting.batch_size, learning_rate=0.001)
    return train_step.build(model, config, _one_batch(model), features=features)


def _repeatable() -> None:
    """What training switches on, and slows it down."""
    tf2.config.experimental.enable_op_determinism()


def _one_batch(model: ModelConfig) -> Dataset:
    """A data set of random images and labels, the same in every batch."""

    def batches(*, batch_size: int, image_size: int, **_: object) -> tf.data.Dataset:
        random = np.random.default_rng(0)
        shape = [batch_size, image_size, image_size, 3]
        batch = {
            "image": random.uniform(-1.0, 1.0, shape).astype(np.float32),
            "label": random.integers(model.num_classes, size=batch_size),
        }
        return tf2.data.Dataset.from_tensors(batch).repeat()

    return Dataset(
        name="random",
        split="train",
        source="random",
        num_examples=_NUM_FEATURES,
        num_classes=model.num_classes,
        labels=None,
        files=(),
        _make_batches=batches,
        _content=lambda: "",
    )


def _features(model: ModelConfig) -> Features:
    random = np.random.default_rng(0)
    depth = max(8, int(1024 * model.depth_multiplier))
    return Features(
        values=random.uniform(0.0, _RELU6, [_NUM_FEATURES, depth]).astype(np.float32),
        labels=random.integers(model.num_classes, size=_NUM_FEATURES),
        seconds=1.0,
    )


class _Clock(Display):
    """Notes when each step ends, and shows nothing."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def show(self, step: Step) -> None:
        del step
        self.times.append(time.perf_counter())


def _time(run: Callable[[], object], number: int, *, warm_up: int = _WARM_UP) -> list[float]:
    """What each of a number of runs takes, in seconds, behind those that warm up."""
    for _ in range(warm_up):
        run()
    seconds = []
    for _ in range(number):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


MEASUREMENTS: dict[str, Callable[[Setting], list[float]]] = {
    "float_whole": functools.partial(_step, quantize=False, freeze_base=False),
    "quantised_whole": functools.partial(_step, quantize=True, freeze_base=False),
    "float_frozen": functools.partial(_step, quantize=False, freeze_base=True),
    "quantised_frozen": functools.partial(_step, quantize=True, freeze_base=True),
    "float_cached": functools.partial(_cached_step, quantize=False),
    "quantised_cached": functools.partial(_cached_step, quantize=True),
    "input_pipeline": _input_pipeline,
    "convert_images": _convert_images,
}
