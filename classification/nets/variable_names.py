"""Names of the head's variables in checkpoints: those that TensorFlow 1's tools gave them.

A quantised network has a range, NAME/min and NAME/max, for each attribute that ends with `range`.
"""

GLOBAL_STEP = "global_step"


class HeadNames:
    """The names of the variables of a network's head, which follows its base.

    Attributes:
      head: what the names of all of them begin with.
      embedding_kernel, embedding_biases: of the embedding's convolution.
      embedding_kernel_range: of its kernel.
      embedding_input_range: of the embedding before it is normalised.
      embedding_range: of the embedding after it is normalised.
      classes: what the names of the last layer's variables begin with.
      class_vectors, class_biases: of the last layer.
      class_vectors_range: of its kernel.
      cosines_range: of its result.
      scale_factor: the factor of the cosines.
      logits_range: of the cosines times this factor.
    """

    def __init__(self, scope: str):
        """Takes the scope of the network's variables."""
        self.head = f"{scope}/Logits/"
        embedding = self.head + "Conv2d_1c_1x1_negative/"
        self.embedding_kernel = embedding + "weights"
        self.embedding_biases = embedding + "biases"
        self.embedding_kernel_range = embedding + "weights_quant"
        self.embedding_input_range = embedding + "act_quant"
        self.embedding_range = self.head + "Normalize_1a/activation_Mul_quant"
        self.classes = self.head + "Conv2d_1d_1x1_normalize/"
        self.class_vectors = self.classes + "weights"
        self.class_biases = self.classes + "biases"
        self.class_vectors_range = self.classes + "weights_quant"
        self.cosines_range = self.classes + "act_quant"
        self.scale_factor = self.head + "scale_factor"
        self.logits_range = self.head + "Mul/activation_Mul_quant"


def limits(range_name: str) -> tuple[str, str]:
    """The names of the least and the greatest value of a range."""
    return f"{range_name}/min", f"{range_name}/max"
