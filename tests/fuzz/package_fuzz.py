"""Fuzzes the package with changed .tflite files and photos; finds crashes, hangs and memory use.

  ./bazelw run //tests/fuzz:package_fuzz -- --models=20000 --photos=5000 --seed=1

Each file either works or is refused with a message. What happens to a file depends only on the
seed, its number and the valid files; `--seed=S --first=N --models=1 --photos=0` runs one again. It
ends with exit status 1 if a file crashed or hung the process, took too much memory, or raised an
error of another kind.
"""

import collections
import concurrent.futures
import dataclasses
import os
import pathlib
import selectors
import subprocess
import sys
import tempfile
import time

from absl import app, flags

from tests.fuzz import package_child, package_seeds

_MODELS = flags.DEFINE_integer("models", 1000, "How many .tflite files to try.", lower_bound=0)
_PHOTOS = flags.DEFINE_integer("photos", 1000, "How many photos to try.", lower_bound=0)
_FIRST_FILE = flags.DEFINE_integer("first", 0, "The number of the first file.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 1, "The seed of all changes.")
_JOBS = flags.DEFINE_integer("jobs", 1, "How many processes to use.", lower_bound=1)
_PRODUCT = flags.DEFINE_string("product", None, "A .tflite of usual size to change, too.")
_FAILURES = flags.DEFINE_string("failures_dir", None, "The folder for files that failed.")

# How long a file may take, and how long the process may take to start, in seconds.
_MOST_SECONDS, _MOST_START = 10, 120


@dataclasses.dataclass
class Tally:
    """What happened.

    Attributes:
      outcomes: the number of files by outcome; the reasons for which they were refused are cut off.
      failures: a line for each file that failed.
      slowest: the most seconds, with the number of the file.
      largest: the most bytes of memory, with the number of the file.
    """

    outcomes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    failures: list[str] = dataclasses.field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    largest: tuple[int, int] = (0, -1)

    def merge(self, other: "Tally") -> None:
        """Adds what happened elsewhere."""
        self.outcomes += other.outcomes
        self.failures += other.failures
        self.slowest = max(self.slowest, other.slowest)
        self.largest = max(self.largest, other.largest)

    @property
    def accepted(self) -> int:
        """The number of files that worked, at least in part."""
        return sum(n for what, n in self.outcomes.items() if what.startswith(_GOOD))

    def text(self, kind: str) -> str:
        """The counts, as lines."""
        total = sum(self.outcomes.values())
        bad = collections.Counter(line.split(": ")[1] for line in self.failures)
        lines = [
            f"{total} {kind}: {self.accepted} accepted, "
            f"{total - self.accepted - len(self.failures)} refused, "
            + ", ".join(
                f"{bad[what]} {what}" for what in ("crashed", "hung", "too large", "wrong")
            ),
            f"slowest: {self.slowest[0]:.1f} s (file {self.slowest[1]}); most memory: "
            f"{self.largest[0] / 1e6:.0f} MB (file {self.largest[1]})",
            *(f"{n:7} {what}" for what, n in self.outcomes.most_common()),
            *self.failures,
        ]
        return "\n".join(lines)


# How outcomes of files begin that worked at least in part.
_GOOD = ("read", "classified", "imprinted", "learned")


def fuzz(
    folder: pathlib.Path,
    kind: str,
    numbers: range,
    seed: int,
    jobs: int = 1,
    program: str = package_child.__file__,
) -> Tally:
    """Runs the package on changed files.

    Args:
      folder: valid files; see `package_seeds`.
      kind: "models" or "photos".
      numbers: the numbers of the files.
      seed: the seed.
      jobs: the number of processes.
      program: what runs the files.
    """
    tally = Tally()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for part in pool.map(
            lambda job: _run(folder, kind, numbers[job::jobs], seed, program), range(jobs)
        ):
            tally.merge(part)
    return tally


def _run(folder: pathlib.Path, kind: str, numbers: range, seed: int, program: str) -> Tally:
    tally = Tally()
    while numbers:
        command = [sys.executable, program, f"--child_folder={folder}", f"--child_kind={kind}"]
        at = _run_child([*command, f"--child_seed={seed}"], numbers, tally)
        numbers = numbers[:0] if at is None else numbers[numbers.index(at) + 1 :]
    return tally


def _run_child(command: list[str], numbers: range, tally: Tally) -> int | None:
    """Runs files until one ends the process; returns its number, or None if all are done."""
    command = [*command, f"--child_first={numbers.start}", f"--child_end={numbers.stop}"]
    command.append(f"--child_step={numbers.step}")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    current, since, limit, hung = None, time.monotonic(), _MOST_START, False
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        ) as child,
    ):
        assert child.stdout is not None
        selector = selectors.DefaultSelector()
        selector.register(child.stdout, selectors.EVENT_READ)
        rest = b""
        while True:
            if not selector.select(max(0, since + limit - time.monotonic())):
                hung = True
                child.kill()
                break
            got = os.read(child.stdout.fileno(), 1 << 16)
            if not got:
                break
            *lines, rest = (rest + got).split(b"\n")
            for line in lines:
                word, *fields = line.decode(errors="replace").split(" ", 4)
                if word == "begin":
                    current, since, limit = int(fields[0]), time.monotonic(), _MOST_SECONDS
                elif word == "end":
                    _count(tally, int(fields[0]), float(fields[1]), int(fields[2]), fields[3])
                    current = None
        status = child.wait()
        if status == 0 and not hung:
            return None
        errors.seek(0)
        said = " ".join(errors.read().decode(errors="replace").split())[-300:]
    if current is None:
        raise RuntimeError(f"expected a process that runs files, got exit status {status}: {said}")
    what = "hung" if hung else "crashed"
    tally.outcomes[what] += 1
    tally.failures.append(f"file {current}: {what}: exit status {status}: {said}")
    print(tally.failures[-1], flush=True)
    return current


