"""`argosy fetch` into folders, from an origin that behaves."""

import os
import signal
import time

import pytest
from fetching import BIG, FILES, same
from harness import DESTINATION, PARTIAL, UNDER, goes_on, mounted, until


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("name", ["big.bin", "mid", "one", "empty"])
def test_one_object(fetch, origin, place, ranks, name):
    result = fetch(f"{origin.url}/file/{name}", place.out, ranks=ranks)
    assert result.code == 0, result
    same(place.out / name, name)
    assert [path.name for path in place.out.iterdir()] == [name]
    ledger = result.report["ledger"]
    assert ledger["received"] == ledger["delivered"] == len(FILES[name]) == origin.body_bytes, result
    assert origin.most_open <= 8


def test_the_report(fetch, origin, place):
    result = fetch(f"{origin.url}/file/big.bin", place.out, ranks=3)
    report = result.report
    assert report["command"] == "fetch" and report["files"] == 1 and report["bytes"] == report["bytes_moved"] == BIG
    assert report["digest"].startswith("xxh3:") and report["name"] == "big.bin", result
    (one,) = report["ledger"]["origins"]
    assert one == {"host": f"127.0.0.1:{origin.port}", "requests": len(origin.requests), "bytes": BIG, "retries": 0, "429s": 0}
    assert report["ledger"]["ratio"] == 1.0
    # All ranks have worked.
    assert all(rank["bytes_read"] > 0 for rank in report["ranks"]), result


def test_the_result_line(argosy, origin, place):
    result = argosy("fetch", f"{origin.url}/file/big.bin", place.out)
    assert result.code == 0 and result.out.startswith(b"fetched big.bin: 9449529 bytes"), result
    assert b"1.000 received for each" in result.out


def test_the_time_of_change_goes_with_it(fetch, origin, place):
    assert fetch(f"{origin.url}/file/mid", place.out).code == 0
    assert (place.out / "mid").stat().st_mtime == 1767225600


def test_many_objects_to_another_rank(fetch, origin, place):
    urls = [f"{origin.url}/file/s{i}" for i in range(12)]
    result = fetch("--to", "2", *urls, f"{origin.url}/file/big.bin", str(place.out) + "-%r", ranks=3)
    assert result.code == 0 and result.report["files"] == 13, result
    out = place / "out-2"
    for i in range(12):
        same(out / f"s{i}", f"s{i}")
    same(out / "big.bin", "big.bin")


def test_under_mpiexec(fetch, origin, place):
    result = fetch(f"{origin.url}/file/big.bin", place.out, launch=UNDER, ranks=3)
    assert result.code == 0, result
    same(place.out / "big.bin", "big.bin")


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_to_all(fetch, origin, place, ranks):
    urls = [f"{origin.url}/file/{name}" for name in ("big.bin", "mid", "empty", "one", "s1", "s2", "s3")]
    result = fetch("--to", "all", "--memory", "16Mi", *urls, str(place.out) + "-%r", ranks=ranks)
    assert result.code == 0, result
    for rank in range(ranks):
        for name in ("big.bin", "mid", "empty", "one", "s1", "s2", "s3"):
            same(place / f"out-{rank}" / name, name)
    # However many have it, the origin was asked once for each byte.
    assert origin.body_bytes == result.report["ledger"]["received"] == result.report["bytes_moved"], result
    assert [rank["bytes_written"] for rank in result.report["ranks"]] == [origin.body_bytes] * ranks


def test_to_all_of_one_node_and_a_shared_folder(fetch, origin, place):
    result = fetch("--to", "all", f"{origin.url}/file/big.bin", place.out, ranks=3, one_node=True)
    assert result.code == 0, result
    same(place.out / "big.bin", "big.bin")
    result = fetch("--to", "all", f"{origin.url}/file/mid", place.out, ranks=3)
    assert result.code == 0, result
    same(place.out / "mid", "mid")
    assert sorted(path.name for path in place.out.iterdir()) == ["big.bin", "mid"]


def test_a_member_whose_disk_is_full(fetch, origin, place, mounts):
    with mounted(place / "out-1", "-t", "tmpfs", "-o", "size=2m", "argosy-test"):
        result = fetch("--to", "all", f"{origin.url}/file/big.bin", str(place.out) + "-%r", ranks=3)
        assert result.code == PARTIAL, result
        (error,) = result.errors
        assert error["rank"] == 1 and error["kind"] == "destination" and "No space" in error["message"], result
        assert os.listdir(place / "out-1") == []
    for rank in (0, 2):
        same(place / f"out-{rank}" / "big.bin", "big.bin")


def test_no_space(fetch, origin, place, mounts):
    with mounted(place.out, "-t", "tmpfs", "-o", "size=2m", "argosy-test"):
        result = fetch(f"{origin.url}/file/big.bin", place.out)
        assert result.code == DESTINATION and "No space" in result.text, result
        assert os.listdir(place.out) == []


def test_little_memory(fetch, origin, place):
    result = fetch("--memory", "16Mi", "--connections", "16", f"{origin.url}/file/big.bin", place.out, ranks=4)
    assert result.code == 0, result
    same(place.out / "big.bin", "big.bin")


def test_connections_are_few(fetch, origin, place):
    urls = [f"{origin.url}/file/s{i}" for i in range(12)]
    result = fetch("--connections", "2", *urls, f"{origin.url}/file/big.bin", place.out, ranks=4)
    assert result.code == 0 and origin.most_open <= 2, (result, origin.most_open)


def test_the_rate_is_kept(fetch, origin, place):
    started = time.monotonic()
    result = fetch("--rate", "4M", f"{origin.url}/file/big.bin", place.out, ranks=2)
    assert result.code == 0 and time.monotonic() - started > 0.8 * BIG / 4e6, result
    same(place.out / "big.bin", "big.bin")


@pytest.mark.allow_leftovers
def test_an_interrupt_shows_nothing(start, origin, place):
    job = start("fetch", "--rate", "1M", f"{origin.url}/file/big.bin", place.out, ranks=2)
    until(lambda: origin.body_bytes > 0, what="a first byte")
    job.signal(signal.SIGINT)
    assert job.wait().code == 130
    assert goes_on(place.root) and not (place.out / "big.bin").exists()
