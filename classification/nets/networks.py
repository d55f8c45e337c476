"""The list of networks."""

from collections.abc import Iterable

from classification.nets import efficientnet_lite, mobilenet_v1
from classification.nets.network import Network

# By name. To add a network, add it here.
NETWORKS: dict[str, Network] = {
    network.name: network for network in (mobilenet_v1.NETWORK, *efficientnet_lite.NETWORKS)
}

# The network that training on a user's own data takes by default.
DEFAULT = "efficientnet_lite0"


def get(name: str) -> Network:
    """The network with a name.

    Raises:
      ValueError: if there is none.
    """
    if name not in NETWORKS:
        raise ValueError(f"expected a network out of {', '.join(NETWORKS)}, got {name!r}")
    return NETWORKS[name]


def of_variables(names: Iterable[str]) -> Network | None:
    """The network that a checkpoint with variables of these names is of; None if it is unknown."""
    scopes = {name.partition("/")[0] for name in names}
    found = [network for network in NETWORKS.values() if network.scope in scopes]
    return found[0] if len(found) == 1 else None
