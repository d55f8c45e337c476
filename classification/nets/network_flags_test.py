"""Tests of network_flags.py, which does not load the list of networks."""

from absl import flags
from absl.testing import absltest

from classification.nets import model_config, network_flags, networks
from imprinting.base.program_testing import run


class NetworkFlagsTest(absltest.TestCase):
    def test_help_names_all_networks(self):
        named = flags.FLAGS["network"].help.replace(",", " ").replace(".", " ").split()
        self.assertContainsSubset(networks.NETWORKS, named)

    def test_defaults_are_those_of_networks(self):
        for name in network_flags._NAMES:
            default = getattr(model_config.ModelConfig(), name)
            self.assertEqual(flags.FLAGS[name].default, default, name)

    def test_given(self):
        values = []
        run(lambda: values.append(network_flags.given()))
        run(lambda: values.append(network_flags.given()), "--image_size=96", "--quantize=false")
        self.assertEqual(values, [{}, {"image_size": 96, "quantize": False}])


if __name__ == "__main__":
    absltest.main()
