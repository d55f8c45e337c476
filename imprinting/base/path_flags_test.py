"""Tests of flags that take a path."""

import os
from unittest import mock

from absl import flags
from absl.testing import absltest, parameterized

from imprinting.base import path_flags


class PathFlagsTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enterContext(mock.patch.dict(os.environ, {"HOME": "/home/ada"}))

    @parameterized.parameters(
        ("~", "/home/ada"),
        ("~/net", "/home/ada/net"),
        ("", ""),
        ("net/~", "net/~"),
        ("./~/net", "./~/net"),
        ("gs://bucket/~/net", "gs://bucket/~/net"),
        ("memory", "memory"),
    )
    def test_home(self, path, expected):
        self.assertEqual(path_flags.expand(path), expected)

    def test_unknown_user(self):
        with self.assertRaisesRegex(ValueError, r"no home folder ~no\.such\.user; .* \./~no"):
            path_flags.expand("~no.such.user/net")

    def test_a_zero_byte(self):
        with self.assertRaisesRegex(ValueError, "one with a zero byte after 'a'; in a list"):
            path_flags.expand("a\0b")

    def test_flags(self):
        values = flags.FlagValues()
        with mock.patch.object(flags, "FLAGS", values):
            flags.DEFINE(
                path_flags._Parser(),
                "folder",
                "",
                "",
                flag_values=values,
                serializer=flags.ArgumentSerializer(),
            )
        values(["program", "--folder=~/a"])
        self.assertEqual(values.folder, "/home/ada/a")
        self.assertEqual(values["folder"].default, "")


if __name__ == "__main__":
    absltest.main()
