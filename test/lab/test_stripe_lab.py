"""`argosy scatter` and its companions between hosts of the lab: every host has a disk of its own."""

import shutil

import pytest
from harness import INTEGRITY, MI, PARTIAL, data_of, leftovers

LAB = (5, "500mbit")
HOSTS = "h1,h2,h3,h4,h5"
SIZE = 12 * MI + 5
STRIPE = "scratch.bin.argosy"


@pytest.fixture
def scattered(lab, run):
    """scratch.bin of h1, on h2 to h5, one of which may be lost."""
    (lab.disk(1) / "scratch.bin").write_bytes(data_of(SIZE))
    result = run("scatter", "--parity", "1", "/scratch/scratch.bin", "/scratch/shares")
    assert result.code == 0, result
    assert [(one["worker"], one["host"]) for one in result.report["stripe"]["receipts"]] == [(w, f"h{w + 1}") for w in range(1, 5)]
    assert not (lab.disk(1) / "shares").exists()
    return lab


def back(lab, run, host, **options):
    result = run("gather", "/scratch/shares/scratch.bin", "/scratch/back.bin", **options)
    assert result.code == 0, result
    assert (lab.disk(host) / "back.bin").read_bytes() == data_of(SIZE)
    return result


def test_there_and_back(scattered, run):
    for worker in range(1, 5):
        names = {path.name for path in (scattered.disk(worker + 1) / "shares" / STRIPE).iterdir()}
        assert names == {"manifest.json", "digests.bin", f"share_{worker:04}"}
    back(scattered, run, 1)
    assert run("verify", "--stripes", "/scratch/shares/scratch.bin").report["stripe"]["losses"] == 1


def test_without_one_host_and_onto_another(scattered, run):
    back(scattered, run, 5, hosts="h5,h3,h2")


def test_a_lost_host_is_replaced(scattered, run):
    shutil.rmtree(scattered.disk(3) / "shares")
    checked = run("verify", "--stripes", "/scratch/shares/scratch.bin")
    assert checked.code == PARTIAL and checked.report["stripe"]["losses"] == 0, checked
    # h1 has no share yet, and takes h3's.
    repaired = run("repair", "/scratch/shares/scratch.bin", hosts="h2,h1,h4,h5")
    assert repaired.code == 0, repaired
    assert (scattered.disk(1) / "shares" / STRIPE / "share_0002").exists()
    shutil.rmtree(scattered.disk(4) / "shares")
    back(scattered, run, 1)
    shutil.rmtree(scattered.disk(5) / "shares")
    lost = run("gather", "/scratch/shares/scratch.bin", "/scratch/other.bin")
    assert lost.code == INTEGRITY and not (scattered.disk(1) / "other.bin").exists(), lost


def test_shares_moved_between_hosts(scattered, run):
    shutil.move(scattered.disk(2) / "shares" / STRIPE / "share_0001", scattered.disk(4) / "shares" / STRIPE / "share_0001")
    shutil.rmtree(scattered.disk(2) / "shares")
    shutil.copytree(scattered.disk(5) / "shares", scattered.disk(1) / "shares")
    shutil.rmtree(scattered.disk(5) / "shares")
    result = back(scattered, run, 1)
    assert result.report["stripe"]["rebuilt"] == 0 and leftovers(scattered.disk(1)) == [], result


def test_by_a_launcher(lab, start):
    (lab.disk(1) / "scratch.bin").write_bytes(data_of(SIZE))
    result = start("/scratch/scratch.bin", "/scratch/shares", command="scatter", by="5").wait()
    assert result.code == 0, result
    assert all((lab.disk(host) / "shares" / STRIPE).exists() for host in (2, 3, 4, 5)), result
