"""--memory, --chunk-size, --bwlimit, and what a waiting rank costs."""

import os
import time

import pytest
from harness import KI, MI, SELF, SELF_NETWORK, UNDER, USAGE, data_of, until

WAYS = [SELF, UNDER, SELF_NETWORK]


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_bwlimit_is_honoured(place, send, launch):
    path = place.file(size=8 * MI)
    result = send("--bwlimit", "16Mi", path, place.out, launch=launch)
    assert result.code == 0, result
    assert 0.4 <= result.report["seconds"]["transfer"] <= 1.5, result


def test_bwlimit_counts_every_file(place, send):
    for number in range(8):
        place.file(str(number), size=512 * KI)
    result = send("--bwlimit", "8MB", *(place.src / str(number) for number in range(8)), place.out)
    assert result.code == 0 and result.report["seconds"]["transfer"] >= 0.35, result


def test_bwlimit_on_standard_input(place, send):
    result = send("--bwlimit", "8Mi", "-", "--as", "x", place.out, stdin=data_of(4 * MI))
    assert result.code == 0 and result.report["seconds"]["transfer"] >= 0.35, result


def test_bwlimit_below_a_chunk_a_second(place, send):
    path = place.file(size=MI)
    result = send("--bwlimit", "600K", path, place.out)
    assert result.code == 0 and 0.5 < result.report["seconds"]["transfer"] < 4, result


@pytest.mark.parametrize("unit, factor", [("K", 1000), ("Ki", 1024), ("KB", 1000), ("KiB", 1024), ("", 1)])
def test_units(place, send, unit, factor):
    rate = 4 * MI // factor
    result = send("--bwlimit", f"{rate}{unit}", place.file(size=2 * MI), place.out)
    assert result.code == 0 and 0.35 < result.report["seconds"]["transfer"] < 2, result


@pytest.mark.parametrize("launch", WAYS, ids=repr)
@pytest.mark.parametrize("memory", ["4Mi", "5MB", "16MiB", "100M", "256Mi"])
def test_memory(place, send, launch, memory):
    path = place.file(size=20 * MI + 1)
    result = send("--memory", memory, path, place.out, launch=launch)
    assert result.code == 0, result
    assert (place.out / "big.bin").read_bytes() == data_of(20 * MI + 1)


def test_little_memory_is_kept_to(place, send):
    path = place.file(size=100 * MI)
    little = send("--memory", "8Mi", path, place.out).report
    much = send("--memory", "128Mi", "--chunk-size", "4Mi", path, place.out).report
    assert max(r["peak_rss"] for r in little["ranks"]) < max(r["peak_rss"] for r in much["ranks"])


@pytest.mark.parametrize("memory, chunk", [("4Mi", "1Mi"), ("64Mi", "8Mi"), ("64Mi", "64Mi"), ("64Mi", "1Gi")])
def test_chunk_larger_than_a_sixteenth_of_the_memory(place, send, memory, chunk):
    """Refused, or made smaller; either way the bound holds and nothing hangs."""
    path = place.file(size=20 * MI)
    result = send("--memory", memory, "--chunk-size", chunk, path, place.out, timeout=30)
    assert result.code in (0, USAGE), result
    if result.code == 0:
        assert (place.out / "big.bin").read_bytes() == data_of(20 * MI)
        assert all(rank["peak_rss"] < 128 * MI for rank in result.report["ranks"])


@pytest.mark.parametrize("chunk", ["1", "1000", "300K", "262145"])
def test_chunk_that_is_no_multiple_of_a_leaf(place, send, chunk):
    path = place.file(size=600 * KI + 1)
    result = send("--chunk-size", chunk, path, place.out)
    assert result.code in (0, USAGE), result
    if result.code == 0:
        assert (place.out / "big.bin").read_bytes() == data_of(600 * KI + 1)


def test_waiting_costs_little(place, start):
    """A rank that has waited for a second burns under 5 % of a core (here: both wait for a pipe that nobody fills)."""
    read, write = os.pipe()
    try:
        job = start("send", "-", "--as", "x", "out", stdin=read)
        os.write(write, data_of(MI))
        ranks = [job.rank(0), job.rank(1)]
        time.sleep(1.0)  # what is measured begins after a second of waiting
        before, began = [_cpu(rank.pid) for rank in ranks], time.monotonic()
        time.sleep(2.0)
        elapsed = time.monotonic() - began
        shares = [(_cpu(rank.pid) - first) / elapsed for rank, first in zip(ranks, before)]
        os.close(write)
        write = None
        assert job.wait().code == 0
        assert all(share < 0.05 for share in shares), shares
    finally:
        os.close(read)
        if write is not None:
            os.close(write)
    assert (place.out / "x").read_bytes() == data_of(MI)


def _cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_stall_timeout_counts_only_what_does_not_move(place, start):
    """Several pauses, each shorter than the limit, together longer."""
    read, write = os.pipe()
    job = start("send", "-", "--as", "x", "out", "--stall-timeout", "2", stdin=read)
    os.close(read)
    until(lambda: job.rank(1), what="the ranks")
    for _ in range(3):
        os.write(write, data_of(300 * KI)[: 60 * KI])
        time.sleep(1.0)  # the pause is what is tested
    os.close(write)
    result = job.wait()
    assert result.code == 0, result
