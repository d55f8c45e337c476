"""Reports of low-shot learning: a table, a CSV file and a plot."""

import csv
import dataclasses
import io
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import rich.box
import rich.console
import rich.table

from classification.base import report_wheels
from classification.low_shot.protocol import Accuracies, Results, Trial

FIGURES = {
    "novel": "novel among themselves",
    "novel_among_all": "novel among all",
    "base_among_all": "base among all",
    "all": "all",
    "harmonic_mean": "harmonic mean",
}
_WIDTH_OF_A_FILE = 120
_WIDTH_OF_A_FIGURE = len("0.123 ± 0.123")
_DPI = 100


@dataclasses.dataclass(frozen=True)
class Summary:
    """Several draws of the same number of examples.

    Attributes:
      mean: of each accuracy.
      deviation: the sample standard deviation of each; 0 for a single draw.
      count: of draws.
    """

    mean: Accuracies
    deviation: Accuracies
    count: int


def summarise(trials: Sequence[Trial]) -> dict[tuple[str, int], Summary]:
    """Summaries, by method and shots, in the order of the trials."""
    groups: dict[tuple[str, int], list[Accuracies]] = {}
    for trial in trials:
        groups.setdefault((trial.method, trial.shots), []).append(trial.accuracies)
    found = {}
    for key, values in groups.items():
        array = np.array(values)
        spread = array.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(array.shape[1])
        found[key] = Summary(
            Accuracies(*array.mean(axis=0).tolist()), Accuracies(*spread.tolist()), len(values)
        )
    return found


def show(results: Results, *, console: rich.console.Console | None = None) -> None:
    """Prints a table: with lines on a terminal, elsewhere in plain columns.

    Args:
      results: of at least one trial.
      console: standard output by default.
    """
    console = console or rich.console.Console(highlight=False)
    live = console.is_terminal
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD if live else None, pad_edge=live)
    table.add_column("method")
    table.add_column("n", justify="right")
    for title in FIGURES.values():
        # In lines no longer than a figure, so that all columns fit next to the names of methods.
        table.add_column(textwrap.fill(title, _WIDTH_OF_A_FIGURE), justify="right", no_wrap=True)
    summaries = summarise(results.trials)
    for (method, shots), summary in summaries.items():
        pairs = zip(summary.mean, summary.deviation, strict=True)
        table.add_row(method, str(shots), *(f"{m:.3f} ± {d:.3f}" for m, d in pairs))
    if not live:
        # Otherwise text for a file is as narrow as the narrowest terminal.
        console = rich.console.Console(
            file=console.file, width=_WIDTH_OF_A_FILE, highlight=False, no_color=True
        )
    console.print(table)
    draws = sorted({summary.count for summary in summaries.values()})
    console.print(
        f"Means and standard deviations over {' or '.join(map(str, draws))} draws of n photos of "
        "each novel class. Base before these joined: "
        + ", ".join(f"{value:.3f} ({name})" for name, value in results.base_alone.items())
        + ".",
        soft_wrap=True,
    )
    for line in _costs(summaries, results.steps):
        console.print(line, soft_wrap=True)


def _costs(
    summaries: Mapping[tuple[str, int], Summary], steps: Sequence[tuple[str, str]]
) -> list[str]:
    """Lines that say what each step costs of the accuracy of all images."""
    if len(steps) < 2:
        return []
    shots = sorted({n for _, n in summaries})
    means = [[100 * summaries[method, n].mean.all for n in shots] for _, method in steps]
    names = [what for what, _ in steps[1:]]
    costs = [
        [a - b for a, b in zip(*pair, strict=True)] for pair in zip(means, means[1:], strict=False)
    ]
    if len(costs) > 1:
        names.append("all of it")
        costs.append([a - b for a, b in zip(means[0], means[-1], strict=True)])
    width = max(map(len, names))
    return [
        "What quantisation costs imprinting, in points of the accuracy of all, for n = "
        f"{', '.join(map(str, shots))}:",
        *(
            f"  {name:{width}}  " + "  ".join(f"{cost:5.1f}" for cost in row)
            for name, row in zip(names, costs, strict=True)
        ),
    ]


def to_csv(results: Results) -> bytes:
    """A row for each trial."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "shots", "seed", *FIGURES])
    for method, shots, seed, accuracies in results.trials:
        writer.writerow([method, shots, seed, *(f"{value:.6f}" for value in accuracies)])
    return text.getvalue().encode()


def plot(results: Results) -> bytes:
    """Each figure against the number of examples: a panel for each, with a line for each method.

    Args:
      results: of at least one trial; accuracies of the base alone are lines in its panel.

    Returns:
      A PNG file: the same bytes from the same numbers.
    """
    figure = report_wheels.matplotlib().figure.Figure(
        figsize=(15, 9), dpi=_DPI, layout="constrained"
    )
    summaries = summarise(results.trials)
    methods = list(dict.fromkeys(method for method, _ in summaries))
    shots = sorted({n for _, n in summaries})
    *panels, rest = figure.subplots(2, 3).flat
    for axes, (name, title) in zip(panels, FIGURES.items(), strict=True):
        for index, method in enumerate(methods):
            _draw(axes, summaries, method, name, marker="os^Dv*Px<>hd"[index % 12])
        if name == "base_among_all":
            for index, (network, value) in enumerate(results.base_alone.items()):
                label = f"before novel ones joined ({network})"
                style = (":", "--", "-.")[index % 3]
                axes.axhline(value, color="0.4", linestyle=style, label=label)
            # In place of a sixth panel, since it would hide lines in one of the others.
            legend = axes.get_legend_handles_labels()
            rest.legend(*legend, loc="center", fontsize=10, frameon=False)
        axes.set_title(title)
        axes.set_xscale("log")
        axes.set_xticks(shots, [str(n) for n in shots])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    rest.set_axis_off()
    for axes in panels[2:]:
        axes.set_xlabel("examples of each novel class")
    for axes in panels[::3]:
        axes.set_ylabel("accuracy")
    file = io.BytesIO()
    # Without matplotlib's version, which PNG files have by default.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _draw(
    axes: object,
    summaries: Mapping[tuple[str, int], Summary],
    method: str,
    name: str,
    *,
    marker: str,
) -> None:
    shots = [n for m, n in summaries if m == method]
    means = np.array([getattr(summaries[method, n].mean, name) for n in shots])
    spreads = np.array([getattr(summaries[method, n].deviation, name) for n in shots])
    (line,) = axes.plot(shots, means, marker=marker, label=method)  # type: ignore[attr-defined]
    axes.fill_between(  # type: ignore[attr-defined]
        shots, means - spreads, means + spreads, color=line.get_color(), alpha=0.15, linewidth=0
    )
