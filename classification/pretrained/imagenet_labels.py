"""The names of the 1,000 classes of ImageNet, in the order in which classifiers number them."""

import collections

NUM_CLASSES = 1000


def read(synsets: str, lemmas: str) -> tuple[str, ...]:
    """Reads the names from the two files that list them.

    Args:
      synsets: a file with the WordNet ID of each class, in order, one per line.
      lemmas: a file with a line for each WordNet ID: the ID, a tab, and its names, separated by
        commas. It may have more IDs.

    Returns:
      The first name of each class; all its names if the first is also that of another class. Two
      classes may have the same names, as the bird and the machine called crane.

    Raises:
      OSError: if a file cannot be read.
      ValueError: if there are not 1,000 classes, or one has no name.
    """
    with open(synsets, encoding="utf-8") as file:
        ids = file.read().split()
    if len(ids) != NUM_CLASSES:
        raise ValueError(f"{synsets}: expected {NUM_CLASSES} WordNet IDs, got {len(ids)}")
    names = {}
    with open(lemmas, encoding="utf-8") as file:
        for line in file:
            wordnet_id, _, text = line.strip().partition("\t")
            names[wordnet_id] = text
    missing = [wordnet_id for wordnet_id in ids if not names.get(wordnet_id)]
    if missing:
        raise ValueError(
            f"{lemmas}: expected a name for each WordNet ID of {synsets}, got none for "
            f"{len(missing)} of them, such as {missing[0]}"
        )
    first = [names[wordnet_id].split(",")[0] for wordnet_id in ids]
    count = collections.Counter(first)
    return tuple(
        names[wordnet_id] if count[name] > 1 else name
        for wordnet_id, name in zip(ids, first, strict=True)
    )
