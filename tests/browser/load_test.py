"""2,400 photos that are dropped at once: all of them arrive.

Time and memory are printed, since they depend on the machine:

  ./bazelw test //tests/browser:load_test --test_output=all --cache_test_results=no
"""

import concurrent.futures
import http.client
import os
import pathlib
import re
import statistics
import threading
import time
import urllib.parse

from absl.testing import absltest
from playwright.sync_api import expect

from imprinting.inference import default_model
from imprinting.new_classes import tflite_embedder
from imprinting.project import project_testing
from imprinting.tflite import inference, split
from tests.browser.browser_testing import BrowserTestCase, card, drop

_CLASSES, _PHOTOS, _PIXELS = 60, 40, 480
# Stalls of the page's own thread, of 50 ms and more (the Long Tasks API).
_OBSERVE = """
window.stalls = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.stalls.push(entry.duration);
}).observe({ type: "longtask" });
"""


def most_memory(pid: int) -> int:
    """The most memory that a process and those that it started have had, in bytes."""
    total = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            text = path.read_text()
        except OSError:
            continue
        found = {m[1]: int(m[2]) for m in re.finditer(r"^(Pid|PPid|VmHWM):\s+(\d+)", text, re.M)}
        if pid in (found["Pid"], found["PPid"]):
            total += 1024 * found.get("VmHWM", 0)
    return total


class LoadTest(BrowserTestCase):
    def write_photos(self) -> list[str]:
        paths = []
        for kind in range(_CLASSES):
            folder = self.root / "photos" / f"class {kind:02}"
            folder.mkdir(parents=True)
            for number in range(_PHOTOS):
                paths.append(str(folder / f"{number}.jpg"))
                photo = project_testing.photo(kind, number, size=_PIXELS)
                pathlib.Path(paths[-1]).write_bytes(photo)
        return paths

    def bare(self, paths: list[str]) -> float:
        """The seconds to read the photos and to compute their embeddings, on all processors."""
        with open(default_model.path(), "rb") as file:
            model = inference.verify(file.read())
        start = time.perf_counter()
        tflite_embedder.compute(model, [split.at_embedding(model).place], paths)
        return time.perf_counter() - start

    def upload(self, paths: list[str]) -> float:
        """The seconds to send the photos to the server without a browser, four at a time."""
        connections = threading.local()

        def send(path: str) -> None:
            if not hasattr(connections, "mine"):
                connections.mine = http.client.HTTPConnection("127.0.0.1", self.app.port)
            folder, name = os.path.split(path)
            query = {"class_name": os.path.basename(folder), "name": name, "operation": "all"}
            connections.mine.request(
                "POST",
                f"/api/photos?{urllib.parse.urlencode(query)}",
                pathlib.Path(path).read_bytes(),
                {"Authorization": f"Bearer {self.app.token}"},
            )
            answer = connections.mine.getresponse()
            answer.read()
            self.assertEqual(answer.status, 201)

        start = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(send, paths))
        return time.perf_counter() - start

    def test_without_a_browser(self):
        paths = self.write_photos()
        before = self.bare(paths)
        took = self.upload(paths)
        bare = (before + self.bare(paths)) / 2
        print(
            f"without a browser: {took:.1f} s, {took / bare:.2f} times the bare inference "
            f"({bare:.1f} s)"
        )
        self.assertEqual(self.app.get("/api/project")["numPhotos"], len(paths))

    def test_all_photos_arrive(self):
        paths = self.write_photos()
        before = self.bare(paths)
        page = self.open(watch_requests=False)
        page.evaluate(_OBSERVE)
        answers: list[float] = []
        stop = threading.Event()
        photo = project_testing.photo(0, 99)

        def ask() -> None:
            while True:
                start = time.perf_counter()
                self.app.post("/api/classify", photo)
                answers.append(time.perf_counter() - start)
                if stop.wait(0.5):
                    return

        asking = threading.Thread(target=ask)
        start = time.perf_counter()
        drop(page, page.get_by_test_id("add-area"), [self.root / "photos"])
        asking.start()
        expect(page.get_by_test_id("upload-progress")).to_be_visible()
        while self.app.get("/api/project")["numPhotos"] < len(paths):
            # The page must be able to work meanwhile, and Playwright to hear from it.
            page.wait_for_timeout(500)
        took = time.perf_counter() - start
        stop.set()
        asking.join()
        stalls = page.evaluate("window.stalls")
        memory = most_memory(self.app.process.pid)
        last = card(page, f"class {_CLASSES - 1:02}")
        expect(last.get_by_test_id("photo-count")).to_have_text(f"{_PHOTOS} photos")
        bare = (before + self.bare(paths)) / 2
        print(
            f"{len(paths):,} photos of {_PIXELS} x {_PIXELS} pixels: {took:.1f} s, "
            f"{took / bare:.2f} times the bare inference ({bare:.1f} s, the mean of before and "
            f"after); answers meanwhile: {len(answers)}, median "
            f"{1000 * statistics.median(answers):.0f} ms, slowest {1000 * max(answers):.0f} ms; "
            f"stalls of the page over 50 ms: {len(stalls)}, longest {max(stalls, default=0):.0f} "
            f"ms; most memory of the server: {memory / 1e6:.0f} MB"
        )
        self.assertEqual(self.classes(), {f"class {kind:02}": _PHOTOS for kind in range(_CLASSES)})


if __name__ == "__main__":
    absltest.main()
