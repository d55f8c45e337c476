"""Tests of head_runner.py: the two parts compute what the complete model does."""

import numpy as np
from absl.testing import absltest

from imprinting.tflite import inference, model_file, model_graph
from imprinting.tflite.head_runner import HeadRunner
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.inference import Kernels
from transforms.conversion import testing


class HeadRunnerTest(absltest.TestCase):
    def test_equals_the_complete_model(self):
        model = model_file.parse(testing.small().model)
        graph = model_graph.graph(model)
        embedding = graph.named("L2_NORMALIZATION")[0].outputs[0]
        output = graph.outputs[0]
        images = testing.images(4)
        expected = inference.run(
            model, images, kernels=Kernels.DEFAULT, fetch=[output.index, embedding.index]
        )
        runner = HeadRunner(model, threads=2)
        self.assertEqual(runner.image_size, testing.SIZE)
        for image, probabilities, unit in zip(images, *expected, strict=True):
            result = runner.run(image)
            np.testing.assert_array_equal(result.probabilities, output.dequantise(probabilities))
            np.testing.assert_array_equal(result.embedding, embedding.dequantise(unit.reshape(-1)))

    def test_another_head(self):
        model = model_file.parse(testing.small().model)
        images = testing.images(2)
        runner = HeadRunner(model)
        engine = ImprintingEngine(model, keep_classes=False)
        for number, image in enumerate(images):
            engine.add(number, runner.run(image).embedding[np.newaxis])
        changed = engine.build().tflite_model
        (expected,) = inference.run(changed, images, kernels=Kernels.DEFAULT)
        runner.replace_head(changed)
        for image, probabilities in zip(images, expected, strict=True):
            np.testing.assert_array_equal(
                runner.run(image).probabilities, probabilities.astype(np.float32) / 256
            )


if __name__ == "__main__":
    absltest.main()
