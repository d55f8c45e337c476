"""Tests of the metadata and labels in a .tflite."""

import io
import zipfile
from unittest import mock

import flatbuffers
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

import imprinting.schema.metadata as form
import imprinting.schema.tflite as schema
from imprinting.base.photo_crop import Crop
from imprinting.tflite import imprinting, metadata, model_file, model_graph, packed_files
from transforms.conversion import testing


def attached(data, labels=testing.LABELS):
    return metadata.attach(model_file.parse(data), labels)


def metadata_of(data):
    """The complete metadata."""
    model = model_file.parse(data)
    (buffer,) = (m.buffer for m in model.metadata if m.name == b"TFLITE_METADATA")
    blob = model.buffers[buffer].data.tobytes()
    assert form.ModelMetadata.ModelMetadataBufferHasIdentifier(blob, 0)
    return form.ModelMetadataT.InitFromObj(form.ModelMetadata.GetRootAs(blob))


def described_of(data):
    """The metadata of the input and of the output."""
    (subgraph,) = metadata_of(data).subgraphMetadata
    (image,), (output,) = subgraph.inputTensorMetadata, subgraph.outputTensorMetadata
    return image, output


def changed(data):
    """A model to which two classes are added."""
    engine = imprinting.ImprintingEngine(model_file.parse(data), keep_classes=True)
    for _ in range(2):
        engine.add(engine.num_classes, np.eye(testing.EMBEDDING)[:1])
    return engine.build().tflite_model


class AttachTest(parameterized.TestCase):
    @parameterized.parameters(True, False)
    def test_labels_can_be_read(self, quantise):
        small = testing.small(quantise=quantise)
        for data in (small.model, small.head):
            self.assertIsNone(metadata.labels_of(data))
            self.assertEqual(metadata.labels_of(attached(data)), testing.LABELS)
            self.assertIsNone(metadata.labels_of(attached(data, None)))
        self.assertIsNone(metadata.labels_of(attached(small.extractor, None)))

    @parameterized.parameters((True, 128.0, 0.0, 255.0, 255.0), (False, 127.5, -1.0, 1.0, 1.0))
    def test_input_and_output_of_a_classifier(self, quantise, middle, low, high, certain):
        image, output = described_of(attached(testing.small(quantise=quantise).model))
        self.assertEqual(image.name, b"image")
        self.assertEqual(
            image.content.contentPropertiesType, form.ContentProperties.ImageProperties
        )
        self.assertEqual(image.content.contentProperties.colorSpace, form.ColorSpaceType.RGB)
        (unit,) = image.processUnits
        self.assertEqual(unit.optionsType, form.ProcessUnitOptions.NormalizationOptions)
        self.assertEqual([*unit.options.mean, *unit.options.std], [middle, middle])
        self.assertEqual([*image.stats.min, *image.stats.max], [low, high])
        self.assertEqual(output.name, b"probability")
        self.assertEqual([*output.stats.min, *output.stats.max], [0, certain])
        (file,) = output.associatedFiles
        self.assertEqual(
            (file.name, file.type), (b"labels.txt", form.AssociatedFileType.TENSOR_AXIS_LABELS)
        )

    def test_input_and_output_of_extractor_and_head(self):
        image, embedding = described_of(attached(testing.small().extractor, None))
        self.assertEqual((image.name, embedding.name), (b"image", b"embedding"))
        self.assertEqual([*embedding.stats.min, *embedding.stats.max], [0, 255])
        _, real = described_of(attached(testing.small(quantise=False).extractor, None))
        self.assertIsNone(real.stats)
        self.assertIsNone(embedding.associatedFiles)
        embedding, output = described_of(attached(testing.small().head))
        self.assertEqual((embedding.name, output.name), (b"embedding", b"probability"))
        self.assertEqual(
            embedding.content.contentPropertiesType, form.ContentProperties.FeatureProperties
        )

    def test_keeps_the_model_and_appends_labels_uncompressed(self):
        small = testing.small()
        data = attached(small.model)
        before, after = model_file.parse(small.model), model_file.parse(data)
        self.assertEqual(model_graph.graph(after), model_graph.graph(before))
        for a, b in zip(before.buffers, after.buffers, strict=False):
            np.testing.assert_array_equal(a.data, b.data)
        tf.lite.Interpreter(model_content=data).allocate_tensors()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (info,) = archive.infolist()
            self.assertEqual(archive.read("labels.txt").decode().splitlines(), [*testing.LABELS])
        self.assertEqual(info.compress_type, zipfile.ZIP_STORED)
        self.assertIn("Äpfel\n".encode(), data)

    def test_repeatable_and_keeps_the_description(self):
        model = model_file.parse(testing.small().model)
        model.description = b"3 1.5\n"
        data = metadata.attach(model, testing.LABELS)
        self.assertEqual(metadata.attach(model, testing.LABELS), data)
        self.assertEqual(model_file.parse(data).description, b"3 1.5\n")
        # Earlier metadata is replaced.
        again = metadata.attach(model_file.parse(data), testing.LABELS)
        self.assertEqual(again, data)
        other = metadata.attach(model_file.parse(data), "abcdefg")
        self.assertEqual(metadata.labels_of(other), tuple("abcdefg"))

    @parameterized.parameters(
        (("a", "b"), "as many labels as classes, 7, got 2"),
        (("a",) * 6 + ("",), "one line each, got '' as label 6 of the model"),
        ((" \t", *"abcdef"), r"one line each, got ' \\t' as label 0 of the model"),
        (("a\nb", *"abcdef"), "labels of one line each"),
        (("a\n", *"abcdef"), "labels of one line each"),
        (("a\rb", *"abcdef"), "labels of one line each"),
    )
    def test_labels_that_do_not_fit(self, labels, expected):
        with self.assertRaisesRegex(ValueError, expected):
            attached(testing.small().model, labels)

    def test_an_extractor_has_no_classes(self):
        with self.assertRaisesRegex(ValueError, "ends in a softmax"):
            attached(testing.small().extractor)


