"""Reads ids from standard input; prints those that a node does not have.

Usage: python missing.py COLLECTION-URL
"""

import sys
import urllib.error
import urllib.request


def is_there(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise


if __name__ == "__main__":
    for identifier in sys.stdin.read().split():
        if not is_there(f"{sys.argv[1]}/{identifier}"):
            print(identifier)
