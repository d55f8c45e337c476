"""What a project consists of at one moment: classes with their photos, and settings.

States do not change; each change makes a new one. So a history of states is all that Undo needs.
Photos and models are only numbers and digests here; see store.py.
"""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from imprinting import arguments

MOST_CLASSES = 1000
MOST_PHOTOS = 20_000
LONGEST_NAME = 200
# They would change the direction of the text around a name (Unicode Standard Annex 9, section 2).
_DIRECTIONS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
# JavaScript's integers are exact up to here.
_GREATEST_ID = 2**53 - 1
_LONGEST_TEXT = 10_000


class ConflictError(ValueError):
    """Another class has the name.

    Attributes:
      class_id: that class.
    """

    def __init__(self, name: str, class_id: int) -> None:
        super().__init__(
            f"expected a name that no other class has, got {name}; take another one, or merge the "
            "two classes"
        )
        self.class_id = class_id


@dataclasses.dataclass(frozen=True)
class PhotoClass:
    """A class of the user's.

    Attributes:
      id: its number, which no other class of the project ever gets.
      name: a line of text.
      photos: the ids of its photos, in the order in which they were added.
    """

    id: int
    name: str
    photos: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Fit:
    """A network whose embedding and scale factor were fitted to photos.

    Attributes:
      model: the digest of the fitted network's file; empty if the network stays as it is.
      keeps_classes: whether its own classes were kept.
      photos: the ids of the photos that it was fitted to.
      before: the fraction of held-out photos that were recognised without the fit; None if there
        were too few photos to hold some out.
      after: the same with the fit.
      description: what was fitted, in sentences.
      weight: that of the photos in the fitted embedding, in 0..1; 0 if it was not changed, but
        perhaps the scale factor.
    """

    model: str
    keeps_classes: bool
    photos: tuple[int, ...]
    before: float | None
    after: float | None
    description: str
    weight: float


@dataclasses.dataclass(frozen=True)
class State:
    """A project at one moment.

    Attributes:
      classes: the user's classes.
      base: the digest of the network's file; empty for the one that comes with the package.
      base_name: the name of the file that the network was opened from.
      keep_classes: whether the network's own classes are kept.
      threshold: the probability below which a photo is unknown, in [0, 1].
      fit: the last fit.
      next_id: the id of the next class.
    """

    classes: tuple[PhotoClass, ...] = ()
    base: str = ""
    base_name: str = ""
    keep_classes: bool = True
    threshold: float = 0.2
    fit: Fit | None = None
    next_id: int = 1

    @property
    def num_photos(self) -> int:
        """The number of photos of all classes."""
        return sum(len(each.photos) for each in self.classes)

    @property
    def active_fit(self) -> Fit | None:
        """The fit, if it was made with the same position of `keep_classes`."""
        return self.fit if self.fit and self.fit.keeps_classes == self.keep_classes else None

    @property
    def with_photos(self) -> tuple[PhotoClass, ...]:
        """The classes that have photos."""
        return tuple(each for each in self.classes if each.photos)

    def of(self, class_id: int) -> PhotoClass:
        """The class with an id. Raises a ValueError if there is none."""
        for each in self.classes:
            if each.id == class_id:
                return each
        raise ValueError(
            f"expected one of the project's classes, got number {class_id}, which was removed; "
            "load the page again"
        )

    def named(self, name: str) -> PhotoClass | None:
        """The class with a name, or None."""
        return next((each for each in self.classes if each.name == name), None)

    def add_class(self, name: str) -> tuple["State", int]:
        """Adds a class, unless there is one of that name; also returns its id.

        Raises:
          ValueError: if the name is not a line of text, or there are too many classes.
        """
        name = checked_name(name)
        found = self.named(name)
        if found:
            return self, found.id
        if len(self.classes) >= MOST_CLASSES:
            raise ValueError(
                f"expected at most {MOST_CLASSES:,} classes in a project, got one more; merge or "
                "remove some"
            )
        added = PhotoClass(self.next_id, name)
        changed = dataclasses.replace(
            self, classes=(*self.classes, added), next_id=self.next_id + 1
        )
        return changed, added.id

    def rename(self, class_id: int, name: str) -> "State":
        """Gives a class another name.

        Raises:
          ConflictError: if another class has it.
          ValueError: if it is not a line of text, or there is no such class.
        """
        name = checked_name(name)
        found = self.named(name)
        if found and found.id != class_id:
            raise ConflictError(name, found.id)
        return self._with(dataclasses.replace(self.of(class_id), name=name))

    def remove_class(self, class_id: int) -> "State":
        """Removes a class with its photos."""
        removed = self.of(class_id)
        return dataclasses.replace(
            self, classes=tuple(each for each in self.classes if each != removed)
        )

    def merge(self, class_id: int, into: int) -> "State":
        """Moves the photos of a class to another one, and removes the class."""
        if class_id == into:
            raise ValueError("expected two classes to merge, got the same class twice")
        moved, kept = self.of(class_id), self.of(into)
        photos = dict.fromkeys((*kept.photos, *moved.photos))
        return self.remove_class(class_id)._with(dataclasses.replace(kept, photos=tuple(photos)))

    def add_photo(self, class_id: int, photo: int) -> "State":
        """Adds a photo to a class, which may have it already.

        Raises:
          ValueError: if there is no such class, or there are too many photos.
        """
        found = self.of(class_id)
        if photo in found.photos:
            return self
        check_room(self.num_photos + 1)
        return self._with(dataclasses.replace(found, photos=(*found.photos, photo)))

    def remove_photo(self, class_id: int, photo: int) -> "State":
        """Removes a photo from a class.

        Raises:
          ValueError: if there is no such class, or it has no such photo.
        """
        found = self.of(class_id)
        if photo not in found.photos:
            raise ValueError(
                f"expected a photo of {found.name}, got number {photo}, which is not there any "
                "more; load the page again"
            )
        return self._with(
            dataclasses.replace(found, photos=tuple(p for p in found.photos if p != photo))
        )

    def move_photo(self, photo: int, class_id: int, to: int) -> "State":
        """Moves a photo from a class to another one."""
        return self.remove_photo(class_id, photo).add_photo(to, photo)

    def without_fit(self) -> "State":
        """The state with the network as it was before the fit."""
        return dataclasses.replace(self, fit=None)

    def photos(self) -> Iterator[int]:
        """The ids of all photos, class by class; a photo may be in several classes."""
        for each in self.classes:
            yield from each.photos

    def to_json(self) -> str:
        """The state as text."""
        # Not `dataclasses.asdict`, which copies each number; this is called for each photo.
        found = vars(self) | {"classes": list(map(vars, self.classes))}
        found["fit"] = self.fit and vars(self.fit)
        return json.dumps(found, ensure_ascii=False, separators=(",", ":"))

    def _with(self, changed: PhotoClass) -> "State":
        return dataclasses.replace(
            self, classes=tuple(changed if c.id == changed.id else c for c in self.classes)
        )