class AboutTest(parameterized.TestCase):
    _SQUARE = metadata.About("EfficientNet-Lite0", Crop.SQUARE)

    @parameterized.parameters(
        (None, b"MobileNet V1", ".", Crop.STRETCHED),
        (metadata.About("Some Net"), b"Some Net", ".", Crop.STRETCHED),
        (
            _SQUARE,
            b"EfficientNet-Lite0",
            ": a square in the middle of a photo, with 87.5 % of its shorter side.",
            Crop.SQUARE,
        ),
    )
    def test_title_and_part_of_a_photo(self, about, title, end, crop):
        small = testing.small(int8=True)
        for data in (small.model, small.extractor):
            attached = metadata.attach(model_file.parse(data), None, about)
            self.assertEqual(
                metadata_of(attached).name, title + b" with an L2-normalised embedding"
            )
            image, _ = described_of(attached)
            self.assertEqual(image.description.decode(), f"RGB image, 32 x 32 pixels{end}")
            self.assertEqual(metadata.crop_of(model_file.parse(attached)), crop)

    def test_a_head_says_it_too_since_compiling_may_remove_the_extractors_metadata(self):
        for about, crop in ((self._SQUARE, Crop.SQUARE), (None, Crop.STRETCHED)):
            data = metadata.attach(model_file.parse(testing.small().head), None, about)
            self.assertEqual(metadata.crop_of(model_file.parse(data)), crop)
            embedding, _ = described_of(data)
            self.assertStartsWith(
                embedding.description.decode(),
                "Embedding before its L2 normalisation, 24 components, of an RGB image",
            )

    def test_about_is_read_again(self):
        model = model_file.parse(testing.small().model)
        self.assertIsNone(metadata.about(model))
        attached = model_file.parse(metadata.attach(model, None, self._SQUARE))
        self.assertEqual(metadata.about(attached), self._SQUARE)

    def test_copied(self):
        small = testing.small()
        source = model_file.parse(
            metadata.attach(model_file.parse(small.model), None, self._SQUARE)
        )
        bare = model_file.parse(small.extractor)
        found = metadata.copied(bare, source)
        found = model_file.parse(model_file.serialise(model_file.pruned(found)))
        self.assertEqual(metadata.about(found), self._SQUARE)
        self.assertIsNone(metadata.about(bare))
        self.assertIsNone(metadata.about(metadata.copied(bare, model_file.parse(small.model))))

    def test_without_metadata(self):
        model = model_file.parse(testing.small().model)
        self.assertEqual(metadata.crop_of(model), Crop.STRETCHED)

    def test_survives_new_classes(self):
        model = model_file.parse(testing.small().model)
        data = metadata.attach(model, testing.LABELS, self._SQUARE)
        found = metadata.extend(changed(data), [*testing.LABELS, "x", "y"], data=data)
        self.assertEqual(metadata.crop_of(model_file.parse(found)), Crop.SQUARE)
        self.assertStartsWith(metadata_of(found).name, b"EfficientNet-Lite0 with")

    def test_damaged_metadata(self):
        model = model_file.parse(testing.small().model)
        model = model_file.parse(metadata.attach(model, None, self._SQUARE))
        (entry,) = (m for m in model.metadata if m.name == b"TFLITE_METADATA")
        blob = model.buffers[entry.buffer].data.copy()
        for place in range(len(blob)):
            for value in (0, 127, 255):
                model.buffers[entry.buffer].data = blob.copy()
                model.buffers[entry.buffer].data[place] = value
                try:
                    self.assertIsInstance(metadata.crop_of(model), Crop)
                except ValueError as error:
                    self.assertRegex(str(error), "create the .tflite again$")
        model.buffers[entry.buffer].data = None
        with self.assertRaisesRegex(ValueError, "identifier M001, got b''"):
            metadata.crop_of(model)


