"""Tests of the running server's defences."""

import http.client
import socket

from absl.testing import absltest, parameterized

from imprinting.app.app_testing import RunningApp


class GuardTest(parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.holder = cls("test_the_page_needs_the_token_once")
        cls.app = RunningApp(cls.holder)
        cls.addClassCleanup(cls.holder.doCleanups)

    def headers(self, **changed: str | None) -> dict[str, str]:
        """What a browser sends for a request of the page, with other values for some."""
        names = {
            "Cookie": f"imprinting-{self.app.port}={self.app.token}",
            "Host": f"127.0.0.1:{self.app.port}",
            "Origin": self.app.origin,
            "Sec-Fetch-Site": "same-origin",
        }
        for name, value in changed.items():
            names[name.replace("_", "-")] = value
        return {name: value for name, value in names.items() if value is not None}

    def status(self, method: str, path: str, **changed: str | None) -> int:
        body = {"name": "mug"} if method == "POST" else None
        return self.app.request(method, path, body, headers=self.headers(**changed)).status

    def test_the_page_needs_the_token_once(self):
        arrival = self.app.request(
            "GET", "/", headers={"Sec-Fetch-Site": "none"}, token=self.app.token
        )
        self.assertEqual((arrival.status, arrival.headers["location"]), (303, "/"))
        cookie = arrival.headers["set-cookie"]
        self.assertIn("HttpOnly", cookie)
        self.assertIn("samesite=strict", cookie.lower())
        name, _, token = cookie.partition(";")[0].partition("=")
        self.assertEqual((name, token), (f"imprinting-{self.app.port}", self.app.token))
        page = self.app.request("GET", "/", headers={"Cookie": f"{name}={token}"})
        self.assertEqual(page.status, 200)
        self.assertNotIn(self.app.token.encode(), page.body)

    @parameterized.parameters(
        ("GET", "/"),
        ("GET", "/page/app.js"),
        ("GET", "/api/project"),
        ("GET", "/api/events"),
        ("GET", "/api/photos/1/thumbnail"),
        ("GET", "/api/export/model.tflite"),
        ("POST", "/api/classes"),
        ("POST", "/api/classify"),
        ("GET", "/nothing"),
    )
    def test_all_paths_need_the_token(self, method, path):
        for cookie in (None, f"imprinting-{self.app.port}=wrong", "imprinting-1=x", '"'):
            self.assertEqual(self.status(method, path, Cookie=cookie), 401, msg=cookie)
        self.assertEqual(self.app.request("GET", "/", headers={}, token="wrong").status, 401)
        self.assertEqual(
            self.app.request("GET", "/api/project", headers={"Authorization": "Bearer x"}).status,
            401,
        )

    @parameterized.parameters(
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "192.168.0.7:{port}",
        "localhost.evil.example",
        "[::ffff:127.0.0.1",
        "",
        "127.0.0.1@evil.example",
    )
    def test_dns_rebinding(self, host):
        # Another site's page, whose name means 127.0.0.1 by now, has that name as its host.
        host = host.format(port=self.app.port)
        origin = f"http://{host}"
        for path in ("/", "/api/project", "/page/app.js"):
            self.assertEqual(self.status("GET", path, Host=host, Origin=origin), 403)
        answer = self.app.request("GET", "/", headers={"Host": host}, token=self.app.token)
        self.assertEqual(answer.status, 403)

    @parameterized.parameters("localhost", "127.0.0.1", "[::1]")
    def test_names_of_this_machine(self, name):
        host = f"{name}:{self.app.port}"
        self.assertEqual(
            self.status("GET", "/api/project", Host=host, Origin=f"http://{host}"), 200
        )

    @parameterized.parameters(
        None,
        "null",
        "http://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
        "http://localhost:{port}",
    )
    def test_posts_of_other_sites(self, origin):
        if origin is not None:
            origin = origin.format(port=self.app.port)
        before = self.app.get("/api/project")["version"]
        for path in ("/api/classes", "/api/undo", "/api/fit", "/api/photos?class_name=a"):
            self.assertEqual(self.status("POST", path, Origin=origin), 403)
        self.assertEqual(self.status("DELETE", "/api/classes/1", Origin=origin), 403)
        self.assertEqual(self.app.get("/api/project")["version"], before)

    def test_reads_of_other_sites(self):
        # A page may not read an answer of another site, but it may show its pictures.
        for site in ("cross-site", "same-site"):
            for path in ("/api/project", "/api/photos/1/thumbnail", "/api/events", "/"):
                self.assertEqual(self.status("GET", path, Sec_Fetch_Site=site), 403)
        arrival = self.headers(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
        self.assertEqual(self.app.request("GET", "/", headers=arrival).status, 200)
        for name in ("access-control-allow-origin", "server"):
            self.assertNotIn(name, self.app.request("GET", "/", headers=arrival).headers)

    def test_headers(self):
        for path in ("/", "/page/app.js", "/api/project", "/api/export/labels.txt", "/nothing"):
            headers = self.app.request("GET", path).headers
            policy = headers["content-security-policy"]
            self.assertIn("default-src 'none'", policy)
            self.assertIn("script-src 'self'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertEqual(headers["cross-origin-resource-policy"], "same-origin")
            self.assertEqual(headers["cache-control"], "no-store")
        for path in ("/api/confusion.svg", "/api/export/report.html"):
            self.assertNotIn(
                "script-src", self.app.request("GET", path).headers["content-security-policy"]
            )

    def test_files_outside_of_the_page(self):
        for path in (
            "/page/../server.py",
            "/page/..%2fserver.py",
            "/page/index.html",
            "/page/x.js",
        ):
            self.assertEqual(self.app.request("GET", path).status, 404, msg=path)

    def test_websockets_and_nonsense(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.app.port)
        self.addCleanup(connection.close)
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        upgrade["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        connection.request("GET", "/api/events", headers=upgrade)
        self.assertGreaterEqual(connection.getresponse().status, 400)
        with socket.create_connection(("127.0.0.1", self.app.port)) as plain:
            plain.sendall(b"nonsense\r\n\r\n")
            self.assertIn(b"400", plain.recv(1000))
        self.app.get("/api/project")

    def test_only_loopback_can_connect(self):
        # All addresses of 127.0.0.0/8 are this machine's; a server on 0.0.0.0 has them all.
        with self.assertRaises(OSError), socket.create_connection(("127.0.0.2", self.app.port)):
            pass
        other = RunningApp(self, "--host=0.0.0.0")
        with socket.create_connection(("127.0.0.2", other.port)):
            pass
        # Then it can be named by any address, but still by no other name.
        for host, status in (("192.0.2.1", 200), ("evil.example", 403)):
            headers = {"Authorization": f"Bearer {other.token}", "Host": host}
            self.assertEqual(other.request("GET", "/api/project", headers=headers).status, status)


if __name__ == "__main__":
    absltest.main()
