"""Imprinting with an embedding that is fitted to the examples, in closed form."""

import numpy as np

from classification.low_shot import protocol
from classification.low_shot.protocol import Classifier, Task
from imprinting.embedding import linear_embedding, unit_vectors
from imprinting.embedding.fit import Fitter, Kept
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.embedding.samples import Samples


def imprint_fitted(task: Task) -> Classifier:
    """Imprinting after a regularised linear discriminant analysis (see `embedding.fit`).

    The embedding is fitted to all views of the examples of the novel classes, with a weight that is
    chosen by cross-validation among the classes of the task; the base's class vectors are mapped to
    the new embedding. It stays as it is, as in `protocol.imprint`, if a fit does not help, or if
    nothing varies within a class: a single example of each class in a single view.

    `imprint --fit_embedding` fits to features before they are scaled to unit length, and this to
    embeddings e of unit length, as features in the metric I. The cosines of a linear embedding do
    not depend on these lengths, so the result is the same except for the covariance within the
    classes, to which all photos contribute equally here, and for the rounding of embeddings and
    of the deployed kernel.

    Args:
      task: the task; at least one novel class. There may be no base.

    Returns:
      Cosines in the fitted embedding, float [n, classes].
    """
    examples = task.novel
    embeddings = examples.embeddings
    if embeddings.ndim == 2:
        embeddings = embeddings[:, np.newaxis]
    samples = Samples(embeddings, examples.labels - task.num_base)
    depth = embeddings.shape[-1]
    given = LinearEmbedding(np.eye(depth), np.zeros(depth))
    kept = Kept(task.base_vectors, np.zeros(task.num_base, bool))
    fitter = Fitter(samples, given, kept)
    weight = fitter.choose().weight
    if not weight:
        return protocol.imprint(task)
    fitted = fitter.fit(weight)
    base = linear_embedding.map_functionals(task.base_vectors, given, fitted)
    everything = np.ones(len(samples.classes), bool)
    novel = samples.class_vectors(fitted.of(embeddings), everything)
    vectors = np.concatenate([base, novel])
    return lambda tests: unit_vectors.unit(fitted.of(tests)) @ vectors.T
