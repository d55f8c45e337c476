"""Looks up embeddings of small photos, and changes what they depend on."""

import errno
import fcntl
import os
import pathlib
import shutil
import threading
import tracemalloc
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from classification.low_shot import embedding_cache, embedding_sources
from imprinting.tflite import metadata, model_file
from transforms.conversion import testing


class EmbeddingCacheTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.store = os.path.join(self.folder, "kept")
        self.paths = []
        for index, pixels in enumerate(testing.images(4, 40)):
            self.paths.append(os.path.join(self.folder, f"{index}.png"))
            Image.fromarray(pixels).save(self.paths[-1])
        self.model = model_file.parse(testing.small().model)
        path = os.path.join(self.folder, "model.tflite")
        pathlib.Path(path).write_bytes(metadata.attach(self.model, testing.LABELS))
        self.source = embedding_sources.of_model(path)

    def embed(self, paths=None, *, key=b"small", compute=None):
        """Embeddings, what is wrong, and how many images were computed."""
        progress = []
        found = embedding_cache.embed(
            compute or (lambda paths: self.source.compute(paths, views=1)),
            self.paths if paths is None else paths,
            key=key,
            folder=self.store,
            on_progress=lambda *counts: progress.append(counts),
        )
        self.assertEqual(progress, [(n + 1, len(progress)) for n in range(len(progress))])
        return found.values[found.rows], found.bad, len(progress)

    def kept(self) -> pathlib.Path:
        (name,) = os.listdir(self.store)
        return pathlib.Path(self.store, name)

    def test_each_image_is_computed_once(self):
        expected = np.stack(list(self.source.compute(self.paths, views=1)))
        found, _, computed = self.embed(self.paths[:2])
        self.assertEqual(computed, 2)
        # Others are new; equal contents are the same by any name.
        twin = os.path.join(self.folder, "twin.png")
        shutil.copyfile(self.paths[1], twin)
        found, bad, computed = self.embed([self.paths[3], twin, *self.paths])
        self.assertEqual((bad, computed), ({}, 2))
        np.testing.assert_array_equal(found, expected[[3, 1, 0, 1, 2, 3]])
        before = self.kept().read_bytes()
        found, _, computed = self.embed()
        self.assertEqual(computed, 0)
        np.testing.assert_array_equal(found, expected)
        self.assertEqual(self.kept().read_bytes(), before)

    def test_what_they_depend_on(self):
        self.embed()
        self.assertEqual(self.embed(key=b"other")[2], 4)
        self.assertEqual(self.embed(key=b"other")[2], 0)
        pathlib.Path(self.paths[0]).write_bytes(pathlib.Path(self.paths[1]).read_bytes())
        self.assertEqual(self.embed()[2], 0)

    def test_nothing_is_kept_without_a_folder(self):
        self.store = ""
        expected = np.stack(list(self.source.compute(self.paths, views=1)))
        for _ in range(2):
            found, bad, computed = self.embed()
            np.testing.assert_array_equal(found, expected)
            self.assertEqual((bad, computed), ({}, 4))

    @parameterized.parameters(True, False)
    def test_unreadable_images_are_reported_and_not_kept(self, is_kept):
        self.store = self.store if is_kept else ""
        expected = np.stack(list(self.source.compute(self.paths, views=1)))
        pathlib.Path(self.paths[1]).write_bytes(b"bad")
        for computed in (4, 1 if is_kept else 4):
            found = embedding_cache.embed(
                lambda paths: self.source.compute(paths, views=1),
                self.paths,
                key=b"small",
                folder=self.store,
                on_progress=lambda _, total, expected=computed: self.assertEqual(total, expected),
            )
            self.assertEqual(found.bad, {1: "it is not a JPEG, PNG, BMP, WebP or GIF image"})
            self.assertEqual(found.rows.tolist(), [0, -1, 1, 2])
            np.testing.assert_array_equal(found.values[found.rows[[0, 2, 3]]], expected[[0, 2, 3]])
        gone = embedding_cache.embed(
            lambda paths: self.source.compute(paths, views=1),
            [os.path.join(self.folder, "gone")],
            key=b"none",
            folder=self.store,
        )
        self.assertEqual(gone.bad, {0: "it cannot be opened: No such file or directory"})
        self.assertEqual((gone.rows.tolist(), len(gone.values)), ([-1], 0))

    def test_image_that_appears_after_it_was_looked_up(self):
        self.embed(self.paths[1:])
        data = pathlib.Path(self.paths[0]).read_bytes()
        os.remove(self.paths[0])

        def compute(paths):
            pathlib.Path(self.paths[0]).write_bytes(data)
            yield from self.source.compute(paths, views=1)

        _, bad, computed = self.embed(compute=compute)
        self.assertEqual(computed, 1)
        self.assertEqual(bad, {0: "it could not be opened at first; run this program again"})
        expected = np.stack(list(self.source.compute(self.paths, views=1)))
        np.testing.assert_array_equal(self.embed()[0], expected)

    def test_what_was_computed_before_the_program_was_stopped_is_kept(self):
        count = embedding_cache._BATCH + 10
        for index in range(4, count):
            self.paths.append(os.path.join(self.folder, f"{index}.png"))
            Image.fromarray(np.full([40, 40, 3], index, np.uint8)).save(self.paths[-1])

        def stopped(paths):
            for done, found in enumerate(self.source.compute(paths, views=1), start=1):
                yield found
                if done == count - 2:
                    raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            self.embed(compute=stopped)
        self.assertEqual(self.embed()[2], 10)

    @parameterized.parameters(1, 50, 100)
    def test_incomplete_record_at_the_end(self, missing):
        expected = np.stack(list(self.source.compute(self.paths, views=1)))
        self.embed()
        size = self.kept().stat().st_size
        os.truncate(self.kept(), size - missing)
        found, _, computed = self.embed()
        self.assertEqual(computed, 1)
        np.testing.assert_array_equal(found, expected)
        self.assertEqual(self.kept().stat().st_size, size)
        self.assertEqual(self.embed()[2], 0)

    def test_empty_file(self):
        self.embed()
        self.kept().write_bytes(b"")
        self.assertEqual(self.embed()[2], 4)
        self.assertEqual(self.embed()[2], 0)

    @parameterized.parameters(0, 20, 50, 100, -1)
    def test_damaged(self, place):
        self.embed()
        data = bytearray(self.kept().read_bytes())
        data[place] ^= 1
        self.kept().write_bytes(data)
        with self.assertRaisesRegex(ValueError, f"{self.kept().name}.*remove it"):
            self.embed()

    def test_files_that_are_too_short(self):
        self.embed()
        self.kept().write_bytes(self.kept().read_bytes()[:10])
        with self.assertRaisesRegex(ValueError, f"{self.kept().name}.*remove it"):
            self.embed()

    def test_file_system_without_locks(self):
        self.embed()
        error = OSError(errno.ENOLCK, "No locks available")
        with mock.patch.object(fcntl, "flock", side_effect=error):
            for key in (b"small", b"other"):
                with self.assertRaisesRegex(OSError, f"No locks available: '{self.store}/"):
                    self.embed(key=key)

    def test_several_programs_at_the_same_time(self):
        expected = dict(zip(self.paths, np.eye(4, dtype=np.float32), strict=True))
        results = []

        def compute(paths):
            for path in paths:
                yield expected[path][np.newaxis]

        def run(first):
            order = self.paths[first:] + self.paths[:first]
            results.append((order, self.embed(order, compute=compute)[0]))

        with mock.patch.object(embedding_cache, "_BATCH", 1):
            threads = [threading.Thread(target=run, args=(first % 4,)) for first in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertLen(results, 16)
        for order, found in results:
            np.testing.assert_array_equal(found[:, 0], [expected[path] for path in order])
        self.assertEqual(self.embed(compute=compute)[2], 0)

    def test_a_file_that_another_program_removed(self):
        self.embed(self.paths[:1])
        place = self.kept()

        def compute(paths):
            os.remove(place)
            yield from self.source.compute(paths, views=1)

        with self.assertRaisesRegex(OSError, "another program has replaced it"):
            self.embed(compute=compute)

    @parameterized.parameters(True, False)
    def test_memory_does_not_grow_with_the_images(self, is_kept):
        self.store = self.store if is_kept else ""
        peaks = []
        for count in (20, 400):
            paths = []
            for index in range(count):
                path = os.path.join(self.folder, f"{count} {index}")
                pathlib.Path(path).write_text(path)
                paths.append(path)

            def compute(paths):
                for number, _ in enumerate(paths):
                    yield np.full([10, 25_600], number, np.float32)

            tracemalloc.start()
            found = embedding_cache.embed(compute, paths, key=b"large", folder=self.store)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            np.testing.assert_array_equal(found.values[found.rows, 0, 0], np.arange(count))
        # 400 images have 410 MB.
        self.assertLess(peaks[1], 200_000_000)


if __name__ == "__main__":
    absltest.main()
