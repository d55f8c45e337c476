"""The environment of actions that run TensorFlow, which makes their results reproducible."""

# Threads share the terms of a sum, so the last digits depend on the number of threads: it is the same
# on all machines. oneDNN's matrix products, which TensorFlow uses even if oneDNN is off, would use the
# widest instructions of the processor.
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
