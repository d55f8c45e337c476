"""Rules for BUILD files: the network of handwritten digits, trained in the build."""

load("//third_party/tensorflow:environment.bzl", "ENVIRONMENT")

# Those of deployment/deployable.py.
_FILES = [
    "labels.txt",
    "model.ckpt.data-00000-of-00001",
    "model.ckpt.index",
    "model.json",
]

def _digits_network_impl(ctx):
    outputs = [ctx.actions.declare_file(ctx.label.name + "/" + name) for name in _FILES]
    args = ctx.actions.args()
    args.add(outputs[0].dirname, format = "--output_dir=%s")
    for name in ("image_size", "number_of_steps"):
        value = getattr(ctx.attr, name)
        if value < 0:
            fail("%s: expected %s above 0, or none, got %d" % (ctx.label, name, value))
        if value:
            args.add("--%s=%d" % (name, value))
    if ctx.attr.depth_multiplier:
        args.add("--depth_multiplier=" + ctx.attr.depth_multiplier)
    args.add("--quantize" if ctx.attr.quantize else "--noquantize")
    ctx.actions.run(
        arguments = [args],
        env = ENVIRONMENT,
        executable = ctx.executable._train,
        mnemonic = "TrainDigits",
        outputs = outputs,
        progress_message = "Training a network on handwritten digits: %s" % ctx.label,
        tools = [ctx.attr._train[DefaultInfo].files_to_run],
    )
    return [DefaultInfo(files = depset(outputs), runfiles = ctx.runfiles(files = outputs))]

digits_network = rule(
    doc = """A small network, trained on handwritten digits by an action of the build.

Its outputs, in the folder NAME/, are those of prepare_checkpoint: a checkpoint with the variables
of inference, model.json and labels.txt. They have the same bytes each time.
""",
    implementation = _digits_network_impl,
    attrs = {
        "depth_multiplier": attr.string(doc = "a number; default: train's"),
        "image_size": attr.int(doc = "in pixels; default: train's"),
        "number_of_steps": attr.int(doc = "to train; default: train's, which takes minutes"),
        "quantize": attr.bool(default = True, doc = "for a quantised network"),
        "_train": attr.label(
            cfg = "target",
            default = "//classification:train_digits",
            executable = True,
        ),
    },
)
