"""Tests of files of class names as people, converters and devices write them."""

import unicodedata

from absl.testing import absltest, parameterized

from imprinting.base import labels

_NAMES = ("null", "Äpfel", "two words")


class ParseTest(parameterized.TestCase):
    def assert_fails(self, data: str | bytes, expected: str) -> None:
        encoded = data if isinstance(data, bytes) else data.encode()
        with self.assertRaisesRegex(ValueError, expected) as caught:
            labels.parse(encoded, "a/names.txt")
        self.assertIn(" a/names.txt", str(caught.exception))

    @parameterized.parameters(
        "null\nÄpfel\ntwo words",
        "null\r\nÄpfel\r\ntwo words\r\n",
        "null\rÄpfel\rtwo words\r",
        "\n null \n\n\tÄpfel\n \ntwo words \n\n\n",
        "0:null\n1:Äpfel\n2:two words\n",
        "0: null\n1 : Äpfel\n\n2:\ttwo words\n\n",
        "0  null\n1  Äpfel\n2  two words\n",
        "0:null\n1 Äpfel\n2: two words\n",
        "  0 null\r\n  1\tÄpfel\r\n02 \u3000two words\r\n",
        unicodedata.normalize("NFD", "null\nÄpfel\ntwo words\n"),
    )
    def test_forms(self, text):
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            self.assertEqual(labels.parse(text.encode(encoding), "names"), _NAMES)

    @parameterized.parameters(
        # The first has a name for each digit.
        (tuple("0123456789"),),
        (("7 up", "cola", "1:43 model car"),),
        (("7 up", "2 stroke engine"),),
        (("7 up", "2 stroke engine", "1:43 model car"),),
        (("1:43 model car", "1:18 model car"),),
        (("1 cent", "2 cent", "5 cent", "10 cent", "20 cent", "50 cent", "1 euro", "2 euro"),),
        (("2024", "2025 model", "0-60"),),
        (("0.5 l", "1.5 l"),),
        (("3-door", "5-door"),),
        (("crane", "crane"),),
        (("1234567890123 is not an index", "b"),),
    )
    def test_numbers_that_belong_to_names(self, names):
        self.assertEqual(labels.parse("\n".join(names).encode(), "names"), names)

    def test_names_that_are_numbers_after_class_numbers(self):
        for form in ("0:{0}\n1:{1}\n", "0 {0}\n1 {1}\n"):
            text = form.format(7, 3).encode()
            self.assertEqual(labels.parse(text, "names"), ("7", "3"))

    @parameterized.parameters(
        ("0:a\n2:b", "expected 1:NAME as line 2 of .*, got '2:b'; number all classes from 0"),
        ("0:a\n0:b", "1:NAME as line 2 .* got '0:b'"),
        ("1:a\n0:b\n\n2:c", "0:NAME as line 1 .* got '1:a'"),
        ("0:a\n\n2:c\n1:b", "1:NAME as line 3 .* got '2:c'"),
        ("1 a\n2 b\n3 c", "0:NAME as line 1 .* got '1 a'; .* before them: 0:1 a.$"),
        ("0:a\n1:\n2:c", "1:NAME as line 2 .* got '1:'"),
        ("0 a\n1 b\n2 c\n3 d\ne", "4:NAME as line 5 .* got 'e'"),
        ("background\n0:a\n1:b\n2:c\n3:d\n", "0:NAME as line 1 .* got 'background'"),
        ("0:a\nb", "1:NAME as line 2 .* got 'b'"),
        ("0:a\nb\n2:c\n3:d", "1:NAME as line 2 .* got 'b'"),
        ("# names\n0:a\n1:b", "0:NAME as line 1 .* got '# names'"),
        ("0:a\n1 b\n3:c", "2:NAME as line 3 .* got '3:c'"),
        # The forms of other programs.
        ("0,a\n1,b", "0:NAME as line 1 .* got '0,a'; .*remove the numbers"),
        ("1. a\n2. b", "got '1. a'"),
        ("0 - a\n1 - b", "got '0 - a'"),
        ("0) a\n1) b", "got '0. a'"),
        ('"0": "a",\n"1": "b"', 'got \'"0": "a",\''),
        ("0:" + "a" * 99 + "\n0:b" + "c" * 99, "got '0:bc{36}…'"),
    )
    def test_class_numbers_that_are_not_complete_and_in_order(self, text, expected):
        self.assert_fails(text, expected)

    @parameterized.parameters(
        (b"", "got an empty file"),
        (b"\xef\xbb\xbf \r\n\n", "got an empty file"),
        (b"\xff\xfe", "got an empty file"),
        (b"caf\xe9\n", "as text in UTF-8, in .*, got .*0xe9"),
        (b"\xff\xfea", "as text in UTF-8, in .*, got .*truncated"),
        ("a\nb\n".encode("utf-16-le"), "got zero bytes"),
        ("a\nb\n".encode("utf-32"), "got zero bytes"),
    )
    def test_not_text(self, data, expected):
        self.assert_fails(data, expected)


class TextTest(parameterized.TestCase):
    @parameterized.parameters(
        (("a", "b c"), b"a\nb c\n"),
        (("0", "1"), b"0\n1\n"),
        (("7 up", "2:1"), b"7 up\n2:1\n"),
        # Names whose numbers would be read as class numbers.
        (("0 airplane", "1 car"), b"0:0 airplane\n1:1 car\n"),
        (("1:a", "2:b"), b"0:1:a\n1:2:b\n"),
        (("1-door", "2-door"), b"0:1-door\n1:2-door\n"),
    )
    def test_parse_reads_what_was_written(self, names, expected):
        self.assertEqual(labels.text(names), expected)
        self.assertEqual(labels.parse(expected, "names"), names)
        self.assertEqual(labels.parse(labels.numbered_text(names), "names"), names)


class CheckCountTest(absltest.TestCase):
    def test_errors(self):
        labels.check_count("abc", 3, "names")
        with self.assertRaisesRegex(
            ValueError, "3 classes, got 4 names in names; correct the file$"
        ):
            labels.check_count("abcd", 3, "names")
        with self.assertRaisesRegex(
            ValueError, "got 1 names in names; correct the file, or leave$"
        ):
            labels.check_count("a", 3, "names", otherwise="leave")
        with self.assertRaisesRegex(
            ValueError, "1,001 classes, got 1,000 names .* add a first line `background` .* `0:back"
        ):
            labels.check_count("a" * 1000, 1001, "names")


if __name__ == "__main__":
    absltest.main()
