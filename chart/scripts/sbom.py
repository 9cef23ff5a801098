"""Prints a CycloneDX 1.5 list of the Debian and Python packages of the system it runs on.

Usage: python sbom.py NAME-OF-THE-IMAGE
"""

import json
import sys
from importlib import metadata
from pathlib import Path

DPKG_STATUS = Path("/var/lib/dpkg/status")


def debian_components(status: str) -> list[dict[str, str]]:
    components = []
    for paragraph in status.strip().split("\n\n"):
        fields = dict(
            line.split(": ", 1)
            for line in paragraph.splitlines()
            if ": " in line and line[0] != " "
        )
        if "Package" not in fields or "installed" not in fields.get("Status", "installed").split():
            continue
        name, version = fields["Package"], fields["Version"]
        purl = f"pkg:deb/debian/{name}@{version}?arch={fields.get('Architecture', 'all')}"
        components.append(component(name, version, purl))
    return components


def python_components() -> list[dict[str, str]]:
    return [
        component(d.name, d.version, f"pkg:pypi/{d.name.lower().replace('_', '-')}@{d.version}")
        for d in metadata.distributions()
    ]


def component(name: str, version: str, purl: str) -> dict[str, str]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def bill_of_materials(image: str, components: list[dict[str, str]]) -> dict[str, object]:
    name, _, tag = image.rpartition(":")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name or image, "version": tag}},
        "components": sorted(components, key=lambda c: c["purl"]),
    }


if __name__ == "__main__":
    python = component(
        "python", sys.version.split()[0], f"pkg:generic/python@{sys.version.split()[0]}"
    )
    debian = debian_components(DPKG_STATUS.read_text()) if DPKG_STATUS.exists() else []
    json.dump(
        bill_of_materials(sys.argv[1], [python, *debian, *python_components()]),
        sys.stdout,
        indent=1,
    )
    sys.stdout.write("\n")
