"""Tests of the running server, but for its defences."""

import concurrent.futures
import http.client
import io
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time
import zipfile

from absl.testing import absltest, parameterized
from PIL import Image

from imprinting.app.app_testing import RunningApp
from imprinting.project import photo_check, project_testing
from tests import runfiles

photo = project_testing.photo


def add(app: RunningApp, kind: int, number: int = 0, **parameters):
    given = {"name": f"{kind}_{number}.jpg", "class_name": f"class {kind}"} | parameters
    return app.post("/api/photos", photo(kind, number), **given)


class _TestCase(parameterized.TestCase):
    app: RunningApp

    def assert_refused(self, status, expected, method, path, body=None, **parameters):
        version = self.app.get("/api/project")["version"]
        answer = self.app.request(method, path, body, **parameters)
        self.assertEqual(answer.status, status, msg=answer.body)
        self.assertRegex(answer.json["error"], expected)
        self.assertEqual(self.app.get("/api/project")["version"], version)


class ServerTest(_TestCase):
    """Tests that share a server, with an empty project for each."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        holder = cls("test_zip")
        cls.addClassCleanup(holder.doCleanups)
        cls.app = RunningApp(holder)

    def setUp(self):
        super().setUp()
        self.app.post("/api/new")

    def test_classes_and_photos(self):
        mug = self.app.post("/api/classes", {"name": "mug"})["id"]
        self.assertEqual(self.app.post("/api/classes", {"name": "mug"})["id"], mug)
        first = self.app.post("/api/photos", photo(1), **{"class": mug}, name="a.jpg")
        self.assertFalse(first["duplicate"])
        self.assertTrue(
            self.app.post("/api/photos", photo(1), **{"class": mug}, name="b.jpg")["duplicate"]
        )
        cup = add(self.app, 2, class_name="cup")["class"]
        project = self.app.get("/api/project")
        self.assertEqual(
            [(each["id"], each["name"], len(each["photos"])) for each in project["classes"]],
            [(mug, "mug", 1), (cup, "cup", 1)],
        )
        self.assertEqual(project["undo"], "add 1 photo to cup")
        answer = self.app.request("PATCH", f"/api/classes/{cup}", {"name": "mug"})
        self.assertEqual((answer.status, answer.json["conflict"]), (409, mug))
        self.app.post(f"/api/photos/{first['photo']}/move", {"from": mug, "to": cup})
        self.app.post(f"/api/classes/{mug}/merge", {"into": cup})
        self.app.request("DELETE", f"/api/photos/{first['photo']}?class={cup}")
        self.assertEqual(self.app.get("/api/project")["numPhotos"], 1)
        for _ in range(6):
            self.app.post("/api/undo")
        self.assertEqual(self.app.get("/api/project")["classes"], [])
        self.app.post("/api/redo")
        self.assertLen(self.app.get("/api/project")["classes"], 1)

    def test_the_next_answer_uses_a_new_photo(self):
        for kind in (1, 2):
            added = add(self.app, kind)
            found = self.app.post("/api/classify", photo(kind, 5))
            self.assertGreaterEqual(found["version"], added["version"])
            self.assertEqual(found["answers"][0]["label"], f"class {kind}")
            self.assertFalse(found["answers"][0]["kept"])
        self.app.post("/api/settings", {"threshold": 1.0})
        self.assertFalse(self.app.post("/api/classify", photo(2, 5))["known"])
        self.app.post("/api/settings", {"keepClasses": False})
        self.assertLen(self.app.post("/api/classify", photo(2, 5))["answers"], 2)

    def test_kept_classes(self):
        self.assertEqual(self.app.get("/api/kept", query="LEM")["names"], ["lemon"])
        add(self.app, 1, class_name="lemon")
        self.assertEqual(self.app.get("/api/kept", query="lem")["matches"], 0)
        kept = self.app.get("/api/project")["kept"]
        self.assertEqual((kept["count"], kept["replaced"]), (999, ["lemon"]))
        self.assertLen(self.app.get("/api/kept", limit=7)["names"], 7)

    def test_fit_quality_and_map(self):
        for kind in (1, 2):
            for number in range(3):
                add(self.app, kind, number)
        self.app.post("/api/fit")
        fit = self.app.get("/api/project")["fit"]
        self.assertTrue(fit["applies"])
        self.assertEqual(fit["photosSince"], 0)
        quality = self.app.get("/api/quality")
        self.assertEqual((quality["numPhotos"], len(quality["classes"])), (6, 2))
        counts = self.app.get("/api/confusion")["counts"]
        self.assertEqual(sum(map(sum, counts)), 6)
        svg = self.app.request("GET", "/api/confusion.svg")
        self.assertEqual(svg.headers["content-type"], "image/svg+xml")
        for method in ("pca", "tsne"):
            self.assertLen(self.app.get(f"/api/map?method={method}")["points"], 6)
        # Other changes do not make it compute everything again, but are noticed.
        self.app.post("/api/settings", {"threshold": 0.5})
        self.app.post("/api/undo")
        self.app.post("/api/redo")
        again = self.app.get("/api/quality")
        self.assertEqual(again, quality | {"version": self.app.get("/api/project")["version"]})
        self.app.request("DELETE", "/api/fit")
        self.assertIsNone(self.app.get("/api/project")["fit"])

    def test_bad_requests(self):
        mug = add(self.app, 1)["class"]
        for case in (
            (400, "JSON", "POST", "/api/classes", b"nonsense"),
            (400, "JSON", "POST", "/api/classes", b"\xff"),
            (400, "JSON object of name", "POST", "/api/classes", b"[]"),
            (400, "JSON object of name", "POST", "/api/classes", {"other": 1}),
            (400, "name as str", "POST", "/api/classes", {"name": 5}),
            (400, "the name of a class", "POST", "/api/classes", {}),
            (413, "at most 65,536 bytes", "POST", "/api/classes", b" " * 100_000),
            (400, "keepClasses as bool", "POST", "/api/settings", {"keepClasses": 1}),
            (400, "threshold in", "POST", "/api/settings", {"threshold": 1.5}),
            (400, "number 99, which was removed", "DELETE", "/api/classes/99"),
            (400, "number 99, which was removed", "PATCH", "/api/classes/99", {"name": "x"}),
            (400, "same class twice", "POST", f"/api/classes/{mug}/merge", {"into": mug}),
            (400, "a photo of class 1", "DELETE", f"/api/photos/99?class={mug}"),
            (400, "class in the address", "DELETE", "/api/photos/1?class=-1"),
            (400, "the number of a photo", "GET", "/api/photos/99/thumbnail"),
            (400, "the number of a photo", "GET", f"/api/photos/{10**30}/file"),
            (400, "threshold in", "POST", "/api/settings", {"keepClasses": False, "threshold": 7}),
            (400, "pca or tsne", "GET", "/api/map?method=x"),
            (400, "at least 3 photos", "GET", "/api/map"),
            (400, "the name of an export", "GET", "/api/export/x.exe"),
            (400, "limit in the address", "GET", "/api/kept?limit=x"),
        ):
            # Not the body, which may be long.
            with self.subTest(case[:4]):
                self.assert_refused(*case)

    def test_bad_photos(self):
        large = b"\xff\xd8" + bytes(photo_check.MOST_BYTES)
        with io.BytesIO() as output:
            Image.new("1", (20_000, 6_001)).save(output, "PNG")
            bomb = output.getvalue()
        for status, expected, body in (
            (422, "it is empty", b""),
            (422, "not a JPEG", b"<svg onload=alert(1)>"),
            (422, "pixels, and the most is", bomb),
            (413, "at most 33,554,432 bytes", large),
        ):
            for path in ("/api/photos?class_name=a", "/api/classify"):
                self.assert_refused(status, expected, "POST", path, body)

    def test_zip(self):
        output = io.BytesIO()
        with zipfile.ZipFile(output, "w") as archive:
            for kind in (1, 2):
                for number in range(3):
                    archive.writestr(f"x/class {kind}/{number}.jpg", photo(kind, number))
            archive.writestr("../evil/1.jpg", photo(3))
            archive.writestr("class 1/bad.jpg", b"nonsense")
        found = self.app.post("/api/zip", output.getvalue(), name="a.zip")
        self.assertEqual((found["photos"], found["classes"]), (6, 2))
        self.assertRegex("\n".join(found["skipped"]), "(?s)leads out.*not a JPEG")
        project = self.app.get("/api/project")
        self.assertEqual([len(each["photos"]) for each in project["classes"]], [3, 3])
        self.assertEqual(project["undo"], "add 6 photos to 2 classes")
        self.assertFalse(os.path.exists(os.path.join(self.app.folder, "..", "evil")))
        self.assert_refused(400, "expected a zip file", "POST", "/api/zip", b"nonsense")

    def test_exports_and_open(self):
        for kind in (1, 2):
            add(self.app, kind)
        files = {
            name: self.app.request("GET", f"/api/export/{name}")
            for name in (
                *("model.tflite", "edge_tpu.zip", "labels.txt", "photos.zip", "report.html"),
                *("project.zip", "example.py"),
            )
        }
        for name, answer in files.items():
            self.assertEqual(answer.status, 200, msg=name)
            self.assertIn(f'filename="{name}"', answer.headers["content-disposition"])
        self.assertIn(
            'load("mug.tflite")',
            self.app.request("GET", "/api/export/example.py", model="mug.tflite").body.decode(),
        )
        self.app.post("/api/new")
        self.assertEqual(self.app.get("/api/project")["numPhotos"], 0)
        self.app.post("/api/open", files["project.zip"].body, name="project.zip")
        self.assertEqual(self.app.get("/api/project")["numPhotos"], 2)
        self.assertEqual(
            self.app.request("GET", "/api/export/model.tflite").body, files["model.tflite"].body
        )
        self.app.post("/api/open", files["model.tflite"].body, name="mine.tflite")
        project = self.app.get("/api/project")
        self.assertEqual((project["kept"]["name"], project["kept"]["count"]), ("mine.tflite", 1002))
        for body in (
            b"nonsense",
            b"",
            files["photos.zip"].body,
            files["model.tflite"].body[:100_000],
        ):
            self.assert_refused(400, "expected", "POST", "/api/open", body, name="x")

    def test_a_version_means_one_state(self):
        seen: dict[int, object] = {}
        stop = threading.Event()

        def poll() -> None:
            while not stop.is_set():
                project = self.app.get("/api/project")
                found = project["classes"], project["undo"], project["redo"]
                self.assertEqual(seen.setdefault(project["version"], found), found)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            polls = [pool.submit(poll) for _ in range(3)]
            try:
                for number in range(20):
                    add(self.app, number % 3, number)
                    if number % 4 == 3:
                        self.app.post("/api/undo")
            finally:
                stop.set()
            for each in polls:
                each.result()

    def test_news(self):
        lines: list[dict] = []
        seen = threading.Event()

        def read() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.app.port)
            connection.request(
                "GET", "/api/events", headers={"Authorization": f"Bearer {self.app.token}"}
            )
            stream = connection.getresponse()
            while not lines or lines[-1]["version"] == lines[0]["version"]:
                line = stream.readline().decode()
                if line.startswith("data: "):
                    lines.append(json.loads(line[6:]))
                    seen.set()
            connection.close()

        thread = threading.Thread(target=read)
        thread.start()
        self.assertTrue(seen.wait(60))
        version = add(self.app, 1)["version"]
        thread.join(60)
        self.assertEqual(lines[-1]["version"], version)


class OwnServerTest(_TestCase):
    """Tests that look into the project's folder, or end the server."""

    def setUp(self):
        super().setUp()
        self.app = RunningApp(self)

    def test_names_with_markup(self):
        name = "<img src=x onerror=alert(1)>我的\"'&"
        add(self.app, 1, class_name=name, name="../../<b>.jpg")
        (found,) = self.app.get("/api/project")["classes"]
        self.assertEqual(found["name"], name)
        self.assertEqual(found["photos"][0]["name"], "../../<b>.jpg")
        report = self.app.request("GET", "/api/export/report.html")
        self.assertIn(b"<td>&lt;img src=x onerror=alert(1)&gt;", report.body)
        self.assertIn("sandbox", report.headers["content-security-policy"])
        self.assertIn("attachment", report.headers["content-disposition"])
        (stored,) = os.listdir(os.path.join(self.app.folder, "photos"))
        self.assertRegex(stored, r"^[0-9a-f]{32}\.jpg$")

    def test_a_lost_photo(self):
        photo_id = add(self.app, 1)["photo"]
        (stored,) = os.listdir(os.path.join(self.app.folder, "photos"))
        os.remove(os.path.join(self.app.folder, "photos", stored))
        for path in (f"/api/photos/{photo_id}/thumbnail", f"/api/photos/{photo_id}/file"):
            self.assert_refused(404, "No such file", "GET", path)
        self.assertEqual(self.app.request("GET", "/api/export/report.html").status, 200)

    def test_cancelled_uploads_are_quiet(self):
        for path in ("/api/photos?class_name=a", "/api/zip", "/api/classify"):
            with socket.create_connection(("127.0.0.1", self.app.port)) as connection:
                connection.sendall(
                    f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.app.port}\r\n"
                    f"Authorization: Bearer {self.app.token}\r\n"
                    "Content-Length: 100000\r\n\r\nabc".encode()
                )
        add(self.app, 1)
        self.app.process.send_signal(signal.SIGINT)
        self.app.process.wait()
        with open(self.app.errors) as file:
            self.assertEqual(file.read(), "")


