"""Tests of products of the published networks, with their weights, on photos of ImageNet.

The published classifiers have no L2-normalised head. They get one without training, as
prepare_checkpoint adds it, from the features of the photos at even positions. The top-1 predictions
are compared with those of the graph, and with the labels of the photos at odd positions.
"""

import os

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.deployment import check_images, deployable, published_head
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from imprinting.tflite import inference, metadata, model_file
from imprinting.tflite.inference import Kernels
from tests.end_to_end import checkpoint_products
from tests.reference import files
from transforms.conversion import check

# Every 8th of the thousand photos is compared with the graph.
_COMPARED_STEP = 8


def _photographs() -> list[str]:
    """The photos in the order of their classes, from 1; class 0 is the background."""
    folder = files.path("data", "imagenet_sample")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if "_" in name]


class PublishedProductsTest(parameterized.TestCase):
    @parameterized.parameters(
        # On all thousand photos, the accuracy of the published classifiers is .829 and .464.
        ("mobilenet_v1_1.0_224_quant.ckpt", 1.0, 224, 0.8),
        ("mobilenet_v1_0.25_128_quant.ckpt", 0.25, 128, 0.44),
    )
    def test_checked(self, name, multiplier, size, least_accuracy):
        model = ModelConfig(image_size=size, depth_multiplier=multiplier, quantize=True)
        checkpoint = os.path.join(files.path("checkpoints"), name)
        with open(files.path("models", "imagenet_labels.txt")) as file:
            labels = file.read().splitlines()
        model = deployable.portable(model, tuple(labels))
        folder = os.path.join(self.create_tempdir().full_path, "network")
        photographs = _photographs()
        even, odd = photographs[::2], photographs[1::2]
        seen = check_images.of_files(even, len(even), image_size=size).images
        published = published_head.read(Checkpoint(checkpoint), model, seen)
        deployable.write(folder, model, published.values)
        built = checkpoint_products.build(model, os.path.join(folder, "model.ckpt"))

        compared = photographs[::_COMPARED_STEP]
        checked = check.check(
            tflite_model=built.tflite_model,
            extractor=built.parts.extractor,
            head=built.parts.head,
            frozen=tf.GraphDef.FromString(built.frozen),
            images=check_images.of_files(compared, len(compared), image_size=size).images,
            labels=labels,
        )
        figures = {k: {f.name: f for f in v} for k, v in checked.agreement.items()}
        for kernels, measured in figures.items():
            print(name, kernels.value, *(f"{f.name} {f.value:.5g}" for f in measured.values()))
        # For the default kernels, limits that are almost as strict as without relaxation.
        default = figures[Kernels.DEFAULT]
        self.assertGreaterEqual(default["embedding_cosine_mean"].value, 0.994)
        self.assertGreaterEqual(default["embedding_cosine_worst"].value, 0.99)
        self.assertGreaterEqual(default["top1_equal"].value, 0.97)
        self.assertLessEqual(default["logits_p99"].value, 5)
        self.assertSequenceEqual(metadata.labels_of(checked.tflite_model), labels)

        images = check_images.of_files(odd, len(odd), image_size=size).images
        (probabilities,) = inference.run(
            model_file.parse(checked.tflite_model), images, kernels=Kernels.DEFAULT
        )
        guesses = probabilities.reshape(len(images), -1).argmax(axis=1)
        accuracy = np.mean(guesses == np.arange(1, 1001)[1::2])
        print(name, f"top-1 of {len(images)} photographs: {accuracy:.3f}")
        self.assertGreaterEqual(accuracy, least_accuracy)


if __name__ == "__main__":
    absltest.main()
