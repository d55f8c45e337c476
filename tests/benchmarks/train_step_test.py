"""Tests of the benchmark of training on small networks, without its times."""

import concurrent.futures
import contextlib
import io
import multiprocessing
import os
import pathlib
import time

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import PIL.Image
import rich.console
from absl.testing import absltest, parameterized

from classification.base import program_testing
from classification.nets.model_config import ModelConfig
from tests.benchmarks import jpeg_images, train_step, training_speed
from tests.benchmarks.training_speed import MEASUREMENTS, Measured, Setting

_SETTING = Setting(
    num_images=8,
    steps=2,
    batch_size=4,
    model=ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=10),
)


def measured(seconds: float, *, peak: float = 1e9) -> Measured:
    return Measured(32, (2 * seconds, seconds / 2, seconds), int(peak))


def shown(
    measurements: dict[str, Measured], rates: dict[str, float] | None = None, *, live: bool = False
) -> list[str]:
    out = io.StringIO()
    console = rich.console.Console(
        file=out, highlight=False, width=110, force_terminal=live, color_system=None
    )
    rates = dict.fromkeys(measurements, 220e9) | (rates or {})
    train_step.show(measurements, rates, console=console)
    return out.getvalue().splitlines()


class MeasurementsTest(parameterized.TestCase):
    @parameterized.parameters(("quantised_frozen", 2), ("input_pipeline", 2), ("convert_images", 3))
    def test_measures_each_run(self, name, runs):
        start = time.perf_counter()
        seconds = MEASUREMENTS[name](_SETTING)
        self.assertLen(seconds, runs)
        self.assertBetween(min(seconds), 1e-6, max(seconds))
        self.assertLess(sum(seconds), time.perf_counter() - start)

    def test_jpeg_images(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        jpeg_images.make(str(folder), 6)
        files = sorted(folder.glob("*/*/*.jpg"))
        self.assertLen(files, 8)
        self.assertLen({file.read_bytes() for file in files if "train" in file.parts}, 6)
        for file in files:
            with PIL.Image.open(file) as image:
                self.assertEqual((image.format, min(image.size)), ("JPEG", 256))

    def test_a_process_that_is_killed(self):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            ended = pool.submit(training_speed.measure, "float_whole", _SETTING)
            while not multiprocessing.active_children():
                time.sleep(0.01)
            multiprocessing.active_children()[0].kill()
            with self.assertRaisesRegex(OSError, "process of float_whole to end by itself"):
                ended.result()


class ProgramTest(absltest.TestCase):
    def test_prints_figures_with_the_machine(self):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            train_step.run(_SETTING, ["float_frozen", "float_cached"])
        self.assertEqual(err.getvalue(), "Measuring float_frozen …\nMeasuring float_cached …\n")
        machine, heads, frozen, cached, scale = out.getvalue().splitlines()
        self.assertRegex(machine, r"^\S.*, \d+ cores, \d+ GiB$")
        self.assertRegex(heads, r"^4 images +median +scaled +best +images/s +memory +limit$")
        figures = r"( +\d+\.\d+ (ms|s)){3} +[\d,]+ +\d\.\d\d GB +"
        self.assertRegex(frozen, rf"^float_frozen{figures}at most 0\.33 s: (met|missed)$")
        self.assertRegex(
            cached,
            rf"^float_cached{figures}at least 20 x float_frozen: [\d.]+ x, (met|missed)$",
        )
        self.assertRegex(
            scale,
            r"^The limits .* 4096 x 4096 matrix product reached 220 GFLOP/s; here it reached "
            r"[1-9]\d*( to [1-9]\d*)?\. The column scaled is ",
        )

    def test_missing_data_set(self):
        path = os.path.join(self.create_tempdir().full_path, "none")
        status, out, err = program_testing.run_program(
            train_step.main, f"--dataset_dir={path}", "--only=convert_images"
        )
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, f"^prog: expected a folder .*, got {path}, which does not exist")


class TableTest(absltest.TestCase):
    def test_figures_and_limits(self):
        heads, *rows, scale = shown(
            {
                "float_whole": measured(1.0, peak=4e9),
                "float_frozen": measured(0.34),
                "float_cached": measured(0.01),
                "quantised_cached": measured(0.016),
                "input_pipeline": measured(0.1),
            },
            {"float_whole": 330e9, "float_frozen": 110e9},
        )
        self.assertRegex(heads, r"^32 images +median +scaled +best +images/s +memory +limit$")
        self.assertEqual(
            [" ".join(row.split()) for row in rows],
            [
                "float_whole 1.000 s 1.500 s 0.500 s 32 4.00 GB "
                "at most 1.01 s: met; 3.6 GB: missed",
                "float_frozen 0.340 s 0.170 s 0.170 s 94 1.00 GB at most 0.33 s: missed",
                "float_cached 10.00 ms 10.00 ms 5.00 ms 3,200 1.00 GB "
                "at least 20 x float_frozen: 34.0 x, met",
                "quantised_cached 16.00 ms 16.00 ms 8.00 ms 2,000 1.00 GB "
                "at least 20 x quantised_frozen",
                "input_pipeline 0.100 s 0.100 s 50.00 ms 320 1.00 GB at least 300 images/s: met",
            ],
        )
        self.assertIn("reached 220 GFLOP/s; here it reached 110 to 330. The", scale)

    def test_horizontal_line_on_a_terminal(self):
        rows = {"convert_images": measured(0.2)}
        self.assertNotIn("──", "".join(shown(rows)))
        self.assertIn("──", "".join(shown(rows, live=True)))


if __name__ == "__main__":
    absltest.main()
