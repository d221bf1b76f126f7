"""`argosy fetch` from origins at their worst."""

import os

import time

import pytest
from fetching import BIG, FILES, ORIGIN, same
from harness import PARTIAL, USAGE


@pytest.mark.parametrize("kind", ["plain", "weak", "reset", "shortonce", "lie", "chunked", "busy", "down", "limit"])
@pytest.mark.parametrize("name", ["big.bin", "mid"])
def test_what_can_be_dealt_with(fetch, origin, place, kind, name):
    result = fetch("--retries", "3", f"{origin.url}/{kind}/{name}", place.out, ranks=2)
    assert result.code == 0, result
    same(place.out / name, name)


@pytest.mark.parametrize("kind", ["short", "long", "gzip", "headers", "chunkedshort", "always429"])
@pytest.mark.parametrize("name", ["mid"])
def test_what_is_refused(fetch, origin, place, kind, name):
    result = fetch("--retries", "1", f"{origin.url}/{kind}/{name}", place.out, ranks=2)
    assert result.code == ORIGIN and not place.out.exists(), result
    assert len(result.errors) == 1 and f"{origin.url}/{kind}/{name}" == result.errors[0]["path"], result


def test_what_lies_on_a_used_connection_is_no_answer(fetch, origin, place):
    result = fetch("--connections", "1", f"{origin.url}/late/s1", f"{origin.url}/file/s2", place.out, ranks=1)
    assert result.code == 0, result
    same(place.out / "s1", "s1")
    same(place.out / "s2", "s2")


@pytest.mark.parametrize("to", ["0", "all"])
def test_an_object_that_changes_is_never_mixed(fetch, origin, place, to):
    result = fetch("--to", to, f"{origin.url}/change/big.bin", str(place.out) + "-%r", ranks=2)
    assert result.code == 0, result
    for rank in range(2 if to == "all" else 1):
        assert (place / f"out-{rank}" / "big.bin").read_bytes() == bytes(reversed(FILES["big.bin"]))
    assert result.report["ledger"]["ratio"] > 1


def test_an_etag_that_flips(fetch, origin, place):
    result = fetch(f"{origin.url}/flip/big.bin", place.out, ranks=2)
    assert result.code in (0, ORIGIN), result
    if result.code == 0:
        same(place.out / "big.bin", "big.bin")
    else:
        assert not place.out.exists()


def test_429_pauses_all(fetch, origin, place):
    """Two answers 429, each with Retry-After: 1: nothing is asked within that second by any rank."""
    urls = [f"{origin.url}/busy/s{i}" for i in range(12)]
    result = fetch("--connections", "1", *urls, place.out, ranks=3)
    assert result.code == 0 and len(os.listdir(place.out)) == 12, result
    (one,) = result.report["ledger"]["origins"]
    assert one["429s"] == 2 and one["retries"] == 2 and result.seconds > 2, result


def test_a_crawling_range_goes_to_another_rank(fetch, origin, place):
    result = fetch(f"{origin.url}/drip/big.bin", place.out, ranks=2, timeout=40)
    assert result.code == 0 and result.seconds < 30, result
    same(place.out / "big.bin", "big.bin")


def test_a_stall_is_noticed(fetch, origin, place):
    result = fetch("--timeout", "1", f"{origin.url}/stall/big.bin", place.out)
    assert result.code == 0 and result.report["ledger"]["origins"][0]["retries"] == 1, result
    same(place.out / "big.bin", "big.bin")


def test_404_alone_and_among_good_ones(fetch, origin, place):
    result = fetch(f"{origin.url}/status/404", place.out)
    assert result.code == ORIGIN and "404 Not Found" in result.text and not place.out.exists(), result
    result = fetch(f"{origin.url}/file/s1", f"{origin.url}/status/404", f"{origin.url}/file/s2", place.out, ranks=3)
    assert result.code == PARTIAL and sorted(os.listdir(place.out)) == ["s1", "s2"], result
    assert len(result.errors) == 1 and result.errors[0]["kind"] == "origin"


def test_nobody_there(fetch, place):
    result = fetch("--retries", "0", "http://127.0.0.1:1/x", place.out)
    assert result.code == ORIGIN and not place.out.exists(), result


@pytest.mark.parametrize("url", ["ftp://h/x", "file:///etc/passwd", "gopher://h/", "nothing", "http://", "http://[::1/x"])
def test_other_schemes(fetch, place, url):
    result = fetch(url, place.out)
    assert result.code == USAGE and not place.out.exists(), result


@pytest.mark.parametrize(
    "arguments", [(), ("http://h/x",), ("--stdout",), ("--to", "x", "http://h/x", "d"), ("--to", "7", "http://h/x", "d"),
                  ("--stdout", "--to", "0", "http://h/x"), ("--sha256", "12", "http://h/x", "d"), ("--connections", "0", "http://h/x", "d")],
)
def test_wrong_usage(fetch, arguments):
    assert fetch(*arguments, ranks=2).code == USAGE


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_weak_etag_that_changes_is_a_change(fetch, origin, place, ranks):
    result = fetch(f"{origin.url}/weakchange/big.bin", place.out, ranks=ranks)
    assert result.code == 0, result
    assert (place.out / "big.bin").read_bytes() == bytes(reversed(FILES["big.bin"]))


@pytest.mark.parametrize("name", ["s1", "mid"])
def test_what_crawls_from_the_beginning_is_asked_for_again(fetch, origin, place, name):
    result = fetch(f"{origin.url}/dripfirst/{name}", place.out, ranks=2, timeout=40)
    assert result.code == 0 and result.seconds < 30, result
    same(place.out / name, name)


def test_a_head_that_drips_has_an_end(fetch, origin, place):
    result = fetch("--timeout", "1", "--retries", "1", f"{origin.url}/driphead/s1", place.out, timeout=30)
    assert result.code == ORIGIN and "head" in result.text and result.seconds < 12, result


def test_to_wait_as_asked_is_no_stall(fetch, origin, place):
    origin.retry_after = 4
    result = fetch("--stall-timeout", "2", f"{origin.url}/busy/s1", f"{origin.url}/busy/s2", place.out, ranks=2)
    assert result.code == 0 and result.seconds > 4, result


def test_who_has_asked_is_named(fetch, origin, place):
    result = fetch(f"{origin.url}/status/404", place.out)
    (error,) = result.errors
    assert error["rank"] == 0 and error["host"] and "(rank 0 on " in result.text, result


def test_the_rate_holds_for_whole_bodies(fetch, origin, place):
    """Three at once, of an origin that knows no ranges."""
    urls = [f"{origin.url}/plain/mid?{i}" for i in range(6)]
    started = time.monotonic()
    result = fetch("--rename", "--rate", "1M", *urls, place.out, ranks=2)
    assert result.code == 0 and time.monotonic() - started > 0.85 * 6 * len(FILES["mid"]) / 1e6, result
    started = time.monotonic()
    result = fetch("--rate", "4M", f"{origin.url}/plain/big.bin", place / "one", ranks=2)
    assert result.code == 0 and 0.85 < (time.monotonic() - started) / (BIG / 4e6) < 2, result


@pytest.mark.parametrize("kind, total", [("plain", True), ("file", True), ("chunked", False)])
def test_progress_of_what_has_told_its_length(start, origin, place, kind, total):
    result = start("fetch", "--progress", "bar", "--rate", "4M", f"{origin.url}/{kind}/big.bin", place.out).wait()
    assert result.code == 0 and " of 0 B" not in result.text, result
    assert ("9.01 MiB" in result.text) == total, result
