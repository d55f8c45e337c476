"""Rules for BUILD files: the tests of a room as one target."""

def py_tests(name, srcs, deps, **kwargs):
    """The tests of several files, run in one process.

    Loading TensorFlow takes longer than most files of tests do, so those of a room that need no
    process of their own share one. `--test_filter=CLASS.METHOD` chooses among them.

    Args:
      name: of the target.
      srcs: the files, NAME_test.py, each with test cases of absltest.
      deps: what they use.
      **kwargs: what py_test has: data, size, tags.
    """
    modules = []
    for src in srcs:
        if not src.endswith("_test.py"):
            fail("py_tests %s: expected files NAME_test.py as srcs, got %s" % (name, src))
        modules.append("%s.%s" % (native.package_name().replace("/", "."), src[:-len(".py")]))
    native.py_test(
        name = name,
        srcs = srcs + ["//tests:run_tests.py"],
        args = modules,
        main = "//tests:run_tests.py",
        deps = deps + ["@pypi//:absl_py"] if "@pypi//:absl_py" not in deps else deps,
        **kwargs
    )
