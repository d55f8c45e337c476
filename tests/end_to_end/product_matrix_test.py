"""Tests of products of many networks: widths, sizes, numbers of classes, quantised and float.

Each takes the steps of the rule l2norm_tflite, in this process: export, freeze, fold, convert,
split, check.
"""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.deployment import check_images
from classification.nets.model_config import ModelConfig
from imprinting.tflite import metadata, model_file, product_rules
from imprinting.tflite.inference import Kernels
from tests.end_to_end import calibrated_network, checkpoint_products
from transforms.conversion import check

_IMAGES = 64
_OPERATORS = 16 + 13 + 5  # Conv2D, depthwise; pool, L2 norm, mul, reshape, softmax.


def _images(size: int, different: int) -> np.ndarray:
    """Photos, uint8 [64, size, size, 3]: `different` photos, repeated with a little noise.

    Each of the different photos has its own class vector. Other photos could be equally near to two
    classes, and would have no right answer.
    """
    photos = check_images.of_photographs(_IMAGES, image_size=size).images.astype(int)
    noise = np.random.default_rng(0).integers(-6, 7, photos.shape)
    return np.clip(photos[np.arange(_IMAGES) % different] + noise, 0, 255).astype(np.uint8)


class ProductMatrixTest(parameterized.TestCase):
    @parameterized.parameters(
        # depth multiplier, image size, classes, quantised
        (0.25, 160, 2, True),
        (0.25, 224, 10, True),
        (0.5, 96, 1001, True),
        (0.75, 64, 100, True),
        (1.0, 64, 5000, True),
        (0.25, 128, 2, False),
        (0.5, 96, 1001, False),
        (0.75, 64, 10, False),
        (1.0, 32, 5000, False),
    )
    def test_checked(self, multiplier, size, classes, quantize):
        config = ModelConfig(
            image_size=size,
            depth_multiplier=multiplier,
            num_classes=classes,
            quantize=quantize,
        )
        images = _images(size, min(classes, _IMAGES))
        folder = self.create_tempdir().full_path
        prefix = calibrated_network.write(folder, config, images)
        built = checkpoint_products.build(config, prefix)
        labels = [f"class {i}" for i in range(classes)]
        # Raises an error if a rule is broken, or a figure is not within its limit.
        checked = check.check(
            tflite_model=built.tflite_model,
            extractor=built.parts.extractor,
            head=built.parts.head,
            frozen=tf.GraphDef.FromString(built.frozen),
            images=images,
            labels=labels,
        )
        for kernels in Kernels:
            for f in checked.agreement[kernels]:
                print(
                    f"{kernels.value} {f.name} {f.value:.5g} limit {f.limit} "
                    f"kernel disagreement {f.kernel_disagreement}"
                )
        self.assertEqual(checked.quantised, quantize)
        self.assertSequenceEqual(metadata.labels_of(checked.tflite_model), labels)
        product = model_file.parse(checked.tflite_model)
        self.assertEqual(product_rules.check(product, quantised=quantize), [])
        self.assertLen(product.subgraphs[0].operators, _OPERATORS)


if __name__ == "__main__":
    absltest.main()
