"""Makes a wheel of a Python package."""

def _python_wheel_impl(ctx):
    package = ctx.label.package
    sources = depset(transitive = [dep[PyInfo].transitive_sources for dep in ctx.attr.deps]).to_list()
    files = [f for f in sources + ctx.files.data if f.short_path.startswith(package + "/")]
    wheel = ctx.actions.declare_file("%s-%s-py3-none-any.whl" % (package, ctx.attr.version))
    args = ctx.actions.args()
    args.add(wheel, format = "--output=%s")
    args.add(ctx.file.pyproject, format = "--pyproject=%s")
    args.add(ctx.file.readme, format = "--readme=%s")
    args.add(ctx.file.license, format = "--license=%s")
    args.add_all(["%s=%s" % (f.short_path, f.path) for f in files])
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._make_wheel,
        inputs = files + [ctx.file.pyproject, ctx.file.readme, ctx.file.license],
        mnemonic = "PythonWheel",
        outputs = [wheel],
        progress_message = "Making the wheel %s" % wheel.basename,
    )
    return [DefaultInfo(files = depset([wheel]), runfiles = ctx.runfiles([wheel]))]

python_wheel = rule(
    doc = "A wheel of the modules and data files of the package that has the target's folder.",
    implementation = _python_wheel_impl,
    attrs = {
        "data": attr.label_list(allow_files = True, doc = "files beside the modules"),
        "deps": attr.label_list(doc = "libraries and programs", providers = [PyInfo]),
        "license": attr.label(allow_single_file = True, mandatory = True),
        "pyproject": attr.label(allow_single_file = [".toml"], mandatory = True),
        "readme": attr.label(allow_single_file = [".md"], mandatory = True),
        "version": attr.string(doc = "the same as __version__ in __init__.py", mandatory = True),
        # Not "exec", for which the interpreter would be set up a second time.
        "_make_wheel": attr.label(
            cfg = "target",
            default = "//third_party/python:make_wheel",
            executable = True,
        ),
    },
)
