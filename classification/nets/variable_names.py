"""Names of the head's variables in checkpoints: those that TensorFlow 1's tools gave them.

A quantised network has a range, NAME/min and NAME/max, for each name that ends with RANGE here.
"""

HEAD = "MobilenetV1/Logits/"

EMBEDDING = HEAD + "Conv2d_1c_1x1_negative/"
EMBEDDING_KERNEL = EMBEDDING + "weights"
EMBEDDING_BIASES = EMBEDDING + "biases"
EMBEDDING_KERNEL_RANGE = EMBEDDING + "weights_quant"
# The embedding's ranges before and after it is normalised.
EMBEDDING_INPUT_RANGE = EMBEDDING + "act_quant"
EMBEDDING_RANGE = HEAD + "Normalize_1a/activation_Mul_quant"

CLASSES = HEAD + "Conv2d_1d_1x1_normalize/"
CLASS_VECTORS = CLASSES + "weights"
CLASS_BIASES = CLASSES + "biases"
CLASS_VECTORS_RANGE = CLASSES + "weights_quant"
COSINES_RANGE = CLASSES + "act_quant"

SCALE_FACTOR = HEAD + "scale_factor"
LOGITS_RANGE = HEAD + "Mul/activation_Mul_quant"

# The range of the base's last layer, which pooling keeps.
FEATURES_RANGE = "MobilenetV1/MobilenetV1/Conv2d_13_pointwise/act_quant"

# The last layer of tf-slim's published classifiers, which this project's networks do not have.
PUBLISHED_LOGITS = HEAD + "Conv2d_1c_1x1/"
PUBLISHED_LOGITS_KERNEL = PUBLISHED_LOGITS + "weights"
PUBLISHED_LOGITS_BIASES = PUBLISHED_LOGITS + "biases"

GLOBAL_STEP = "global_step"


def limits(range_name: str) -> tuple[str, str]:
    """The names of the least and the greatest value of a range."""
    return f"{range_name}/min", f"{range_name}/max"
