"""The environment of actions that run TensorFlow, in which numbers and bytes stay the same."""

# Sums are split among threads, so that their number shows in the last digits: it is the same on
# all machines, however many processors they have. And oneDNN's matrix products, which are used
# even with its other operations off, would take the widest instructions that the processor has.
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "PYTHONHASHSEED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_NUM_INTRAOP_THREADS": "2",
}
