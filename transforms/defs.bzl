"""The only file of transforms/ that refers to programs of classification/, by label.

l2norm_tflite makes a checked .tflite from a checkpoint, in reproducible actions.
"""

load("//third_party/tensorflow:environment.bzl", "ENVIRONMENT")

NetworkSettingInfo = provider(
    doc = "A property of a network that is set by a flag on the command line.",
    fields = {"flag": "--NAME=VALUE for the programs; '' if the flag is not set"},
)

def _network_setting_impl(ctx):
    value = ctx.build_setting_value
    flag = "--%s=%s" % (ctx.label.name, value) if value else ""
    return [NetworkSettingInfo(flag = flag)]

network_setting = rule(
    doc = "A flag --//:NAME=VALUE that describes the network of a checkpoint without model.json.",
    implementation = _network_setting_impl,
    build_setting = config.string(flag = True),
)

def _run(ctx, step, inputs, outputs, arguments):
    tool = getattr(ctx.attr, "_" + step)
    ctx.actions.run(
        arguments = [arguments],
        env = ENVIRONMENT,
        executable = tool[DefaultInfo].files_to_run,
        inputs = inputs,
        mnemonic = "".join([word.capitalize() for word in step.split("_")]),
        outputs = outputs,
        progress_message = "%s of %s" % (_STEPS[step].does, ctx.label),
    )

def _checkpoint_path(ctx):
    """The path by which prepare_checkpoint finds the checkpoint."""
    beside = ("model.json", "labels.txt")
    files = [f for f in ctx.files.checkpoint if f.basename not in beside]
    if len(files) == 1:
        # A folder that an action created, or the single file of the older format.
        return files[0].path
    state = [f for f in files if f.basename == "checkpoint"]
    if state:
        return state[0].dirname
    prefixes = [f.path[:-len(".index")] for f in files if f.basename.endswith(".index")]
    if len(prefixes) != 1:
        fail("l2norm_tflite %s: expected the files of one checkpoint, PREFIX.index, PREFIX.data-… and, if there is one, model.json, got %s in %s; if there are several, add the file named `checkpoint`, which says which is the newest" % (
            ctx.label,
            "no PREFIX.index" if not prefixes else "%d of PREFIX.index" % len(prefixes),
            ctx.attr.checkpoint.label,
        ))
    return prefixes[0]

def _use_flagfile(args):
    """There may be thousands of images, too many for a command line."""
    args.use_param_file("--flagfile=%s")
    args.set_param_file_format("multiline")

def _declare(ctx, suffix):
    return ctx.actions.declare_file(ctx.label.name + suffix)

def _l2norm_tflite_impl(ctx):
    checkpoint = [_declare(ctx, "_network/model.ckpt" + s) for s in (".index", ".data-00000-of-00001")]
    config = _declare(ctx, "_network/model.json")
    labels = _declare(ctx, "_network/labels.txt")
    network = checkpoint + [config, labels]
    args = ctx.actions.args()
    args.add(_checkpoint_path(ctx), format = "--checkpoint_dir=%s")
    args.add_all(ctx.attr.network_flags)
    args.add_all([s[NetworkSettingInfo].flag for s in ctx.attr.settings if s[NetworkSettingInfo].flag])
    if ctx.file.labels:
        args.add(ctx.file.labels, format = "--labels_file=%s")
    args.add_all(ctx.files.images, format_each = "--images=%s")
    _use_flagfile(args)
    args.add(config.dirname, format = "--output_dir=%s")
    _run(ctx, "prepare_checkpoint", ctx.files.checkpoint + ctx.files.labels + ctx.files.images, network, args)

    prefix = checkpoint[0].path[:-len(".index")]
    graph = _declare(ctx, "_graph.pb")
    args = ctx.actions.args()
    args.add(prefix, format = "--checkpoint_dir=%s")
    args.add("--batch_size=1")
    args.add(graph, format = "--output_file=%s")
    _run(ctx, "export", checkpoint + [config], [graph], args)

    images = _declare(ctx, "_images.npy")
    args = ctx.actions.args()
    args.add(config.dirname, format = "--checkpoint_dir=%s")
    args.add_all(ctx.files.images, format_each = "--images=%s")
    _use_flagfile(args)
    args.add(images, format = "--output=%s")
    _run(ctx, "sample_images", [config] + ctx.files.images, [images], args)

    frozen = _declare(ctx, "_frozen.pb")
    folded = _declare(ctx, "_folded.pb")
    unchecked = [_declare(ctx, "_unchecked/%s.tflite" % part) for part in ("model", "extractor", "head")]
    model, extractor, head = unchecked
    args = ctx.actions.args()
    args.add(graph, format = "--graph=%s")
    args.add(prefix, format = "--checkpoint=%s")
    args.add(frozen, format = "--frozen=%s")
    args.add(folded, format = "--folded=%s")
    args.add(model, format = "--model=%s")
    args.add(extractor, format = "--extractor=%s")
    args.add(head, format = "--head=%s")
    _run(ctx, "make_tflite", checkpoint + [graph], [frozen, folded] + unchecked, args)

    tflite = [_declare(ctx, suffix + ".tflite") for suffix in ("", "_extractor", "_head")]
    report = [_declare(ctx, "_report." + ending) for ending in ("json", "md")]
    args = ctx.actions.args()
    args.add(model, format = "--model=%s")
    args.add(extractor, format = "--extractor=%s")
    args.add(head, format = "--head=%s")
    args.add(frozen, format = "--frozen_graph=%s")
    args.add(folded, format = "--folded_graph=%s")
    args.add(labels, format = "--labels=%s")
    args.add(images, format = "--images=%s")
    args.add_all(checkpoint + [config, graph], format_each = "--sources=%s")
    args.add(tflite[0].path[:-len(".tflite")], format = "--output_prefix=%s")
    _run(
        ctx,
        "check_tflite",
        unchecked + [frozen, folded, labels, images, graph] + checkpoint + [config],
        tflite + report,
        args,
    )

    names = _declare(ctx, "_labels.txt")
    ctx.actions.symlink(output = names, target_file = labels)
    products = tflite + [frozen, folded, names] + report
    return [
        DefaultInfo(files = depset(products), runfiles = ctx.runfiles(files = products)),
        OutputGroupInfo(
            checkpoint = depset(network),
            extractor = depset([tflite[1]]),
            folded = depset([folded]),
            frozen = depset([frozen]),
            graph = depset([graph]),
            head = depset([tflite[2]]),
            images = depset([images]),
            labels = depset([names]),
            report = depset(report),
            tflite = depset([tflite[0]]),
            unchecked = depset(unchecked),
        ),
    ]

