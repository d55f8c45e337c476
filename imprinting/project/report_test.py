import html.parser

from absl.testing import absltest

from imprinting.project import report


class _Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.text, self.images = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.text.append(data)


class ReportTest(absltest.TestCase):
    def test_contents(self):
        row = report.Row("<script>alert(1)</script>", 5, 0.8, [b"a photo"])
        page = _Page(
            report.html(
                report.Contents(
                    network="ImageNet's",
                    rows=[row, report.Row("我的杯子", 1, None, [])],
                    num_kept=1000,
                    threshold=0.2,
                    accuracy=0.8,
                    num_left_out=5,
                    fit="Embedding: fitted.",
                    confusion=b"<svg/>",
                    suspects=[("is in mug, but looks more like cup.", b"photo")],
                )
            ).decode()
        )
        text = " ".join(page.text)
        for expected in (
            "2 new classes from 6 photos and 1,000 classes of its own",
            "80.0\N{NO-BREAK SPACE}% of 5 photos are recognised",
            "<script>alert(1)</script>",
            "我的杯子",
            "Embedding: fitted.",
            "but looks more like cup",
        ):
            self.assertIn(expected, text)
        self.assertNotIn("script", page.tags)
        self.assertLen(page.images, 3)
        self.assertTrue(all(image["src"].startswith("data:image/") for image in page.images))
        self.assertTrue(all("alt" in image for image in page.images))
        self.assertLen([image for image in page.images if image["alt"]], 2)

    def test_without_results(self):
        row = report.Row("mug", 1, None, [])
        contents = report.Contents("x", [row], 0, 0.2, None, 0, "", b"", [])
        page = _Page(report.html(contents).decode())
        self.assertNotIn("img", page.tags)
        self.assertNotIn("recognised by", " ".join(page.text))


if __name__ == "__main__":
    absltest.main()