def from_json(text: str) -> State:
    """Reads what `State.to_json` wrote, perhaps on another machine.

    Raises:
      ValueError: if it is something else.
    """
    try:
        return _state(json.loads(text))
    except (TypeError, KeyError, AttributeError, RecursionError, ArithmeticError) as error:
        raise ValueError(f"expected the description of a project, got another ({error!r})") from (
            error
        )
    except ValueError as error:
        raise ValueError(f"expected the description of a project, got another ({error})") from error


def checked_name(name: str) -> str:
    """Returns the name of a class in Unicode's form NFC, without space at its ends.

    Raises:
      ValueError: if it is not a line of text, or is too long.
    """
    try:
        name = arguments.label(name.strip())
    except ValueError as error:
        raise ValueError(
            f"expected the name of a class, a line of text, got {name[:LONGEST_NAME]!r}; take "
            "another name"
        ) from error
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"expected a name of at most {LONGEST_NAME} characters, got {len(name)}; shorten it"
        )
    is_visible = any(c.isprintable() and not c.isspace() for c in name)
    if not is_visible or any(ord(c) in _DIRECTIONS or ord(c) & 0xFFFE == 0xFFFE for c in name):
        raise ValueError(
            f"expected a name that can be seen, without characters that change the direction of "
            f"text, got {name!r}; take another name"
        )
    if name.casefold() == arguments.UNKNOWN:
        raise ValueError(
            f"expected another name than {name}, which is the answer below the threshold; take "
            "another name"
        )
    return name


def check_room(num_photos: int) -> None:
    """Raises a ValueError if a project cannot have so many photos."""
    if num_photos > MOST_PHOTOS:
        raise ValueError(
            f"expected at most {MOST_PHOTOS:,} photos in a project, got more; remove some, or use "
            "`imprinting imprint`, which has no limit"
        )


def _state(found: dict[str, Any]) -> State:
    classes = tuple(
        PhotoClass(_id(each["id"]), checked_name(each["name"]), tuple(map(_id, each["photos"])))
        for each in found["classes"]
    )
    if len({each.id for each in classes}) < len(classes):
        raise ValueError("two classes have the same number")
    if len({each.name for each in classes}) < len(classes) or len(classes) > MOST_CLASSES:
        raise ValueError(f"expected at most {MOST_CLASSES} classes of different names")
    fit = None
    if found["fit"] is not None:
        fit = Fit(
            model=_text(found["fit"]["model"]),
            keeps_classes=bool(found["fit"]["keeps_classes"]),
            photos=tuple(map(_id, found["fit"]["photos"])),
            before=_fraction(found["fit"]["before"]),
            after=_fraction(found["fit"]["after"]),
            description=_text(found["fit"]["description"]),
            weight=arguments.threshold(found["fit"]["weight"]),
        )
    state = State(
        classes,
        base=_text(found["base"]),
        base_name=_text(found["base_name"]),
        keep_classes=bool(found["keep_classes"]),
        threshold=arguments.threshold(found["threshold"]),
        fit=fit,
        next_id=max([_id(found["next_id"]), *(each.id + 1 for each in classes)]),
    )
    check_room(state.num_photos)
    return state


def _id(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= _GREATEST_ID:
        raise ValueError(f"expected a number from 1 on, got {value!r:.100}")
    return value


def _text(value: Any) -> str:
    is_text = isinstance(value, str) and len(value) <= _LONGEST_TEXT
    if not is_text or any(not c.isprintable() and c != "\n" for c in value):
        raise ValueError(f"expected a text, got {value!r:.100}")
    return str(value)


def _fraction(value: Any) -> float | None:
    return None if value is None else arguments.threshold(value)
