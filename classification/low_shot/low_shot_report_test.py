"""Reports on made-up trials."""

import csv
import io

import rich.console
from absl.testing import absltest
from PIL import Image

from classification.low_shot import low_shot_report
from classification.low_shot.protocol import Accuracies, Results, Trial

_TRIALS = [
    Trial("imprinting", 1, 0, Accuracies(0.5, 0.25, 0.75, 0.5, 0.375)),
    Trial("imprinting", 1, 1, Accuracies(0.7, 0.25, 0.75, 0.5, 0.375)),
    Trial("imprinting", 20, 0, Accuracies(0.9, 0.8, 0.7, 0.75, 0.747)),
    Trial("nearest neighbour", 1, 0, Accuracies(0.4, 0.2, 0.8, 0.4, 0.32)),
]
_RESULTS = Results(_TRIALS, {".tflite": 0.85}, [])


def _shown(*, live: bool) -> str:
    out = io.StringIO()
    console = rich.console.Console(
        file=out, width=120, force_terminal=live, color_system=None, highlight=False
    )
    low_shot_report.show(_RESULTS, console=console)
    return out.getvalue()


class LowShotReportTest(absltest.TestCase):
    def test_table(self):
        lines = _shown(live=False).split("\n")
        first, second, *rows, last, end = [" ".join(line.split()) for line in lines]
        self.assertEqual(first, "novel among novel among base among")
        self.assertEqual(second, "method n themselves all all all harmonic mean")
        self.assertEqual(
            [row.replace(" ± ", "±") for row in rows],
            [
                "imprinting 1 0.600±0.141 0.250±0.000 0.750±0.000 0.500±0.000 0.375±0.000",
                "imprinting 20 0.900±0.000 0.800±0.000 0.700±0.000 0.750±0.000 0.747±0.000",
                "nearest neighbour 1 0.400±0.000 0.200±0.000 0.800±0.000 0.400±0.000 0.320±0.000",
            ],
        )
        self.assertIn("over 1 or 2 draws of n photos", last)
        self.assertIn("before these joined: 0.850 (.tflite).", last)
        self.assertEqual(end, "")
        self.assertIn("──", _shown(live=True))

    def test_the_longest_names_fit_in_a_line(self):
        trial = _TRIALS[0]._replace(method="imprinting, augmented, deployed", shots=20)
        for live in (False, True):
            out = io.StringIO()
            low_shot_report.show(
                _RESULTS._replace(trials=[trial]),
                console=rich.console.Console(
                    file=out, width=120, force_terminal=live, color_system=None
                ),
            )
            table = out.getvalue().partition("Means and")[0]
            self.assertRegex(
                table, r"imprinting, augmented, deployed +20 +0\.500 .* 0\.375 ± 0\.000"
            )
            self.assertLessEqual(max(map(len, table.splitlines())), 120)

    def test_what_quantisation_costs(self):
        trials = [
            Trial(method, shots, 0, Accuracies(0.5, 0.5, 0.5, value, 0.5))
            for method, values in {"a": (0.9, 0.8), "b": (0.85, 0.82), "c": (0.8, 0.7)}.items()
            for shots, value in zip((1, 5), values, strict=True)
        ]
        out = io.StringIO()
        low_shot_report.show(
            Results(trials, {}, [("", "a"), ("rounding", "b"), ("conversion", "c")]),
            console=rich.console.Console(file=out, width=120),
        )
        title, *rows = out.getvalue().splitlines()[-4:]
        self.assertEndsWith(title, "for n = 1, 5:")
        self.assertEqual(
            [row.split() for row in rows],
            [
                ["rounding", "5.0", "-2.0"],
                ["conversion", "5.0", "12.0"],
                ["all", "of", "it", "10.0", "10.0"],
            ],
        )

    def test_csv_has_each_draw(self):
        rows = list(csv.reader(io.StringIO(low_shot_report.to_csv(_RESULTS).decode())))
        self.assertEqual(rows[0][:4], ["method", "shots", "seed", "novel"])
        self.assertEqual([row[-1] for row in rows[:3]], ["harmonic_mean", "0.375000", "0.375000"])
        self.assertLen(rows, 5)
        self.assertEqual(rows[2][:4], ["imprinting", "1", "1", "0.700000"])

    def test_plot_is_a_picture_and_always_the_same(self):
        data = low_shot_report.plot(_RESULTS)
        self.assertEqual(data, low_shot_report.plot(_RESULTS))
        self.assertStartsWith(data, b"\x89PNG\r\n\x1a\n")
        image = Image.open(io.BytesIO(data))
        self.assertEqual(image.size, (1500, 900))
        other = low_shot_report.plot(
            _RESULTS._replace(trials=[*_TRIALS, _TRIALS[-1]._replace(shots=5)])
        )
        self.assertNotEqual(other, data)


if __name__ == "__main__":
    absltest.main()
