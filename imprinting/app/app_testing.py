"""The running program, for tests."""

import http.client
import json
import os
import re
import subprocess
import tempfile
import urllib.parse
from collections.abc import Mapping
from typing import Any, NamedTuple

from absl.testing import absltest

from tests import runfiles

_ADDRESS = re.compile(r"http://(\S+?):(\d+)/\?token=(\S+)")


class Answer(NamedTuple):
    """An answer of the server.

    Attributes:
      status: the HTTP status.
      headers: in lower case.
      body: its bytes.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class RunningApp:
    """The program `app` in a process of its own, which ends with the test.

    Attributes:
      folder: the project's folder.
      process: the process.
      output: what it prints.
      errors: the path of a file with what it prints on stderr.
      port: the port that it listens on.
      token: what requests must know.
    """

    def __init__(
        self, test: absltest.TestCase, *flags: str, folder: str | None = None, port: int = 0
    ) -> None:
        """Starts the program, and waits until it accepts requests.

        Args:
          test: the test.
          *flags: more flags.
          folder: the project's folder; None for a new one.
          port: the port; 0 for any that is free.
        """
        self._test = test
        self.folder = folder or os.path.join(
            test.enter_context(tempfile.TemporaryDirectory()), "project"
        )
        command = [
            *(str(runfiles.path("imprinting/commands/app")), f"--project_dir={self.folder}"),
            *("--no_browser", f"--port={port}", *flags),
        ]
        self.errors = self.folder + ".errors"
        with open(self.errors, "a") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self.process.stdout is not None
        self.output = self.process.stdout
        test.addCleanup(self.kill)
        printed = ""
        while not (found := _ADDRESS.search(printed)):
            line = self.output.readline()
            if not line:
                with open(self.errors) as file:
                    raise AssertionError(f"the program ended: {printed} {file.read()}")
            printed += line
        self.port, self.token = int(found[2]), found[3]

    @property
    def origin(self) -> str:
        """The address of the page, without a token."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"{self.origin}/?token={self.token}"

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> Answer:
        """Sends a request.

        Args:
          method: GET, POST and so on.
          path: the path.
          body: bytes, or an object that is sent as JSON.
          headers: None for the token.
          **parameters: of the address.
        """
        if headers is None:
            headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if parameters:
            path += "?" + urllib.parse.urlencode(parameters)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON that a path answers with; the answer must be a success."""
        answer = self.request("GET", path, **parameters)
        self._test.assertEqual(answer.status, 200, msg=answer.body[:1000])
        return answer.json

    def post(self, path: str, body: Any = None, **parameters: Any) -> Any:
        """The same for a POST."""
        answer = self.request("POST", path, body, **parameters)
        self._test.assertIn(answer.status, (200, 201), msg=answer.body[:1000])
        return answer.json

    def kill(self) -> None:
        """Ends the process at once, as `kill -9` does."""
        self.process.kill()
        self.process.wait()
        self.output.close()
