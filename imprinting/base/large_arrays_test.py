"""Tests of large_arrays.py."""

import errno
import gc
import os
import tracemalloc
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.base import large_arrays


def batches(count: int, rows: int = 7):
    """Batches of two arrays, whose rows are numbered."""
    for begin in range(0, count * rows, rows):
        numbers = np.arange(begin, begin + rows)
        yield np.repeat(numbers[:, np.newaxis], 3, axis=1).astype(np.float32), numbers


class GatherTest(parameterized.TestCase):
    @parameterized.parameters(1 << 20, 1000, 0)
    def test_joins_rows(self, most):
        with mock.patch.object(large_arrays, "_MOST_IN_MEMORY", most):
            first, second = large_arrays.gather(batches(50))
        np.testing.assert_array_equal(second, np.arange(350))
        np.testing.assert_array_equal(first, np.arange(350)[:, np.newaxis].repeat(3, axis=1))
        self.assertEqual((first.dtype, second.dtype), (np.float32, np.int64))
        self.assertIs(type(first), np.ndarray)
        # Whether it is in a file.
        self.assertEqual(first.flags.writeable, most > 1000)

    def test_batches_that_are_views(self):
        values = np.arange(60, dtype=np.float32).reshape(10, 6)
        for most in (1 << 20, 0):
            with mock.patch.object(large_arrays, "_MOST_IN_MEMORY", most):
                (found,) = large_arrays.gather([[values[:4, ::2]]])
                np.testing.assert_array_equal(found, values[:4, ::2])

    def test_leaves_no_file(self):
        folder = self.create_tempdir().full_path
        gc.collect()
        opened = len(os.listdir("/proc/self/fd"))
        with mock.patch.object(large_arrays, "_MOST_IN_MEMORY", 0):
            found = large_arrays.gather(batches(50), folder=folder)
            self.assertEqual(os.listdir(folder), [])
            self.assertEqual(found[1][-1], 349)
            del found
            with self.assertRaisesRegex(ValueError, "^stop$"):
                large_arrays.gather(self.broken(), folder=folder)
        gc.collect()
        self.assertLen(os.listdir("/proc/self/fd"), opened)

    def broken(self):
        yield from batches(20)
        raise ValueError("stop")

    def test_memory_does_not_grow_with_the_rows(self):
        peaks = []
        with mock.patch.object(large_arrays, "_MOST_IN_MEMORY", 100_000):
            for count in (10, 1000):
                tracemalloc.start()
                found = large_arrays.gather(batches(count, 1000))
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
                self.assertLen(found[0], 1000 * count)
        # The rows have 20 MB more.
        self.assertLess(peaks[1], peaks[0] + 1_000_000)

    def test_folder_that_cannot_be_written(self):
        folder = os.path.join(self.create_tempdir().full_path, "none")
        with mock.patch.object(large_arrays, "_MOST_IN_MEMORY", 0):
            with self.assertRaisesRegex(FileNotFoundError, folder):
                large_arrays.gather(batches(1), folder=folder)

    def test_few_need_no_folder_for_temporary_files(self):
        none = FileNotFoundError(errno.ENOENT, "No usable temporary directory found")
        with mock.patch.object(large_arrays.tempfile, "gettempdir", side_effect=none):
            self.assertLen(large_arrays.gather(batches(3))[1], 21)
            with mock.patch.object(large_arrays, "_MOST_IN_MEMORY", 0):
                with self.assertRaisesRegex(FileNotFoundError, "No usable temporary directory"):
                    large_arrays.gather(batches(3))

    def test_a_full_disk_is_an_error_that_names_the_folder(self):
        class Full:
            """Stands for a temporary file on a disk that is full."""

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

            def write(self, _):
                raise OSError(errno.ENOSPC, "No space left on device")

        with (
            mock.patch.object(large_arrays, "_MOST_IN_MEMORY", 0),
            mock.patch.object(large_arrays.tempfile, "TemporaryFile", lambda **_: Full()),
            self.assertRaisesRegex(OSError, "No space left on device: '/somewhere'"),
        ):
            large_arrays.gather(batches(1), folder="/somewhere")


class PiecesTest(parameterized.TestCase):
    @parameterized.parameters(0, 1, 9, 10, 11, 30)
    def test_cover_all_rows(self, count):
        with mock.patch.object(large_arrays, "_PIECE_BYTES", 100):
            found = list(large_arrays.pieces(count, 10))
        rows = [number for piece in found for number in range(piece.start, piece.stop)]
        self.assertEqual(rows, list(range(count)))
        self.assertLen(found, -(-count // 10))

    def test_a_row_that_is_larger(self):
        self.assertLen(list(large_arrays.pieces(3, 1 << 40)), 3)


class TakeTest(absltest.TestCase):
    def test_rows_in_any_order(self):
        values = np.arange(40, dtype=np.float32).reshape(20, 2)
        for most in (1 << 20, 0):
            with (
                mock.patch.object(large_arrays, "_MOST_IN_MEMORY", most),
                mock.patch.object(large_arrays, "_PIECE_BYTES", 24),
            ):
                found = large_arrays.take(values, [5, 5, 19, 0, 7])
                np.testing.assert_array_equal(found, values[[5, 5, 19, 0, 7]])

    def test_consecutive_rows_are_not_copied(self):
        values = np.arange(40, dtype=np.float32).reshape(20, 2)
        for rows in ([3], [3, 4, 5, 6], np.arange(20)):
            found = large_arrays.take(values, rows)
            np.testing.assert_array_equal(found, values[rows])
            self.assertTrue(np.shares_memory(found, values))


if __name__ == "__main__":
    absltest.main()
