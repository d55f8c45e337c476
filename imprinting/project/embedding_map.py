"""Places of photos on a plane, so that similar photos are close to each other."""

import enum

import numpy as np

# Below, t-SNE has nothing to arrange.
LEAST_PHOTOS = 3
_PERPLEXITY = 30.0
_SEED = 0
# Below, all photos are the same.
_LEAST_DEVIATION = 1e-6


class Method(enum.Enum):
    """How the plane is found.

    Attributes:
      PCA: the two directions in which the embeddings vary most.
      TSNE: van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008: neighbours stay
        neighbours; distances between groups mean little.
    """

    PCA = "pca"
    TSNE = "tsne"


def places(embeddings: np.ndarray, method: Method) -> np.ndarray:
    """The places of photos.

    Args:
      embeddings: float [n, d].
      method: how to find them.

    Returns:
      float64 [n, 2], in 0..1.

    Raises:
      ValueError: if there are too few photos, or scikit-learn is missing.
    """
    if len(embeddings) < LEAST_PHOTOS:
        raise ValueError(
            f"expected at least {LEAST_PHOTOS} photos for a map, got {len(embeddings)}; add some"
        )
    try:
        # Loading them takes a second, and few users look at the map.
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ValueError(
            "expected scikit-learn, which makes the map, got none; run "
            f"`pip install scikit-learn` ({error})"
        ) from error
    if embeddings.std(axis=0).max() < _LEAST_DEVIATION:
        # t-SNE would divide by 0, and then end the process.
        return np.full([len(embeddings), 2], 0.5)
    found = PCA(2, svd_solver="full", random_state=_SEED).fit_transform(embeddings)
    if method is Method.TSNE:
        perplexity = min(_PERPLEXITY, (len(embeddings) - 1) / 3)
        # A small random part, since t-SNE cannot separate photos that are in the same place.
        noise = np.random.default_rng(_SEED).standard_normal(found.shape)
        start = (1e-4 * (found / found[:, 0].std() + 0.01 * noise)).astype(np.float32)
        found = TSNE(2, perplexity=perplexity, init=start, random_state=_SEED).fit_transform(
            embeddings
        )
    low, high = found.min(axis=0), found.max(axis=0)
    return (found - low) / np.maximum(high - low, 1e-9)
