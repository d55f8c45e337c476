"""What a project keeps of its photos."""

import pathlib
from typing import NamedTuple


class Photo(NamedTuple):
    """A photo of a project.

    Attributes:
      id: its number, which no other photo of the project ever gets.
      name: the name of the file that it was added from.
      path: its file.
    """

    id: int
    name: str
    path: pathlib.Path


class StoredFile(NamedTuple):
    """The file of a photo in the project's folder.

    Attributes:
      digest: the SHA-256 of its contents.
      name: its name.
    """

    digest: str
    name: str


class Computed(NamedTuple):
    """What a network computed from a photo: quanta, one row for each view of it.

    Attributes:
      views: the number of views.
      embeddings: the bytes of its embeddings.
      features: those of the features before these.
    """

    views: int
    embeddings: bytes
    features: bytes
