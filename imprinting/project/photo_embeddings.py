"""What the network of a project computed from its photos."""

import concurrent.futures
import threading
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from imprinting.embedding import unit_vectors
from imprinting.inference import default_model
from imprinting.project.network import Fitted, Network
from imprinting.project.records import Computed
from imprinting.project.state import Fit, State
from imprinting.project.store import Store

# Photos whose results are written to the disk at once.
_BATCH = 32
_MOST_THREADS = 8
# In memory; a second one is used while a project is opened.
_MOST_NETWORKS = 2

# Called with the number of photos done and their number.
OnProgress = Callable[[int, int], None]


def ignore(done: int, total: int) -> None:
    """An `OnProgress` for nobody."""


class PhotoEmbeddings:
    """Embeddings of the photos of a project. Several threads may use it."""

    def __init__(self, store: Store, lock: threading.RLock) -> None:
        """Prepares the results.

        Args:
          store: the project's folder.
          lock: held while the state of the project changes.
        """
        self._store = store
        self._lock = lock
        self._networks: dict[str, Network] = {}
        self._computed: dict[int, Computed] = {}
        self._computed_for: str | None = None
        # The embeddings that classes are made from, by photo, for a network and a fit.
        self._embeddings: dict[int, np.ndarray] = {}
        self._embeddings_for: tuple[str, str] | None = None

    def network(self, base: str) -> Network:
        """A network.

        Args:
          base: its digest; see `State.base`.
        """
        with self._lock:
            if base not in self._networks:
                network = Network(self._file_of(base))
                last = list(self._networks.items())[1 - _MOST_NETWORKS :]
                self._networks = {**dict(last), base: network}
            return self._networks[base]

    def fitted(self, state: State) -> Fitted | None:
        """The network that was fitted to a state's photos, if one is in use."""
        return self._fitted(state.base, state.active_fit)

    def check(self, state: State) -> None:
        """Raises a ValueError if a state's fit was not made from its network, in use or not."""
        self._fitted(state.base, state.fit)

    def knows(self, photo: int, base: str) -> bool:
        """Whether it is known what a network computes from a photo."""
        with self._lock:
            return photo in self._results(base)

    def learn(self, photo: int, base: str, computed: Computed) -> None:
        """Takes what a network computed from a photo, after it was written to the disk."""
        with self._lock:
            self._results(base).setdefault(photo, computed)

    def complete(
        self, base: str, photos: Sequence[int], views: int, on_progress: OnProgress = ignore
    ) -> list[Computed]:
        """What a network computes from photos; what is missing is computed.

        Args:
          base: the network.
          photos: their ids.
          views: the least number of views of each.
          on_progress: called for those that are computed.

        Raises:
          BadImageError: if a photo's file was damaged.
          OSError: if it is missing.
        """
        with self._lock:
            network, known = self.network(base), dict(self._results(base))
        missing = [
            photo
            for photo in dict.fromkeys(photos)
            if photo not in known or known[photo].views < views
        ]

        def compute(photo: int) -> Computed:
            return network.compute(self._store.photo(photo).path, views=views)

        with concurrent.futures.ThreadPoolExecutor(_MOST_THREADS) as pool:
            for start in range(0, len(missing), _BATCH):
                batch = missing[start : start + _BATCH]
                found = dict(zip(batch, pool.map(compute, batch), strict=True))
                known |= found
                with self._lock:
                    with self._store.change():
                        for photo, computed in found.items():
                            self._store.put_computed(photo, base, computed)
                    self._results(base).update(found)
                on_progress(start + len(batch), len(missing))
        return [known[photo] for photo in photos]

    def of(self, state: State, photos: Iterable[int]) -> np.ndarray:
        """The embeddings of photos, in the network or its fit, float32 [n, d] of unit length."""
        photos = list(photos)
        with self._lock:
            fit, network = state.active_fit, self.network(state.base)
            model = fit.model if fit and fit.weight else ""
            if self._embeddings_for != (state.base, model):
                self._embeddings, self._embeddings_for = {}, (state.base, model)
            fitted = self.fitted(state) if model else None
            missing = [photo for photo in dict.fromkeys(photos) if photo not in self._embeddings]
            for photo, computed in zip(missing, self.complete(state.base, missing, 1), strict=True):
                # A fit needs more views; without one, answers do not depend on an earlier fit.
                views = computed.views if fitted else 1
                embeddings, features = network.values([computed], views=views)
                if fitted:
                    embeddings = fitted.embed(features)
                self._embeddings[photo] = unit_vectors.mean(embeddings)[0]
            return np.stack([self._embeddings[photo] for photo in photos])

    def _fitted(self, base: str, fit: Fit | None) -> Fitted | None:
        if not fit or not fit.model:
            return None
        return self.network(base).fitted(fit.model, lambda: self._store.model(fit.model))

    def _file_of(self, base: str) -> bytes:
        if base:
            return self._store.model(base)
        with open(default_model.path(), "rb") as file:
            return file.read()

    def _results(self, base: str) -> dict[int, Computed]:
        if self._computed_for != base:
            self._computed, self._computed_for = self._store.computed(base), base
        return self._computed