class ProcessTest(absltest.TestCase):
    def test_nothing_is_lost_when_the_process_is_killed(self):
        app = RunningApp(self)
        stop = threading.Event()
        added: list[int] = []

        def upload() -> None:
            number = 0
            while not stop.is_set():
                try:
                    added.append(add(app, 1, number)["photo"])
                except OSError:
                    return
                number += 1

        thread = threading.Thread(target=upload)
        thread.start()
        while len(added) < 10:
            time.sleep(0.01)
        app.kill()
        stop.set()
        thread.join()
        again = RunningApp(self, folder=app.folder)
        (found,) = again.get("/api/project")["classes"]
        photos = [each["id"] for each in found["photos"]]
        # The last one may have been saved, without an answer.
        self.assertEqual(photos[: len(added)], added)
        self.assertLessEqual(len(photos), len(added) + 1)
        for each in photos:
            self.assertEqual(again.request("GET", f"/api/photos/{each}/file").status, 200)
        self.assertEqual(again.post("/api/classify", photo(1))["answers"][0]["label"], "class 1")
        # Open pages find the new server.
        self.assertEqual(again.token, app.token)

    def test_the_token_is_private(self):
        app = RunningApp(self)
        mode = os.stat(os.path.join(app.folder, "token")).st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        app.kill()
        os.chmod(os.path.join(app.folder, "token"), 0o644)
        self.assertNotEqual(RunningApp(self, folder=app.folder).token, app.token)

    def test_it_stops_on_ctrl_c(self):
        app = RunningApp(self)
        add(app, 1)
        app.process.send_signal(signal.SIGINT)
        self.assertIn("Everything is saved in", app.output.read())
        self.assertEqual(app.process.wait(), 0)

    def test_it_does_not_start_twice(self):
        app = RunningApp(self)
        for flags, expected in (
            ([f"--port={app.port}", "--project_dir=x"], "which another program uses"),
            (["--port=0", f"--project_dir={app.folder}"], "no other program has open"),
            (["--host=192.0.2.1", "--project_dir=x"], "an address of this machine"),
        ):
            done = subprocess.run(
                [str(runfiles.path("imprinting/commands/app")), "--no_browser", *flags],
                capture_output=True,
                text=True,
                cwd=self.create_tempdir().full_path,
                check=False,
            )
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, f"^app: expected .*{expected}")


if __name__ == "__main__":
    absltest.main()
