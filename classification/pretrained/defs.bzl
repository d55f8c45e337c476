"""A rule for BUILD files: a network with published weights."""

load("//third_party/tensorflow:environment.bzl", "ENVIRONMENT")

# Those of deployment/deployable.py.
_FILES = [
    "labels.txt",
    "model.ckpt.data-00000-of-00001",
    "model.ckpt.index",
    "model.json",
]

def _pretrained_network_impl(ctx):
    outputs = [ctx.actions.declare_file(ctx.label.name + "/" + name) for name in _FILES]
    inputs = [ctx.file.weights, ctx.file._synsets, ctx.file._lemmas]
    args = ctx.actions.args()
    args.add(ctx.attr.network, format = "--network=%s")
    args.add(ctx.file.weights, format = "--weights=%s")
    args.add(ctx.file._synsets, format = "--synsets=%s")
    args.add(ctx.file._lemmas, format = "--lemmas=%s")
    if ctx.file.moments:
        inputs.append(ctx.file.moments)
        args.add(ctx.file.moments, format = "--moments=%s")
    args.add("--quantize" if ctx.attr.quantize else "--noquantize")
    args.add(outputs[0].dirname, format = "--output_dir=%s")
    ctx.actions.run(
        arguments = [args],
        env = ENVIRONMENT,
        executable = ctx.executable._convert,
        inputs = inputs,
        mnemonic = "ConvertWeights",
        outputs = outputs,
        progress_message = "Converting published weights: %s" % ctx.label,
        tools = [ctx.attr._convert[DefaultInfo].files_to_run],
    )
    return [DefaultInfo(files = depset(outputs), runfiles = ctx.runfiles(files = outputs))]

pretrained_network = rule(
    doc = """A network with published weights for the 1,000 classes of ImageNet.

Its outputs, in the folder NAME/, are those of prepare_checkpoint: a checkpoint with the variables
of inference, model.json and labels.txt.
""",
    implementation = _pretrained_network_impl,
    attrs = {
        "moments": attr.label(allow_single_file = True, doc = "of the network's features"),
        "network": attr.string(doc = "its name for --network", mandatory = True),
        "quantize": attr.bool(default = True, doc = "for a quantised network"),
        "weights": attr.label(allow_single_file = True, doc = "a PyTorch file", mandatory = True),
        "_convert": attr.label(
            cfg = "target",
            default = "//classification/pretrained:convert_weights",
            executable = True,
        ),
        "_lemmas": attr.label(allow_single_file = True, default = "@imagenet//:synset_to_lemma.txt"),
        "_synsets": attr.label(allow_single_file = True, default = "@imagenet//:synsets.txt"),
    },
)
