"""Folders between hosts of the lab: every host has a disk of its own, and what was killed goes on with other hosts."""

import os
import random
import signal
import subprocess
from types import SimpleNamespace

import pytest
import trees
from harness import MI, PARTIAL, SYSTEM, leftovers, until

LAB = (4, "500mbit")
HOSTS = "h1,h2,h3,h4"


@pytest.fixture
def nasty(tmp_path):
    """In a folder that all hosts see."""
    trees.nasty(tmp_path / "tree", deep=60, many=2000)
    yield tmp_path / "tree"
    trees.remove(tmp_path / "tree")


def same(lab, source, hosts):
    for host in hosts:
        found = trees.differences(source, lab.disk(host) / "out/tree")
        assert not found, (host, found[:10])


def test_to_every_host(lab, run, nasty):
    assert run("bcast", nasty, "/scratch/out").code == 0
    same(lab, nasty, lab.hosts)
    again = run("bcast", nasty, "/scratch/out")
    assert again.code == 0 and again.report["bytes_moved"] == 0, again
    assert run("verify", "--nodes", "/scratch/out/tree").code == 0


def test_the_host_that_differs_is_named(lab, run, tmp_path):
    trees.random_tree(tmp_path / "tree", 7)
    (tmp_path / "tree/one").write_bytes(b"right")
    assert run("bcast", tmp_path / "tree", "/scratch/out").code == 0
    path = lab.disk(3) / "out/tree/one"
    info = path.stat()
    path.write_bytes(b"wrong")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    result = run("verify", "--nodes", "/scratch/out/tree")
    assert result.code == PARTIAL and "h3" in result.text + result.out.decode() and "one" in result.out.decode(), result
    again = run("bcast", "--checksum", tmp_path / "tree", "/scratch/out")
    assert again.code == 0 and path.read_bytes() == b"right", again


def test_between_two_hosts(lab, run, nasty):
    assert run("send", "--from", "1", "--to", "0", nasty, "/scratch/out", hosts="h2,h3").code == 0
    same(lab, nasty, [2])
    assert not (lab.disk(3) / "out").exists()


def test_digests_by_all_hosts_are_those_of_one(lab, run, tmp_path):
    trees.random_tree(tmp_path / "tree", 3)
    lines = [run("digest", "--sha256", tmp_path / "tree", hosts=hosts).report["lines"] for hosts in (HOSTS, "h2")]
    assert lines[0] == lines[1] and lines[0], lines


def written(lab, host):
    """Bytes on that host's disk."""
    return int(subprocess.run(["du", "-s", "-B1", str(lab.disk(host))], check=False, capture_output=True, text=True).stdout.split()[0])


@pytest.mark.parametrize("seed", range(4))
def test_killed_and_gone_on(lab, start, run, tmp_path, seed):
    rng = random.Random(seed)
    source = trees.make_source(SimpleNamespace(src=tmp_path), seed)
    total = sum(path.lstat().st_size for path in source.rglob("*") if path.is_file() and not path.is_symlink())
    job = start("--hosts", HOSTS, "--bwlimit", "12Mi", source, "/scratch/out", command="bcast")
    enough = rng.randrange(4, 20) * MI
    until(lambda: written(lab, 4) > enough, 40, "data on h4")
    os.kill(job.pid if seed == 0 else job.rank(rng.randrange(4)).pid, signal.SIGKILL)
    job.wait(30)
    job.gone(20)
    for host in lab.hosts:
        trees.all_visible_are_right(source, lab.disk(host) / "out/tree")
    hosts = rng.choice([HOSTS, "h4,h3,h2,h1", "h1,h4", "h3,h4,h1"])
    result = run("bcast", source, "/scratch/out", hosts=hosts)
    assert result.code == 0, result
    same(lab, source, [int(host[1:]) for host in hosts.split(",")])
    assert result.report["bytes_moved"] < total, "what all of these had is not moved again"
    assert all(leftovers(lab.disk(int(host[1:]))) == [] for host in hosts.split(",")), result


def test_without_the_host_that_is_lost(lab, start, run, tmp_path):
    source = trees.make_source(SimpleNamespace(src=tmp_path), 5)
    job = start("--hosts", HOSTS, "--bwlimit", "8Mi", "--stall-timeout", "5", source, "/scratch/out", command="bcast")
    until(lambda: written(lab, 4) > 4 * MI, 40, "data on h4")
    lab.run("link", "h3", "down")
    result = job.wait(60)
    assert result.code == SYSTEM and len(result.lines) == 1, result
    job.gone(20)
    result = run("bcast", source, "/scratch/out", hosts="h1,h2,h4")
    assert result.code == 0, result
    same(lab, source, [1, 2, 4])
    trees.all_visible_are_right(source, lab.disk(3) / "out/tree")
    lab.run("link", "h3", "up")
    result = run("bcast", source, "/scratch/out")
    assert result.code == 0, result
    same(lab, source, lab.hosts)
    assert run("verify", "--nodes", "/scratch/out/tree").code == 0
