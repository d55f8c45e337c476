from xml.etree import ElementTree

import numpy as np
from absl.testing import absltest

from imprinting.project import pictures

_SVG = "{http://www.w3.org/2000/svg}"


class PicturesTest(absltest.TestCase):
    def test_confusion(self):
        names = ["<b>mug</b>", "我的杯子"]
        data = pictures.confusion(names, [*names, "kept classes"], np.array([[3, 1, 0], [0, 2, 2]]))
        svg = ElementTree.fromstring(data)
        self.assertLen(svg.findall(f"{_SVG}rect"), 6)
        texts = [each.text for each in svg.findall(f"{_SVG}text")]
        self.assertEqual(texts, [*names, *names, "kept classes", "3", "1", "2", "2"])
        titles = [each.text for each in svg.iter(f"{_SVG}title")]
        self.assertIn("我的杯子: 2 recognised as kept classes", titles)

    def test_long_names_are_shortened(self):
        svg = ElementTree.fromstring(pictures.confusion(["x" * 200], ["y"], np.ones([1, 1], int)))
        text = svg.find(f"{_SVG}text")
        self.assertEqual((text.text, text[0].text), ("x" * 23 + "…", "x" * 200))
        self.assertLess(float(svg.get("width")), 500)


if __name__ == "__main__":
    absltest.main()
