"""The C++ toolchain: zig's clang and lld, with GNU's libstdc++."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load(
    "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
    "feature",
    "flag_group",
    "flag_set",
    "tool_path",
    "with_feature_set",
)

_COMPILE = [
    ACTION_NAMES.c_compile,
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.assemble,
    ACTION_NAMES.preprocess_assemble,
    ACTION_NAMES.linkstamp_compile,
]
_CPP = [ACTION_NAMES.cpp_compile, ACTION_NAMES.cpp_header_parsing, ACTION_NAMES.linkstamp_compile]
_LINK = [
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
]
_TARGET = "x86_64-linux-gnu.2.36"
_STL = "external/libstdcxx/include"

def _flags(name, actions, flags, with_features = []):
    return feature(
        name = name,
        enabled = True,
        flag_sets = [flag_set(actions = actions, flag_groups = [flag_group(flags = flags)], with_features = with_features)],
    )

def _impl(ctx):
    tools = {
        "ar": "zig-ar",
        "cpp": "zig-c++",
        "gcc": "zig-c++",
        "gcov": "/bin/false",
        "ld": "zig-c++",
        "nm": "/bin/false",
        "objcopy": "/bin/false",
        "objdump": "/bin/false",
        "strip": "/bin/false",
    }
    features = [
        feature(name = "opt"),
        feature(name = "dbg"),
        feature(name = "fastbuild"),
        feature(name = "supports_pic", enabled = True),
        # -I instead of -isystem: zig puts its C library's headers before every -isystem, where
        # libstdc++'s #include_next would not find them.
        _flags("default_compile_flags", _COMPILE, [
            "-target",
            _TARGET,
            "-fno-sanitize=undefined",
            "-fno-omit-frame-pointer",
            "-ffile-compilation-dir=.",
            "-no-canonical-prefixes",
            "-D__DATE__=\"redacted\"",
            "-D__TIMESTAMP__=\"redacted\"",
            "-D__TIME__=\"redacted\"",
            "-Wno-builtin-macro-redefined",
            "-g0",
        ]),
        _flags("libstdcxx_headers", _CPP, [
            "-std=c++17",
            "-nostdinc++",
            "-I" + _STL + "/c++/12",
            "-I" + _STL + "/x86_64-linux-gnu/c++/12",
            "-I" + _STL + "/c++/12/backward",
        ]),
        feature(
            name = "optimise",
            enabled = True,
            flag_sets = [
                flag_set(
                    actions = _COMPILE,
                    flag_groups = [flag_group(flags = ["-O2", "-DNDEBUG"])],
                    with_features = [with_feature_set(not_features = ["dbg"])],
                ),
                flag_set(
                    actions = _COMPILE,
                    flag_groups = [flag_group(flags = ["-O0"])],
                    with_features = [with_feature_set(features = ["dbg"])],
                ),
            ],
        ),
        _flags("default_link_flags", _LINK, [
            "-target",
            _TARGET,
            "-nostdlib++",
            "external/libstdcxx/lib64/libstdc++.so.6",
            "external/libstdcxx/lib64/libgcc_s.so.1",
            "-s",
        ]),
    ]
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "glibc_2.36",
        abi_version = "gcc",
        builtin_sysroot = "",
        compiler = "clang",
        cxx_builtin_include_directories = ["%package(@zig//)%/site/ziglang/ziglang/lib", "%package(@libstdcxx//)%/include"],
        features = features,
        host_system_name = "local",
        target_cpu = "k8",
        target_libc = "glibc_2.36",
        target_system_name = "x86_64-linux-gnu",
        tool_paths = [tool_path(name = n, path = p) for n, p in tools.items()],
        toolchain_identifier = "zig-x86_64-linux-gnu",
    )

cc_toolchain_config = rule(
    implementation = _impl,
    provides = [CcToolchainConfigInfo],
)
