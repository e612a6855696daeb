"""Ask a running `mobilenets serve` about photos, with Python's standard library alone.

mobilenets serve runs/photos
python examples/serve_client.py http://127.0.0.1:8000 rose.jpg tulip.jpg
"""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path


def ask(server: str, photo: str) -> dict:
    """The server's answer about one photo.

    Raises
    ------
    urllib.error.HTTPError
        The server refused: its body says why, in one sentence.
    """
    request = urllib.request.Request(f"{server}/predict", data=Path(photo).read_bytes())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["results"][0]


def main(server: str, *photos: str) -> int:
    """Print a line for each photo; 1 if the server refused any of them."""
    refused = 0
    for photo in photos:
        try:
            answer = ask(server, photo)
        except urllib.error.HTTPError as error:
            refused = 1
            print(f"{photo}: {json.load(error)['error']}", file=sys.stderr)
        else:
            print(f"{photo}: {answer['label'] or 'unknown'} ({answer['probability']:.3f})")
    return refused


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
