"""Tests of shipped_networks.py."""

from absl.testing import absltest, parameterized

from classification.nets import checkpoints, model_config, networks
from classification.pretrained import shipped_networks


class ShippedNetworksTest(parameterized.TestCase):
    @parameterized.parameters(*shipped_networks.NETWORKS)
    def test_is_a_complete_quantised_network_of_imagenet(self, name):
        folder = shipped_networks.find(name)
        model = model_config.read(folder)
        self.assertEqual((model.network, model.num_classes, model.quantize), (name, 1000, True))
        self.assertEqual(model.image_size, networks.get(name).image_size)
        self.assertEqual((model.labels[0], model.labels[-1]), ("tench", "toilet tissue"))
        checkpoint = checkpoints.find(folder)
        self.assertIsNone(checkpoint.damage)
        self.assertTrue(checkpoint.is_quantised)

    @parameterized.parameters("mobilenet_v1", "efficientnet_lite3", "none")
    def test_others_have_no_published_weights(self, name):
        self.assertIsNone(shipped_networks.find(name))


if __name__ == "__main__":
    absltest.main()