# The steps: the program of each, and the text for Bazel's progress messages.
_STEPS = {
    "check_tflite": struct(tool = "//transforms/conversion:check_tflite", does = "Checking the .tflite"),
    "export": struct(tool = "//classification:mobilenet_v1_l2norm_export", does = "Exporting the graph"),
    "make_tflite": struct(tool = "//transforms/conversion:make_tflite", does = "Making the .tflite"),
    "prepare_checkpoint": struct(tool = "//classification/deployment:prepare_checkpoint", does = "Preparing the checkpoint"),
    "sample_images": struct(tool = "//classification/deployment:sample_images", does = "Sampling images for the check"),
}

_l2norm_tflite = rule(
    implementation = _l2norm_tflite_impl,
    attrs = dict({
        "checkpoint": attr.label(allow_files = True, mandatory = True),
        "images": attr.label_list(allow_files = True),
        "labels": attr.label(allow_single_file = True),
        "network_flags": attr.string_list(),
        "settings": attr.label_list(providers = [NetworkSettingInfo]),
    }, **{
        # Not "host" or "exec", for which every tool would be built a second time.
        "_" + step: attr.label(cfg = "target", default = value.tool, executable = True)
        for step, value in _STEPS.items()
    }),
)

def _flag(target, name, value, kind, least = None):
    """The program's flag for an attribute that describes the network."""
    if value == None:
        return []
    if type(value) != kind:
        fail("l2norm_tflite %s: expected %s to be %s, got %r" % (target, name, kind, value))
    if least != None and value < least:
        fail("l2norm_tflite %s: expected %s of at least %d, got %d" % (target, name, least, value))
    return ["--%s=%s" % (name, str(value).lower())]

def l2norm_tflite(
        name,
        checkpoint = None,
        image_size = None,
        num_classes = None,
        depth_multiplier = None,
        quantize = None,
        labels = None,
        images = [],
        settings = [],
        **kwargs):
    """Converts a checkpoint's network to NAME.tflite and its two parts, and checks them.

    The files are NAME.tflite; NAME_extractor.tflite, up to the embedding, and NAME_head.tflite, the
    rest, which begins with the L2_NORMALIZATION; NAME_frozen.pb and NAME_folded.pb, the graphs that they are made
    from; NAME_labels.txt; NAME_report.md and NAME_report.json. Intermediate files are in the
    output groups checkpoint, graph, images and unchecked. The build fails if the product breaks a
    rule, or does not agree with the graph.

    Args:
      name: the target's name, with which the names of the files begin.
      checkpoint: label of the files of one checkpoint: PREFIX.index and PREFIX.data-…, or the
        file of the older format, and its model.json if there is one. If there are several
        checkpoints, the file `checkpoint` says which is the newest.
      image_size: pixels, at least 32. This and the next three describe the network of a checkpoint
        without model.json; they must not contradict a model.json.
      num_classes: at least 1.
      depth_multiplier: a string, such as "0.25".
      quantize: whether it is a quantised network.
      labels: a file of class names, one per line.
      images: labels of JPEG, PNG or TFRecord files. The check uses 128 of the images; if there are
        fewer, several parts of each. By default, images that come with the build.
      settings: network_setting targets, for values from the command line.
      **kwargs: the attributes of all rules: visibility, tags, testonly.
    """
    if type(name) != "string" or not name:
        fail("l2norm_tflite: expected a name, got %r" % (name,))
    if not checkpoint:
        fail("l2norm_tflite %s: expected checkpoint, the label of a checkpoint's files, got %r" % (name, checkpoint))
    if depth_multiplier != None:
        digits = depth_multiplier.replace(".", "", 1) if type(depth_multiplier) == "string" else ""
        if not digits.isdigit() or int(digits) == 0:
            fail("l2norm_tflite %s: expected depth_multiplier to be a number above 0 in quotes, such as \"0.25\", got %r" % (name, depth_multiplier))
    if type(images) != "list":
        fail("l2norm_tflite %s: expected images to be a list of labels, got %r" % (name, images))
    _l2norm_tflite(
        name = name,
        checkpoint = checkpoint,
        images = images,
        labels = labels,
        network_flags = (
            _flag(name, "image_size", image_size, "int", 32) +
            _flag(name, "num_classes", num_classes, "int", 1) +
            _flag(name, "depth_multiplier", depth_multiplier, "string") +
            _flag(name, "quantize", quantize, "bool")
        ),
        settings = settings,
        **kwargs
    )