class LabelsOfTest(absltest.TestCase):
    def test_truncated_or_damaged_files(self):
        data = attached(testing.small().model)
        start = len(model_file.serialise(model_file.parse(data)))
        for size in [*range(8, start, 997), *range(start, len(data), 13), len(data) - 1]:
            with self.assertRaises(ValueError, msg=size):
                metadata.labels_of(data[:size])
        start = data.index(b"PK\3\4")
        for place in range(start, len(data)):
            for value in (0, 1, 255):
                damaged = bytearray(data)
                damaged[place] = value
                try:
                    metadata.labels_of(bytes(damaged))
                except ValueError:
                    continue
        wrong = data.replace("Äpfel".encode(), b"apples")
        with self.assertRaisesRegex(ValueError, "labels.txt, .*damaged or missing one"):
            metadata.labels_of(wrong)

    def with_blob(self, blob):
        model = model_file.parse(testing.small().model)
        model.metadata.append(schema.MetadataT(name=b"TFLITE_METADATA", buffer=len(model.buffers)))
        model.buffers.append(schema.BufferT(data=np.frombuffer(blob, np.uint8)))
        return model_file.serialise(model)

    def test_damaged_metadata(self):
        for blob, expected in (
            (b"noise", "identifier M001"),
            (b"\xf0\0\0\0M001" + bytes(8), "valid metadata, got damaged bytes"),
            (b"\x08\0\0\0M001\xff\xff\xff\x7f" + bytes(8), "valid metadata, got damaged bytes"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                metadata.labels_of(self.with_blob(blob))

    def test_metadata_of_another_program(self):
        builder = flatbuffers.Builder()
        builder.Finish(form.ModelMetadataT(name="other").Pack(builder), b"M001")
        self.assertIsNone(metadata.labels_of(self.with_blob(bytes(builder.Output()))))


class ExtendTest(absltest.TestCase):
    def foreign(self, described: form.ModelMetadataT, files: dict[str, bytes]) -> bytes:
        """The small model with metadata of another program."""
        builder = flatbuffers.Builder()
        builder.Finish(described.Pack(builder), b"M001")
        model = model_file.parse(testing.small().model)
        model.metadata.append(schema.MetadataT(name=b"TFLITE_METADATA", buffer=len(model.buffers)))
        blob = np.frombuffer(bytes(builder.Output()), np.uint8)
        model.buffers.append(schema.BufferT(data=blob))
        data = io.BytesIO(model_file.serialise(model))
        with zipfile.ZipFile(data, "a") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return data.getvalue()

    def test_own_metadata_is_replaced(self):
        labels = [*testing.LABELS, "x", "y"]
        for data in (attached(testing.small().model), testing.small().model):
            model = changed(data)
            found = metadata.extend(model, labels, data=data)
            self.assertEqual(found, metadata.attach(model, labels))
            self.assertEqual(metadata.labels_of(found), tuple(labels))

    def test_metadata_of_another_program_is_kept(self):
        kind = form.AssociatedFileType
        output = form.TensorMetadataT(
            name="birds",
            description="Of 7 birds.",
            associatedFiles=[
                form.AssociatedFileT(name="birds.txt", type=kind.TENSOR_AXIS_LABELS, locale="en"),
                form.AssociatedFileT(name="vögel.txt", type=kind.TENSOR_AXIS_LABELS, locale="de"),
                form.AssociatedFileT(name="scores.csv", type=kind.TENSOR_AXIS_SCORE_CALIBRATION),
                form.AssociatedFileT(name="more.txt", type=kind.DESCRIPTIONS),
            ],
            processUnits=[
                form.ProcessUnitT(
                    optionsType=form.ProcessUnitOptions.ScoreCalibrationOptions,
                    options=form.ScoreCalibrationOptionsT(),
                )
            ],
        )
        described = form.ModelMetadataT(
            name="Birds",
            author="Somebody",
            license="MIT",
            subgraphMetadata=[
                form.SubGraphMetadataT(
                    inputTensorMetadata=[form.TensorMetadataT(name="photo")],
                    outputTensorMetadata=[output],
                )
            ],
        )
        old = "\n".join(testing.LABELS).encode()
        files = {"birds.txt": old, "vögel.txt": old, "scores.csv": b"1", "more.txt": b"More."}
        data = self.foreign(described, files | {"LICENSE": b"Free."})
        self.assertEqual(metadata.labels_of(data), testing.LABELS)
        labels = (*testing.LABELS, "x", "y")
        found = metadata.extend(changed(data), labels, data=data)
        self.assertEqual(metadata.labels_of(found), labels)
        with zipfile.ZipFile(io.BytesIO(found)) as archive:
            self.assertEqual(archive.namelist(), ["labels.txt", "more.txt", "LICENSE"])
            self.assertEqual(archive.read("LICENSE"), b"Free.")
        image, output = described_of(found)
        self.assertEqual((image.name, output.name), (b"photo", b"birds"))
        self.assertEqual(output.description, b"Probabilities of 9 classes.")
        self.assertEqual([f.name for f in output.associatedFiles], [b"labels.txt", b"more.txt"])
        self.assertIsNone(output.processUnits)
        whole = metadata_of(found)
        self.assertEqual((whole.name, whole.author, whole.license), (b"Birds", b"Somebody", b"MIT"))
        # A second time changes nothing.
        model = model_file.parse(found)
        self.assertEqual(metadata.extend(model, labels, data=found), found)

    def test_metadata_without_tensors(self):
        labels = [*testing.LABELS, "x", "y"]
        for subgraphs in (None, [form.SubGraphMetadataT()]):
            described = form.ModelMetadataT(name="n", author="a", subgraphMetadata=subgraphs)
            data = self.foreign(described, {"LICENSE": b"Free."})
            found = metadata.extend(changed(data), labels, data=data)
            self.assertEqual(metadata.labels_of(found), tuple(labels))
            self.assertEqual(metadata_of(found).author, b"a")
            with zipfile.ZipFile(io.BytesIO(found)) as archive:
                self.assertEqual(archive.namelist(), ["labels.txt", "LICENSE"])

    def test_damaged_files(self):
        labels = [*testing.LABELS, "x", "y"]
        data = attached(testing.small().model)
        model = changed(data)
        # The checksum is wrong now.
        damaged = data.replace("Äpfel".encode(), b"apples")
        for call in (
            lambda: metadata.check(model, damaged),
            lambda: metadata.extend(model, labels, data=damaged),
        ):
            with self.assertRaisesRegex(ValueError, "^expected a valid zip archive .* again$"):
                call()
        metadata.check(model, data)

    def test_damaged_metadata_is_at_most_a_value_error(self):
        data = attached(testing.small().model)
        model = changed(data)
        (entry,) = (m for m in model.metadata if m.name == b"TFLITE_METADATA")
        blob = model.buffers[entry.buffer].data.copy()
        refused = 0
        for place in range(8, len(blob)):
            for value in (0, 127, 255):
                damaged = blob.copy()
                damaged[place] = value
                model.buffers[entry.buffer].data = damaged
                try:
                    metadata.extend(model, [*testing.LABELS, "x", "y"], data=data)
                except ValueError:
                    refused += 1
        self.assertGreater(refused, 50)


class LimitsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.data = attached(testing.small().model)
        self.model = model_file.parse(self.data)

    def test_large_description(self):
        size = len(self.model.buffers[self.model.metadata[-1].buffer].data)
        with mock.patch.object(metadata, "MOST_BYTES", size):
            metadata.check(self.model, self.data)
        with (
            mock.patch.object(metadata, "MOST_BYTES", size - 1),
            self.assertRaisesRegex(ValueError, f"at most {size - 1} bytes, got {size}; create"),
        ):
            metadata.check(self.model, self.data)

    def test_large_files(self):
        with mock.patch.object(packed_files, "MOST_BYTES", 10):
            for call in (metadata.check, lambda _, data: metadata.labels_of(data)):
                with self.assertRaisesRegex(ValueError, "more than 10 bytes"):
                    call(self.model, self.data)

    def test_files_of_labels_without_names(self):
        described = metadata_of(self.data)
        output = described.subgraphMetadata[0].outputTensorMetadata[0]
        for file in output.associatedFiles:
            file.name = None
        nameless = metadata._written(self.model, described, {})
        self.assertIsNone(metadata.labels_of(nameless))


class IsExtractorTest(absltest.TestCase):
    def test_parts_of_a_classifier(self):
        for part, expected in (("model", False), ("extractor", True), ("head", False)):
            plain = model_file.parse(getattr(testing.small(), part))
            self.assertFalse(metadata.is_extractor(plain))
            described = model_file.parse(metadata.attach(plain, None, metadata.About()))
            self.assertEqual(metadata.is_extractor(described), expected)


class FileOfLabelsTest(absltest.TestCase):
    def test_names_are_normalised(self):
        names = ("cafe\u0301", *testing.LABELS[1:])
        data = metadata.attach(model_file.parse(testing.small().model), names)
        self.assertEqual(metadata.labels_of(data), ("caf\u00e9", *testing.LABELS[1:]))

    def test_a_file_of_labels_that_was_lost(self):
        data = metadata.attach(model_file.parse(testing.small().model), testing.LABELS)
        lost = model_file.serialise(model_file.parse(data))
        with self.assertRaisesRegex(ValueError, "labels.txt, .* damaged or missing"):
            metadata.labels_of(lost)
        self.assertIsNone(metadata.labels_of(lost, must_be_there=False))
        self.assertEqual(metadata.labels_of(data, must_be_there=False), testing.LABELS)


if __name__ == "__main__":
    absltest.main()
