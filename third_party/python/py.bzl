"""Macros for BUILD files: a Python module with its test, and what a package has as a whole."""

_SIZES = ("small", "medium", "large", "enormous")
_RUNNER = "//third_party/python:run_tests.py"

# What every test may import without naming it.
_TEST_DEPS = [
    "@pypi//:absl_py",
    "@pypi//:numpy",
    "@pypi//:tensorflow_cpu",
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
        visibility = None):
    """The library or the program in NAME.py, and the test of it in NAME_test.py.

    Args:
      name: of the target and of the file, without ".py".
      deps: what NAME.py imports.
      data: files and programs that NAME.py needs when it runs.
      binary: whether NAME.py is a program.
      testonly: whether only tests may use it.
      test: whether there is a NAME_test.py.
      test_deps: what NAME_test.py imports besides NAME, what that depends on, absl, numpy and
        TensorFlow.
      test_data: files and programs that NAME_test.py needs when it runs.
      test_size: see `py_module_test`.
      visibility: where it differs from the package's.
    """
    _check_name(name)
    _check_file("py_module", name, name + ".py")
    has_test = bool(native.glob([name + "_test.py"], allow_empty = True))
    if test and not has_test:
        fail("py_module %s: expected %s_test.py beside %s.py, got no such file; write it, or say test = False" % (name, name, name))
    if has_test and not test:
        fail("py_module %s: expected no %s_test.py with test = False, got one, which would never run; leave test = False out" % (name, name))
    if not test and (test_deps or test_data or test_size):
        fail("py_module %s: expected no test_deps, test_data or test_size with test = False; leave them out" % name)

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
            deps = [":" + name] + test_deps,
        )

def py_module_test(name, deps = [], data = [], size = None, tags = []):
    """The test cases in NAME.py.

    Loading TensorFlow takes longer than most tests do. So tests without a size run in one process
    with the others of their package, by the target that `py_package` makes; a target of their own
    is there to be run by name.

    Args:
      name: of the target and of the file, without ".py"; ends with "_test".
      deps: what NAME.py imports besides absl, numpy and TensorFlow.
      data: files and programs that NAME.py needs when it runs.
      size: small, medium, large or enormous, for tests that need a process of their own.
      tags: of the target.
    """
    _check_name(name)
    if not name.endswith("_test"):
        fail("py_module_test %s: expected a name that ends with _test" % name)
    _check_file("py_module_test", name, name + ".py")
    if size and size not in _SIZES:
        fail("py_module_test %s: expected a size of %s, got %s" % (name, ", ".join(_SIZES), size))
    for dep in deps:
        if dep in _TEST_DEPS:
            fail("py_module_test %s: expected no %s among the deps, since every test has it; leave it out" % (name, dep))
    if tags and not size:
        fail("py_module_test %s: expected a size beside tags, since tags need a target of its own" % name)
    _py_test(
        name = name,
        size = size or "medium",
        srcs = [name + ".py"],
        args = [_module(name)],
        data = data,
        tags = tags if size else [_SHARED, "manual"],
        deps = deps + _TEST_DEPS,
    )

def py_package(test_size = "medium", test_tags = []):
    """The package as a whole, at the end of its BUILD file.

    Makes `modules`, a library of all its libraries but those for tests alone, and, if there are
    tests that share a process, `tests`, which runs them.
    `--test_filter=CLASS.METHOD` chooses among these.

    Args:
      test_size: of `tests`.
      test_tags: of `tests`.
    """
    if test_size not in _SIZES:
        fail("py_package: expected a test_size of %s, got %s" % (", ".join(_SIZES), test_size))
    native.exports_files(["BUILD"], visibility = ["//tests:__subpackages__"])
    rules = native.existing_rules()
    native.py_library(
        name = "modules",
        visibility = ["//:__pkg__"],
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
            tags = test_tags,
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
        fail("expected the name of a module, such as batch_norm, got %s" % name)

def _check_file(macro, name, file):
    if not native.glob([file], allow_empty = True):
        fail("%s %s: expected a file %s, got none beside the BUILD file; correct the name" % (macro, name, file))
