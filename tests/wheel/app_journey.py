"""Starts the page's server from the installed wheel, adds photos, and asks for answers."""

import io
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request

from PIL import Image


def main() -> None:
    """Prints the answer for a photo, and the number of places on the map."""
    command = [sys.executable, "-m", "imprinting", "app", "--no_browser", "--port=0"]
    with subprocess.Popen(
        [*command, "--project_dir=app_project"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = None
            while not found:
                line = process.stdout.readline()
                if not line:
                    raise SystemExit("the program ended")
                found = re.search(r"(http://\S+/)\?token=(\S+)", line)
            use(found[1], found[2])
        finally:
            process.kill()


def use(origin: str, token: str) -> None:
    """Sends requests as a program does.

    Args:
      origin: the address of the page.
      token: what requests must know.
    """

    def ask(path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(origin + path, body)
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    try:
        urllib.request.urlopen(origin)
    except urllib.error.HTTPError as error:
        assert error.code == 401, error
    else:
        raise AssertionError("expected the page to need the token")
    assert b"<title>imprinting</title>" in ask("")
    for colour in ("red", "green", "blue"):
        for shade in range(2):
            ask(f"api/photos?class_name={colour}&name={shade}.png", photo(colour, shade))
    answer = json.loads(ask("api/classify", photo("green", 2)))["answers"][0]
    places = json.loads(ask("api/map?method=tsne"))["points"]
    print(f"app: {answer['label']}, {len(places)} places")


def photo(colour: str, shade: int) -> bytes:
    """A photo of one colour."""
    image = Image.new("RGB", (64, 64), colour)
    image.putpixel((shade, 0), (255, 255, 255))
    output = io.BytesIO()
    image.save(output, "PNG")
    return output.getvalue()


if __name__ == "__main__":
    main()
