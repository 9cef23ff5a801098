"""Writes numbered documents to a URL until the file STOP exists; prints the id of each one that was acknowledged.

Usage: python writer.py COLLECTION-URL STOP REPORT
A write that failed or was cut off is tried again under the same id, so that only acknowledged ones are printed.
At the end REPORT gets the longest time between two of them, in whole seconds, rounded up.
"""

import http.client
import itertools
import json
import math
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


def main(url: str, stop: Path, report: Path) -> None:
    longest, last = 0.0, time.monotonic()
    for number in itertools.count():
        while not write(url, number) and not stop.exists():
            time.sleep(0.1)  # a writer's own back-off, not a wait for a condition
        longest = max(longest, time.monotonic() - last)
        if stop.exists():
            break
        last = time.monotonic()
        print(number, flush=True)
    report.write_text(str(math.ceil(longest)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
