"""Macros for BUILD files: `py_module`, a module with its test, and `py_package`, for all of a package."""

_SIZES = ("small", "medium", "large", "enormous")
_RUNNER = "//third_party/python:run_tests.py"

# Dependencies of every test.
_TEST_DEPS = [
    "@pypi//:absl_py",
    "@pypi//:numpy",
    "@pypi//:tensorflow",
]

# Marks the tests that `py_package` runs in one process.
_SHARED = "shared_process"

def py_module(
        name,
        deps = [],
        data = [],
        binary = False,
        testonly = False,
        test = True,
        test_deps = [],
        test_data = [],
        test_size = None,
        test_tags = [],
        visibility = None):
    """Declares the library or program in NAME.py, and its test in NAME_test.py.

    Args:
      name: the name of the target and of the file, without ".py".
      deps: what NAME.py imports.
      data: files and programs that NAME.py needs at run time.
      binary: whether NAME.py is a program.
      testonly: whether only tests may use it.
      test: whether there is a NAME_test.py.
      test_deps: what NAME_test.py imports, without NAME and its dependencies, absl, numpy and
        TensorFlow.
      test_data: files and programs that NAME_test.py needs at run time.
      test_size: see `py_module_test`.
      test_tags: see `py_module_test`.
      visibility: the visibility, if it is not the package's default.
    """
    _check_name(name)
    _check_file("py_module", name, name + ".py")
    has_test = bool(native.glob([name + "_test.py"], allow_empty = True))
    if test and not has_test:
        fail("py_module %s: expected %s_test.py next to %s.py, got no such file; write it, or set test = False" % (name, name, name))
    if has_test and not test:
        fail("py_module %s: expected no %s_test.py with test = False, got one, which would never run; remove test = False" % (name, name))
    if not test and (test_deps or test_data or test_size or test_tags):
        fail("py_module %s: expected no test_deps, test_data, test_size or test_tags with test = False, got some; remove them" % name)

    rule = native.py_binary if binary else native.py_library
    rule(
        name = name,
        srcs = [name + ".py"],
        data = data,
        testonly = testonly,
        visibility = visibility,
        deps = deps,
    )
    if test:
        py_module_test(
            name = name + "_test",
            size = test_size,
            data = test_data,
            tags = test_tags,
            deps = [":" + name] + test_deps,
        )

def py_module_test(name, deps = [], data = [], size = None, tags = []):
    """Declares the test in NAME.py.

    Loading TensorFlow takes longer than most tests. So tests without a size share a process with the
    others of their package, in the target that `py_package` makes. They also have their own target,
    to be run by name.

    Args:
      name: the name of the target and of the file, without ".py"; it ends with "_test".
      deps: what NAME.py imports, without absl, numpy and TensorFlow.
      data: files and programs that NAME.py needs at run time.
      size: small, medium, large or enormous, for a test that needs its own process.
      tags: the target's tags.
    """
    _check_name(name)
    if not name.endswith("_test"):
        fail("py_module_test %s: expected a name that ends with _test, got another; rename the file" % name)
    _check_file("py_module_test", name, name + ".py")
    if size and size not in _SIZES:
        fail("py_module_test %s: expected a size out of %s, got %s" % (name, ", ".join(_SIZES), size))
    for dep in deps:
        if dep in _TEST_DEPS:
            fail("py_module_test %s: expected no %s in deps, since every test has it; remove it" % (name, dep))
    if tags and not size:
        fail("py_module_test %s: expected a size with tags, since tests without one share a process, got none; set a size" % name)
    _py_test(
        name = name,
        size = size or "medium",
        srcs = [name + ".py"],
        args = [_module(name)],
        data = data,
        tags = tags if size else [_SHARED, "manual"],
        deps = deps + _TEST_DEPS,
    )

# Its targets have the same names in all packages.
# buildifier: disable=unnamed-macro
def py_package(test_size = "medium"):
    """Declares targets for all of a package; call it at the end of the BUILD file.

    They are `modules`, a library of all libraries that are not testonly, and `tests`, which runs the
    tests that share a process, if there are any. `--test_filter=CLASS.METHOD` selects some of them.

    Args:
      test_size: the size of `tests`.
    """
    if test_size not in _SIZES:
        fail("py_package: expected a test_size out of %s, got %s" % (", ".join(_SIZES), test_size))
    native.exports_files(["BUILD"], visibility = ["//tests:__subpackages__"])
    rules = native.existing_rules()
    native.py_library(
        name = "modules",
        visibility = [
            "//:__pkg__",
            "//imprinting:__pkg__",
        ],
        deps = sorted([
            ":" + name
            for name, rule in rules.items()
            if rule["kind"] == "py_library" and not rule.get("testonly")
        ]),
    )
    shared = sorted([name for name, rule in rules.items() if _SHARED in rule.get("tags", [])])
    if shared:
        _py_test(
            name = "tests",
            size = test_size,
            srcs = [],
            args = [_module(name) for name in shared],
            deps = [":" + name for name in shared],
        )

def _py_test(srcs, **kwargs):
    native.py_test(
        srcs = srcs + [_RUNNER],
        main = _RUNNER,
        **kwargs
    )

def _module(name):
    return native.package_name().replace("/", ".") + "." + name

def _check_name(name):
    if name.endswith(".py") or "/" in name or "-" in name:
        fail("expected the name of a module, such as batch_norm, got %s; leave out folders and .py" % name)

def _check_file(macro, name, file):
    if not native.glob([file], allow_empty = True):
        fail("%s %s: expected a file %s next to the BUILD file, got none; correct the name" % (macro, name, file))
