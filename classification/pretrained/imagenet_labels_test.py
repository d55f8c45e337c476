"""Tests of imagenet_labels.py."""

import os

from absl.testing import absltest

from classification.pretrained import imagenet_labels


class ReadTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.ids = [f"n{number:08}" for number in range(1000)]
        self.names = {wordnet_id: f"name of {wordnet_id}" for wordnet_id in self.ids}

    def write(self, name, lines):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
        return path

    def read(self):
        return imagenet_labels.read(
            self.write("synsets.txt", self.ids),
            self.write("lemmas.txt", [f"{i}\t{text}" for i, text in self.names.items()]),
        )

    def test_order_of_the_classes(self):
        self.ids.reverse()
        # Names of other synsets, and in another order.
        self.names = {"n99999999": "other"} | self.names
        labels = self.read()
        self.assertLen(labels, 1000)
        self.assertEqual(labels[0], "name of n00000999")
        self.assertEqual(labels[-1], "name of n00000000")

    def test_first_name(self):
        self.names[self.ids[0]] = "tench, Tinca tinca"
        self.names[self.ids[1]] = "Äskulapnatter"
        self.names[self.ids[2]] = "jack-o'-lantern"
        self.assertEqual(self.read()[:3], ("tench", "Äskulapnatter", "jack-o'-lantern"))

    def test_all_names_where_the_first_is_not_unique(self):
        self.names[self.ids[3]] = "crane"
        self.names[self.ids[4]] = "crane, lifting device"
        self.names[self.ids[5]] = "maillot"
        self.names[self.ids[6]] = "maillot, tank suit"
        # That of another class is the second.
        self.names[self.ids[7]] = "bird, crane"
        self.assertEqual(
            self.read()[3:8],
            ("crane", "crane, lifting device", "maillot", "maillot, tank suit", "bird"),
        )

    def test_two_classes_with_the_same_names(self):
        self.names[self.ids[3]] = self.names[self.ids[900]] = "crane"
        labels = self.read()
        self.assertEqual((labels[3], labels[900]), ("crane", "crane"))

    def test_names_that_nothing_needs(self):
        self.names["n99999999"] = "name of n00000000, other"
        self.assertEqual(self.read()[0], "name of n00000000")

    def test_missing_names(self):
        del self.names[self.ids[7]]
        with self.assertRaisesRegex(
            ValueError, "lemmas.txt: expected a name .*synsets.txt, got none for 1 .* n00000007$"
        ):
            self.read()
        self.names[self.ids[8]] = ""
        with self.assertRaisesRegex(ValueError, "got none for 2 of them, such as n00000007$"):
            self.read()

    def test_another_number_of_classes(self):
        for ids in (self.ids[:-1], [*self.ids, "n1"], []):
            self.ids = ids
            with self.assertRaisesRegex(
                ValueError, f"synsets.txt: expected 1000 WordNet IDs, got {len(ids)}$"
            ):
                self.read()

    def test_missing_file(self):
        path = self.write("synsets.txt", self.ids)
        for paths in ((path, path + "x"), (path + "x", path)):
            with self.assertRaises(FileNotFoundError):
                imagenet_labels.read(*paths)


if __name__ == "__main__":
    absltest.main()
