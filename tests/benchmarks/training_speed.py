"""Measurements of training: steps, the input pipeline, and the conversion of images.

Each measurement is a function that returns the times of its runs. `measure` runs it in another
process, so that the peak memory of that process is the measurement's.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import multiprocessing
import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
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
from tests.benchmarks import jpeg_images, reference_step

_WARM_UP = 3
# A step on cached features takes milliseconds, so more of them are measured.
_CACHED_STEPS = 30
# Batches come in bursts, so a run has several: by default, an epoch of 512 images.
_PIPELINE_BATCHES = 16
_CONVERSIONS = 3

_NUM_FEATURES = 4096
_RELU6 = 6.0


@dataclasses.dataclass(frozen=True)
class Setting:
    """The setting of the measurements.

    Attributes:
      dataset_dir: folder of record files with a train split, for the input pipeline; '' makes them.
      num_images: the number of images that record files are made from.
      steps: the number of runs to measure, after those that warm up.
      batch_size: images per step.
      model: the network; the name of a measurement says whether it is quantised.
    """

    dataset_dir: str = ""
    num_images: int = 512
    steps: int = 10
    batch_size: int = 32
    model: ModelConfig = ModelConfig()


@dataclasses.dataclass(frozen=True)
class Measured:
    """The result of a measurement.

    Attributes:
      batch_size: images per step.
      seconds: the time of each run, divided by the number of its steps or batches.
      peak: the peak memory of the process in bytes, including Python and TensorFlow.
    """

    batch_size: int
    seconds: tuple[float, ...]
    peak: int

    @property
    def median(self) -> float:
        """The median of the seconds per step."""
        return statistics.median(self.seconds)

    @property
    def images_per_second(self) -> float:
        """The number of images per second, by the median."""
        return self.batch_size / self.median


def measure(name: str, setting: Setting) -> Measured:
    """Takes one of the `MEASUREMENTS` in another process.

    Raises:
      ValueError, OSError, ArithmeticError, tf.errors.OpError: the errors of the measurement.
      OSError: also if the process is killed.
    """
    # A forked process would start with this process's memory.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        try:
            return pool.submit(_measure, name, setting).result()
        except BrokenProcessPool as error:
            raise OSError(
                f"expected the process of {name} to end by itself, but it was killed; free memory, "
                "since it may need 4 GB"
            ) from error


def machine() -> str:
    """Returns the processor's name, the number of usable cores, and the memory, as text."""
    with open("/proc/cpuinfo") as file:
        information = file.read()
    found = re.search(r"^model name\s*: (.*)$", information, re.MULTILINE)
    name = found[1] if found else platform.machine()
    vectors = " with AVX-512" if re.search(r"\bavx512f\b", information) else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}{vectors}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB"


def matrix_product(size: int = 4096, runs: int = 3) -> float:
    """Returns the rate of the fastest of several float32 products [size, size] in FLOP/s."""
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
    # getrusage would include the memory of the process that started this one.
    with open("/proc/self/status") as file:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", file.read(), re.MULTILINE)
    if not found:
        raise OSError("expected VmHWM in /proc/self/status, got none; run it on Linux")
    return int(found[1]) * 1024


@contextlib.contextmanager
def step(
    setting: Setting, *, quantize: bool, freeze_base: bool, reference: bool = False
) -> Iterator[Callable[[], object]]:
    """A function that takes a training step on a constant batch, without an input pipeline.

    Args:
      setting: the network and the batch.
      quantize: whether the network is quantised.
      freeze_base: whether only the layers above the base are trained.
      reference: whether graph and session are those of TensorFlow 1's tools.
    """
    config = None if reference else Cluster().session_config(fuse=freeze_base)
    form = reference_step.built() if reference else contextlib.nullcontext()
    with tf.Graph().as_default(), form:
        graph = _build(setting, TrainingConfig(freeze_base_model=freeze_base), quantize=quantize)
        with tf.Session(config=config) as session:
            session.run(tf.global_variables_initializer())
            # The local variables of a frozen base are computed from the global ones.
            session.run(tf.local_variables_initializer())
            session.run(graph.initialize)
            yield lambda: session.run([graph.step, graph.loss])


def _step(setting: Setting, *, quantize: bool, freeze_base: bool) -> list[float]:
    """Measures training steps."""
    with step(setting, quantize=quantize, freeze_base=freeze_base) as take:
        return _time(take, setting.steps)


def _cached_step(setting: Setting, *, quantize: bool) -> list[float]:
    """Measures steps on cached features, including the rest of the training loop."""
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
    """Measures batches for training, read, decoded and distorted, without training."""
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
            # A group, since training does not copy batches to Python.
            batch = tf.data.make_one_shot_iterator(batches).get_next()
            taken = tf.group(*batch.values())

            def take() -> None:
                for _ in range(_PIPELINE_BATCHES):
                    session.run(taken)

            seconds = _time(take, setting.steps, warm_up=1)
    return [run / _PIPELINE_BATCHES for run in seconds]


def _convert_images(setting: Setting) -> list[float]:
    """Measures complete conversions; the times are per batch of images."""
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
    """Builds the graph of a step in the default graph, as training does."""
    _repeatable()
    tf.set_random_seed(0)
    tf.train.create_global_step()
    model = dataclasses.replace(setting.model, quantize=quantize)
    config = dataclasses.replace(config, batch_size=setting.batch_size, learning_rate=0.001)
    return train_step.build(model, config, _one_batch(model), features=features)


def _repeatable() -> None:
    """Makes results repeatable as in training, which makes steps slower."""
    tf2.config.experimental.enable_op_determinism()


def _one_batch(model: ModelConfig) -> Dataset:
    """Returns a data set that repeats one batch of random images and labels."""

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
    """Records when each step ends, and shows nothing."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def show(self, step: Step) -> None:
        del step
        self.times.append(time.perf_counter())


def _time(run: Callable[[], object], number: int, *, warm_up: int = _WARM_UP) -> list[float]:
    """Returns the seconds of each of a number of runs, after some that warm up."""
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
