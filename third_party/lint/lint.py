"""`./bazelw run //third_party/lint`: runs the formatters and linters on all files of the project.

Prints a sentence for each tool, and exits with status 1 if one of them has found something.
`-- --fix` formats the files, and fixes what the tools can fix. Paths restrict it to files and
folders: `-- third_party tests/x_test.py`.
"""

import argparse
import dataclasses
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

# The tools are in the runfiles tree.
RUNFILES = pathlib.Path(__file__).parents[3]
BIOME = "biome/biome"
BUILDIFIER = "buildifier/buildifier-linux_amd64"
CLANG_FORMAT = "lint/site/clang_format/clang_format/data/bin/clang-format"
RUFF = "lint/site/ruff/bin/ruff"
# Without buildifier's warnings that ask for a load of rules that are built into Bazel 4: the fix
# would load files that this workspace's replacement of rules_cc does not have.
BUILT_IN = ("binary", "common", "import", "info", "library", "shared-library", "test", "toolchain")
WARNINGS = ",".join([*(f"-native-cc-{name}" for name in BUILT_IN), "-native-py"])
# Folders that programs write in the workspace, and that are not formatted.
NOT_OURS = {"bazel-out", "models", "__pycache__"}


@dataclasses.dataclass(frozen=True)
class Tool:
    """A formatter or linter, with its commands to check and (if it can) to fix files."""

    name: str
    files: list[str]
    check: list[str]
    fix: list[str] | None = None

    def run(self, *, fix: bool) -> bool:
        """Runs the tool, prints a sentence, and returns whether it found nothing."""
        if not self.files:
            print(f"{self.name}: there are no files for it.", flush=True)
            return True
        start = time.monotonic()
        command = self.fix if fix and self.fix else self.check
        done = subprocess.run(
            [*command, *self.files], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        took = f"{len(self.files)} files, {time.monotonic() - start:.1f} s"
        if done.returncode:
            print(done.stdout.rstrip())
            print(f"{self.name}: not well, see above ({took}).", flush=True)
        else:
            print(f"{self.name}: all is well ({took}).", flush=True)
        return not done.returncode


def files(root: pathlib.Path) -> Iterator[str]:
    """Yields the sorted paths of the project's files from the root, without hidden ones but .ci."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            f for f in folders if f not in NOT_OURS and (f == ".ci" or not f.startswith("."))
        )
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root)


def tools(paths: list[str], *, cache: str) -> list[Tool]:
    """Returns the tools with their files, in the order in which they run."""

    def those(*endings: str) -> list[str]:
        return [p for p in paths if p.endswith(endings)]

    python = those(".py", ".pyi")
    starlark = [
        p
        for p in paths
        if p.endswith((".bzl", ".BUILD")) or os.path.basename(p) in ("BUILD", "WORKSPACE")
    ]
    buildifier = [str(RUNFILES / BUILDIFIER), f"-warnings={WARNINGS}"]
    clang_format = [str(RUNFILES / CLANG_FORMAT)]
    biome = [str(RUNFILES / BIOME)]
    ruff = str(RUNFILES / RUFF)
    ruff_cache = f"--cache-dir={cache}/ruff"
    return [
        Tool(
            name="buildifier",
            files=starlark,
            check=[*buildifier, "-mode=check", "-lint=warn"],
            fix=[*buildifier, "-mode=fix", "-lint=fix"],
        ),
        Tool(
            name="clang-format",
            files=those(".cc", ".h"),
            check=[*clang_format, "--dry-run", "--Werror"],
            fix=[*clang_format, "-i"],
        ),
        Tool(
            name="biome",
            files=those(".js", ".css", ".html"),
            check=[*biome, "check", "--error-on-warnings"],
            fix=[*biome, "check", "--error-on-warnings", "--write"],
        ),
        Tool(
            name="ruff format",
            files=python,
            check=[ruff, "format", ruff_cache, "--quiet", "--diff"],
            fix=[ruff, "format", ruff_cache, "--quiet"],
        ),
        Tool(
            name="ruff check",
            files=python,
            check=[ruff, "check", ruff_cache, "--quiet"],
            fix=[ruff, "check", ruff_cache, "--quiet", "--fix"],
        ),
        Tool(
            name="mypy",
            files=[p for p in python if not p.endswith("_test.py")],
            check=[sys.executable, "-m", "mypy", f"--cache-dir={cache}/mypy"],
        ),
    ]


def main() -> None:
    """Runs all tools, even if earlier ones find something."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fix", action="store_true", help="fix the files instead of checking them")
    parser.add_argument("paths", nargs="*", help="files and folders; default: all")
    options = parser.parse_args()
    if "BUILD_WORKSPACE_DIRECTORY" not in os.environ:
        raise SystemExit("lint: expected to be started by ./bazelw run //third_party/lint")
    root = pathlib.Path(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    under = [pathlib.Path(path).resolve() for path in options.paths] or [root.resolve()]
    os.chdir(root)
    paths = [p for p in files(root) if any((root / p).resolve().is_relative_to(u) for u in under)]
    well = [tool.run(fix=options.fix) for tool in tools(paths, cache=".bazel/lint")]
    if not all(well):
        raise SystemExit("lint: `./bazelw run //third_party/lint -- --fix` fixes formatting.")


if __name__ == "__main__":
    main()
