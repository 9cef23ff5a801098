"""Libraries whose inner interfaces are used: pinned to a minor version, and locked within the pin."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]

PINNED = ("aioquic", "gunicorn", "uvicorn")


def declared() -> dict[str, Requirement]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].split("\n")
    found = [Requirement(line) for line in lines if line]
    return {requirement.name: requirement for requirement in found}


def locked() -> dict[str, Version]:
    text = (ROOT / ".ci" / "requirements.lock").read_text()
    return {name: Version(version) for name, version in re.findall(r"^(\S+)==(\S+)", text, re.M)}


@pytest.mark.parametrize("name", PINNED)
def test_the_pin_admits_one_minor_version(name: str) -> None:
    version = locked()[name]
    next_minor = Version(f"{version.major}.{version.minor + 1}")
    pin = declared()[name].specifier
    assert pin.contains(version)
    assert not pin.contains(next_minor)
    assert not pin.contains(f"{version.major}.{version.minor - 1}" if version.minor else "0")


def test_the_lock_satisfies_every_requirement() -> None:
    versions = locked()
    for name, requirement in declared().items():
        assert requirement.specifier.contains(versions[name.lower()]), name
