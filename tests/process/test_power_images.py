"""Power cuts of a real file system: its device is copied by a reflink while a store writes on it.

`test_power_loss.py` cuts the power of a model of a disk, at every place that matters. Here the kernel says what has
reached the disk. It needs root, loop devices, and the programs that make the file systems.
"""

import os
import random
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from tests.support import seeds
from tests.support.interposer import compiled
from tests.support.power.images import CUTS, INNER, OUTER, SHIM, Result
from tests.support.processes import ROOT, environment
from tests.support.waiting import wait

pytestmark = pytest.mark.timeout(180)

NO_SYNCS = """
int fsync(int fd) { return 0; }
int fdatasync(int fd) { return 0; }
"""


def run(place: Path, inner: str, rng: random.Random, **variables: str) -> Result:
    """Cuts the power in a process with mounts of its own. Skips the test where something for that is missing."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    if not (outers := [kind for kind, (program, *_) in OUTER.items() if shutil.which(program)]):
        pytest.skip("there is neither mkfs.xfs nor mkfs.btrfs")
    if not shutil.which(INNER[inner][0]):
        pytest.skip(f"there is no {INNER[inner][0]}")
    namespace = ["unshare", "--mount", "--propagation", "private"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"]).returncode:
        pytest.skip("mount namespaces are not available")
    scene = [sys.executable, "-m", "tests.support.power.images", str(place), rng.choice(outers)]
    seed = {seeds.VARIABLE: str(rng.getrandbits(32))}
    subprocess.run(
        [*namespace, *scene, inner], env=environment(**seed, **variables), cwd=ROOT, check=True
    )
    result = Result.read(place)
    if result.refused:
        pytest.skip(f"this machine refuses to mount images: {result.refused}")
    devices = ["losetup", "--associated", str(place / "outer.img")]
    wait(lambda: not subprocess.check_output(devices), "the end of the loop device")
    return result


def remove_images(place: Path) -> None:
    """Those of a test that fails are kept with what was written: `mount -o loop outer.img` shows them."""
    for name in ("outer.img", "trace"):
        (place / name).unlink()


@pytest.mark.parametrize("inner", [*INNER])
def test_the_image_of_a_disk_has_all_that_was_acknowledged(
    tmp_path: Path, rng: random.Random, inner: str
):
    result = run(tmp_path, inner, rng)
    assert not result.wrong, result
    assert len(result.acknowledged) == CUTS
    assert {*chain(*result.tables)} - {*result.tables[-1]}, "nothing was compacted between the cuts"
    remove_images(tmp_path)


def test_without_syncs_the_images_of_a_disk_lose_acknowledged_writes(
    tmp_path: Path, rng: random.Random
):
    shim = compiled(NO_SYNCS, tmp_path, "no_syncs")
    result = run(tmp_path, "ext4", rng, **{SHIM: str(shim)})
    faults = [fault for found in result.wrong.values() for fault in found]
    assert any(fault.startswith("lost") for fault in faults), result
    remove_images(tmp_path)
