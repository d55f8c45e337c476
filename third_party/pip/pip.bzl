"""External repositories with the wheels of a lock file.

Wheels that are not in Bazel's repository cache are downloaded by `pip download --require-hashes`,
which runs with the hermetic interpreter.
"""

load("//third_party:fetch.bzl", "from_cache", "run", "to_cache")

_ENV = {
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "PYTHONPATH": "",
}

_HASH = "--hash=sha256:"

_ATTRS = {
    "lock": attr.label(
        allow_single_file = True,
        doc = "pinned and hashed requirements, made by //third_party:lock",
        mandatory = True,
    ),
    "_pip": attr.label(default = "@python3//:usr/share/python-wheels/pip-23.0.1-py3-none-any.whl"),
    "_python": attr.label(default = "@python3//:usr/bin/python3.11"),
}

def _requirements(text):
    """Returns the lock file's requirements as (line, [sha256, ...])."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = [w for w in line.split("#")[0].split(" ") if w]
        if words:
            hashes = [w[len(_HASH):] for w in words if w.startswith(_HASH)]
            found.append((" ".join(words), hashes))
    return found

def _fetch_wheels(rctx, requirements):
    """Copies or downloads each wheel to wheels/SHA256.whl."""
    missing = []
    for line, hashes in requirements:
        if not hashes:
            fail("%s: expected a --hash for %s, got none; update the file with //third_party:lock" % (rctx.attr.lock, line))
        if not any([from_cache(rctx, h, "wheels/%s.whl" % h) for h in hashes]):
            missing.append(line)
    if not missing:
        return
    rctx.file("_pip/requirements.txt", "\n".join(missing) + "\n", executable = False)
    rctx.report_progress("downloading %d wheels" % len(missing))
    run(rctx, [
        str(rctx.path(rctx.attr._python)),
        str(rctx.path(rctx.attr._pip)) + "/pip",
        "download",
        "--disable-pip-version-check",
        "--no-cache-dir",
        "--no-deps",
        "--no-input",
        "--only-binary=:all:",
        "--progress-bar=off",
        "--quiet",
        "--require-hashes",
        "--dest=_pip/wheels",
        "--requirement=_pip/requirements.txt",
    ], "pip download", _ENV)
    wheels = [str(path) for path in rctx.path("_pip/wheels").readdir()]
    for line in run(rctx, ["sha256sum"] + wheels, "sha256sum", _ENV).splitlines():
        sha256, path = line.split("  ", 1)
        to_cache(rctx, path, sha256, "wheels/%s.whl" % sha256)
    rctx.delete("_pip")

def _python(rctx, args, what):
    return run(rctx, [str(rctx.path(rctx.attr._python)), "-I", "-B"] + args, what, _ENV)

def _finish(rctx, build):
    rctx.delete("wheels")
    rctx.file("BUILD", build, executable = False)
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name, executable = False)

def _locked(rctx):
    """Returns the requirements, with TensorFlow for CPUs or for GPUs, as --repo_env=IMPRINTING_TENSORFLOW says."""
    locked = _requirements(rctx.read(rctx.attr.lock))
    kind = rctx.os.environ.get("IMPRINTING_TENSORFLOW", "cpu")
    if not rctx.attr.gpu_lock or kind == "cpu":
        return locked
    if kind != "gpu":
        fail("expected --repo_env=IMPRINTING_TENSORFLOW=cpu or gpu, got %s" % kind)
    others = [(line, hashes) for line, hashes in locked if not line.startswith("tensorflow-cpu==")]
    known = {line: True for line, _ in others}
    return others + [r for r in _requirements(rctx.read(rctx.attr.gpu_lock)) if r[0] not in known]

def _pip_repository_impl(rctx):
    _fetch_wheels(rctx, _locked(rctx))
    rctx.report_progress("unpacking the wheels")
    args = [str(rctx.path(rctx.attr._unpack)), str(rctx.path(rctx.attr._pip))]
    if rctx.attr.compile:
        args.append("--compile")
    build = _python(rctx, args, "unpacking the wheels")
    if rctx.attr.extra_build:
        build += rctx.read(rctx.attr.extra_build)
    _finish(rctx, build)

pip_repository = repository_rule(
    doc = """A library for each wheel, with the wheel's name in lower case and _ instead of -.

Each wheel is unpacked into its own folder, site/NAME, which its py_library exports as ONE source
directory. TensorFlow's wheel has twelve thousand files, which would otherwise be as many links in
every runfiles tree and sandbox.
""",
    implementation = _pip_repository_impl,
    attrs = dict(
        _ATTRS,
        compile = attr.bool(default = True, doc = "write .pyc files beside the modules"),
        extra_build = attr.label(
            allow_single_file = True,
            doc = "more targets: a file that is appended to the BUILD file",
        ),
        gpu_lock = attr.label(
            allow_single_file = True,
            doc = "the wheels to use instead of tensorflow-cpu with --repo_env=IMPRINTING_TENSORFLOW=gpu",
        ),
        _unpack = attr.label(default = "//third_party/pip:unpack.py"),
    ),
    environ = ["IMPRINTING_TENSORFLOW"],
)

def _wheel_files_impl(rctx):
    _fetch_wheels(rctx, _requirements(rctx.read(rctx.attr.lock)))
    for wheel in rctx.path("wheels").readdir():
        _python(rctx, ["-m", "zipfile", "-e", str(wheel), "all"], "unpacking " + rctx.name)
    for path, name in rctx.attr.files.items():
        run(rctx, ["mv", "all/" + path, name], "taking %s out of the wheel" % path, _ENV)
    rctx.delete("all")
    names = sorted(rctx.attr.files.values())
    _finish(rctx, "exports_files(%r, visibility = [\"//visibility:public\"])\n" % names)

wheel_files = repository_rule(
    doc = "A few files from the wheels of a lock file.",
    implementation = _wheel_files_impl,
    attrs = dict(
        _ATTRS,
        files = attr.string_dict(doc = "path in a wheel -> name in this repository", mandatory = True),
    ),
)
