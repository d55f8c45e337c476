"""The user's own files, from anywhere on disk, as the repositories @checkpoint and @images.

The environment variable CHECKPOINT names a checkpoint, IMAGES a folder of images. The repositories
contain links, not copies: when the files change, everything that was built from them is built
again. The folder of images is listed once; `./bazelw sync --only=images` lists it again.
"""

def _given(rctx, variable):
    """The absolute path in an environment variable; '' if it is not set."""
    given = rctx.os.environ.get(variable, "")
    path = given.rstrip("/") or given[:1]
    if path == "~" or path.startswith("~/"):
        # Shells do not expand it in quotes.
        path = rctx.os.environ.get("HOME", "~") + path[1:]
    if path and not path.startswith("/"):
        # Relative to where ./bazelw was started; Bazel itself runs in the workspace's root.
        folder = rctx.os.environ.get("BAZELW_USER_DIRECTORY", "")
        if not folder:
            fail("expected an absolute path in %s, got %s; give one, or start Bazel with ./bazelw" % (variable, path))
        path = folder + "/" + path
    return path

def _test(rctx, operator, path):
    return rctx.execute(["/bin/sh", "-c", "test %s \"$1\"" % operator, "test", path]).return_code == 0

def _prefix(path):
    """The checkpoint's prefix, given the prefix or the path of one of its files."""
    for ending in (".index", ".meta"):
        if path.endswith(ending):
            return path[:-len(ending)]
    prefix, data, shard = path.rpartition(".data-")
    is_data = data and len(shard) == 14 and shard[5:9] == "-of-" and (shard[:5] + shard[9:]).isdigit()
    return prefix if is_data else path

def _user_checkpoint_impl(rctx):
    path = _given(rctx, "CHECKPOINT")
    if not path:
        rctx.file("BUILD", "alias(name = \"files\", actual = %r, visibility = [\"//visibility:public\"])\n" % rctx.attr.default, executable = False)
        return
    prefix = _prefix(path)
    folder, name = prefix.rsplit("/", 1)
    names = [name, name + ".index", name + ".data-*"]
    of_folder = ["checkpoint", "*.index", "*.data-*"]
    if _test(rctx, "-d", path):
        folder, names = path, of_folder
    elif name == "checkpoint" and _test(rctx, "-f", path):
        names = of_folder
    elif not _test(rctx, "-f", prefix + ".index") and not _test(rctx, "-f", prefix):
        fail("CHECKPOINT=%s: expected a checkpoint (its prefix, the name of its files without .index), or a folder of checkpoints, got neither; correct the path" % path)
    rctx.symlink(folder, "folder")
    globs = ["folder/" + name for name in names + ["model.json", "labels.txt"]]
    rctx.file("BUILD", "filegroup(name = \"files\", srcs = glob(%r, allow_empty = True), visibility = [\"//visibility:public\"])\n" % globs, executable = False)

user_checkpoint = repository_rule(
    doc = "@NAME//:files: the checkpoint that CHECKPOINT names, or the default if it is not set.",
    implementation = _user_checkpoint_impl,
    attrs = {"default": attr.string(doc = "a label, with its repository", mandatory = True)},
    environ = ["BAZELW_USER_DIRECTORY", "CHECKPOINT", "HOME"],
    local = True,
)

# Enough to choose from, and few enough to be inputs of an action.
_MAX_IMAGES = 1000

# Sorted, so that the result does not depend on the file system's order.
_FIND = """
cd "$1" && find -L . -type f \\( -iname '*.jpg' -o -iname '*.jpeg' -o -iname '*.png' \\
    -o -name 'validation-*' -o -name 'train-*' \\) | LC_ALL=C sort
"""

def _user_images_impl(rctx):
    path = _given(rctx, "IMAGES")
    names = []
    if path:
        if not _test(rctx, "-d", path):
            fail("IMAGES=%s: expected a folder of JPEG, PNG or TFRecord files, got no such folder; correct the path" % path)
        found = rctx.execute(["/bin/sh", "-c", _FIND, "find", path]).stdout.splitlines()
        if not found:
            fail("IMAGES=%s: expected JPEG, PNG or TFRecord files in the folder, got none; name another folder" % path)
        held_out = [name for name in found if name.rsplit("/", 1)[1].startswith("validation-")]
        found = held_out or found
        count = min(len(found), _MAX_IMAGES)
        for i in range(count):
            source = found[i * len(found) // count]

            # File names may contain characters that labels may not.
            name = "image-%d" % i
            rctx.symlink(path + source[1:], name)
            names.append(name)
    rctx.file("BUILD", "filegroup(name = \"files\", srcs = %r, visibility = [\"//visibility:public\"])\n" % names, executable = False)

user_images = repository_rule(
    doc = "@NAME//:files: images from the folder that IMAGES names; none if it is not set.",
    implementation = _user_images_impl,
    environ = ["BAZELW_USER_DIRECTORY", "HOME", "IMAGES"],
    local = True,
)
