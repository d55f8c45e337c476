"""Files that leave a project: the classifier, its parts, its photos, a report."""

import contextlib
import io
import re
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

from imprinting.base import labels
from imprinting.photos.photo_file import BadImageError
from imprinting.project import photo_check, pictures, report, zip_files
from imprinting.project.classifier import NoClassesError
from imprinting.project.project import Project
from imprinting.tflite import edge_tpu, inference, metadata, model_file, split

THUMBNAIL_SIZE = 160
_MOST_THUMBNAILS = 6
_NAME = re.compile(r"[\w.-]{1,100}\.tflite", re.ASCII)


def is_model_name(name: str) -> bool:
    """Whether a file of a model may have a name."""
    return bool(_NAME.fullmatch(name))


def labels_text(project: Project) -> bytes:
    """The names of all classes, one per line."""
    return labels.text(project.classifier.built().names)


def example(model_name: str) -> str:
    """A program that uses a model.

    Args:
      model_name: the name of its file.
    """
    return (
        "import sys\n"
        "\n"
        "import imprinting\n"
        "\n"
        f'model = imprinting.load("{model_name}")\n'
        "for photo in sys.argv[1:]:\n"
        "    best = model.classify(photo)[0]\n"
        '    print(f"{photo}: {best.label} ({best.probability:.0%})")\n'
    )


def edge_tpu_commands() -> dict[str, str]:
    """The commands that make a file for the Edge TPU out of the parts."""
    return {
        "command": edge_tpu.command("model_extractor.tflite"),
        "join": (
            "imprinting join --extractor=model_extractor_edgetpu.tflite --head=model_head.tflite "
            "--output=model_edgetpu.tflite"
        ),
    }


def edge_tpu_zip(project: Project) -> bytes:
    """A zip file of the extractor, for the Edge TPU's compiler, the head, and what to do."""
    built = project.classifier.built()
    model = inference.verify(built.file(), compiled=False)
    about = metadata.about(model)
    parts = split.split(model)
    head = model_file.changed(parts.head, description=model.description)
    commands = edge_tpu_commands()
    text = (
        "These are the two parts of an image classifier for the Edge TPU.\n\n"
        "1. Compile the extractor, with Coral's compiler:\n\n"
        f"     {commands['command']}\n\n"
        "2. Put the parts together, on any computer with this package:\n\n"
        f"     {commands['join']}\n\n"
        "3. On the board, in Python:\n\n"
        "     import imprinting\n"
        '     model = imprinting.load("model_edgetpu.tflite", device="usb")\n'
        '     print(model.classify("photo.jpg"))\n'
    )
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        for name, content in (
            ("model_extractor.tflite", metadata.attach(parts.extractor, None, about)),
            ("model_head.tflite", metadata.attach(head, built.names, about)),
            ("README.txt", text.encode()),
        ):
            archive.writestr(zip_files.entry(name), content)
    return output.getvalue()


def photos_zip(project: Project, file: BinaryIO) -> None:
    """Writes a zip file of class folders with the photos.

    Raises:
      NoClassesError: if there are none.
      OSError: if it cannot be written.
    """
    state = project.state
    if not state.num_photos:
        raise NoClassesError("expected photos to export, got none; add some")
    folders: set[str] = set()
    with zipfile.ZipFile(file, "w") as archive:
        for each in state.with_photos:
            folder, names = zip_files.folder_name(each.name, folders), set[str]()
            for photo in map(project.store.photo, each.photos):
                if not photo.path.is_file():
                    # It was removed by another program; the others are worth having.
                    continue
                stem = photo.name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
                name = zip_files.folder_name(stem + photo.path.suffix, names)
                archive.writestr(zip_files.entry(f"{folder}/{name}"), photo.path.read_bytes())


def report_html(project: Project) -> bytes:
    """The report; see report.py."""
    judged = project.classifier.judge()
    state, built, found = judged.now.state, judged.built, judged.quality
    classes, names = state.with_photos, [each.name for each in state.with_photos]
    photos = [photo for each in classes for photo in each.photos]
    fit = state.active_fit
    answers = [*names, *built.names[: built.num_kept]]
    return report.html(
        report.Contents(
            network=state.base_name or "EfficientNet-Lite0, trained on ImageNet",
            rows=[
                report.Row(
                    each.name,
                    len(each.photos),
                    found.accuracy(number),
                    _thumbnails(project, each.photos[:_MOST_THUMBNAILS]),
                )
                for number, each in enumerate(classes)
            ],
            num_kept=built.num_kept,
            threshold=state.threshold,
            accuracy=found.accuracy(),
            num_left_out=found.num_photos,
            fit=fit.description if fit else "",
            confusion=pictures.confusion(*found.table(names)),
            suspects=[
                (
                    f"This photo is in {names[found.labels[each.photo]]}, but looks more like "
                    f"{answers[each.likely]}.",
                    picture,
                )
                for each in found.suspects
                for picture in _thumbnails(project, [photos[each.photo]])
            ],
        )
    )


def _thumbnails(project: Project, photos: Sequence[int]) -> list[bytes]:
    """Small versions of photos, without those whose files were lost or damaged."""
    found = []
    for photo in photos:
        with contextlib.suppress(OSError, BadImageError):
            found.append(thumbnail(project, photo))
    return found


def thumbnail(project: Project, photo_id: int) -> bytes:
    """A small version of a photo, as a JPEG file."""
    return photo_check.thumbnail(str(project.store.photo(photo_id).path), THUMBNAIL_SIZE)