def _count(tally: Tally, number: int, seconds: float, memory: int, outcome: str) -> None:
    failure = ""
    if outcome.startswith("WRONG"):
        failure = f"wrong: {outcome}"
    elif memory > package_child.MOST_MEMORY:
        failure = f"too large: {memory / 1e6:.0f} MB"
    elif seconds > _MOST_SECONDS:
        failure = f"hung: {seconds:.1f} s"
    tally.outcomes[failure.split(":")[0] or outcome] += 1
    if failure:
        tally.failures.append(f"file {number}: {failure}")
        print(tally.failures[-1], flush=True)
    tally.slowest = max(tally.slowest, (seconds, number))
    tally.largest = max(tally.largest, (memory, number))


def main(argv: list[str]) -> None:
    """Runs the fuzzer."""
    del argv
    failed = False
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made) / "seeds"
        package_seeds.write(folder, _PRODUCT.value)
        for kind, count in (("models", _MODELS.value), ("photos", _PHOTOS.value)):
            numbers = range(_FIRST_FILE.value, _FIRST_FILE.value + count)
            begin = time.monotonic()
            tally = fuzz(folder, kind, numbers, _SEED.value, _JOBS.value)
            print(f"{tally.text(kind)}\n{time.monotonic() - begin:.0f} s", flush=True)
            failed |= bool(tally.failures)
            if _FAILURES.value is not None:
                os.makedirs(_FAILURES.value, exist_ok=True)
                for line in tally.failures:
                    number = int(line.split()[1].rstrip(":"))
                    _, data = package_child.changed(folder, kind, _SEED.value, number)
                    path = pathlib.Path(_FAILURES.value) / f"{kind}_{_SEED.value}_{number}"
                    path.write_bytes(data)
    sys.exit(int(failed))


if __name__ == "__main__":
    app.run(main)
