"""Writes numbered documents to a URL until /tmp/stop exists; prints the id of each one that was acknowledged.

Usage: python writer.py COLLECTION-URL
A write that failed or was cut off is tried again under the same id, so that only acknowledged ones are printed.
"""

import http.client
import itertools
import json
import sys
import time
import urllib.request
from pathlib import Path


def write(url: str, number: int) -> bool:
    request = urllib.request.Request(
        f"{url}/{number}",
        data=json.dumps({"number": number}).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return 200 <= answer.status < 300
    except (OSError, http.client.HTTPException):
        return False


def main(url: str) -> None:
    for number in itertools.count():
        while not write(url, number):
            if Path("/tmp/stop").exists():
                return
            time.sleep(0.1)  # a writer's own back-off, not a wait for a condition
        print(number, flush=True)
        if Path("/tmp/stop").exists():
            return


if __name__ == "__main__":
    main(sys.argv[1])
