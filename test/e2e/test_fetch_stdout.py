"""`argosy fetch --stdout`."""

import os

import pytest
from fetching import BIG, FILES, ORIGIN, sha256
from harness import DESTINATION, KI, NETWORK, PARTIAL, UNDER


@pytest.mark.parametrize("launch", ["self", "mpiexec"])
def test_bodies_in_order(argosy, origin, launch):
    names = ["s1", "big.bin", "empty", "s2", "mid", "s3", "one"]
    kinds = {"s1": "slowhead", "mid": "chunked"}
    urls = [f"{origin.url}/{kinds.get(name, 'file')}/{name}" for name in names]
    options = {"launch": UNDER} if launch == "mpiexec" else {}
    result = argosy("fetch", "--stdout", *urls, ranks=3, env=NETWORK, **options)
    assert result.code == 0 and result.out == b"".join(FILES[name] for name in names), result.err


def test_more_than_the_memory_in_front_of_what_is_slow(argosy, origin):
    """The first body comes last, and those behind it are more than the buffers hold."""
    urls = [f"{origin.url}/slowhead/s1"] + [f"{origin.url}/{kind}/big.bin?{i}" for i in range(3) for kind in ("plain", "chunked", "file")]
    result = argosy("fetch", "--stdout", "--memory", "16Mi", *urls, ranks=2, env=NETWORK)
    assert result.code == 0 and result.out == FILES["s1"] + 9 * FILES["big.bin"], (len(result.out), result.err)


def test_stdout_leaves_out_what_fails(argosy, origin):
    urls = [f"{origin.url}/file/s1", f"{origin.url}/status/404", f"{origin.url}/file/s2"]
    result = argosy("fetch", "--stdout", *urls, ranks=2)
    assert result.code == PARTIAL and result.out == FILES["s1"] + FILES["s2"], result
    assert "404" in result.text


def test_stdout_ends_behind_half_a_body(argosy, origin):
    urls = [f"{origin.url}/file/s1", f"{origin.url}/chunkedshort/big.bin", f"{origin.url}/file/s2"]
    result = argosy("fetch", "--stdout", "--retries", "0", *urls, ranks=2)
    assert result.code == PARTIAL, result
    rest = result.out[len(FILES["s1"]) :]
    assert result.out.startswith(FILES["s1"]) and (rest == FILES["s2"] or FILES["big.bin"].startswith(rest)), result


def test_a_reader_that_goes(start, origin):
    read, write = os.pipe()
    job = start("fetch", "--stdout", f"{origin.url}/file/big.bin", f"{origin.url}/chunked/big.bin", stdout=write)
    os.close(write)
    os.read(read, 1000)
    os.close(read)
    assert job.wait().code in (PARTIAL, DESTINATION)


def test_what_was_answered(fetch, origin):
    urls = [f"{origin.url}/file/s1", f"{origin.url}/status/404", f"{origin.url}/file/big.bin"]
    result = fetch("--stdout", *urls, ranks=2)
    assert result.code == PARTIAL, result
    good, bad, big = result.report["responses"]
    assert good["url"] == urls[0] and good["status"] == 206 or good["status"] == 200
    assert good["headers"]["etag"] and good["bytes"] == 16 * KI and good["rank"] in (0, 1) and good["seconds"] > 0
    assert big["digest"].startswith("xxh3:") and big["bytes"] == BIG
    assert bad["status"] == 404 and "404" in bad["error"]


@pytest.mark.parametrize("kind", ["reset", "shortonce", "drip", "stall"])
@pytest.mark.parametrize("memory", ["16Mi", "64Mi"])
def test_ranges_that_break_off_half_way(argosy, origin, kind, memory):
    """What is to be written out next always finds room, however much behind it is there already."""
    urls = [f"{origin.url}/{kind}/big.bin?{i}" for i in range(3)] + [f"{origin.url}/file/s1"]
    result = argosy("fetch", "--stdout", "--timeout", "1", "--memory", memory, *urls, ranks=2, env=NETWORK, timeout=50)
    assert result.code == 0 and result.out == 3 * FILES["big.bin"] + FILES["s1"], (len(result.out), result.err)


def test_a_change_behind_what_is_shown(argosy, origin):
    result = argosy("fetch", "--stdout", f"{origin.url}/change/big.bin", f"{origin.url}/file/s1", ranks=2)
    assert result.code in (0, ORIGIN), result
    if result.code == ORIGIN:
        assert len(result.out) < BIG and FILES["big.bin"].startswith(result.out) and "left out" in result.text, result


def test_many_connections_and_little_room(argosy, origin):
    urls = [f"{origin.url}/file/big.bin?{i}" for i in range(6)]
    result = argosy("fetch", "--stdout", "--connections", "64", *urls, ranks=3, env=NETWORK, timeout=50)
    assert result.code == 0 and result.out == 6 * FILES["big.bin"], (len(result.out), result.err)


@pytest.mark.parametrize("kind", ["file", "chunked", "reset"])
@pytest.mark.parametrize("name", ["s1", "big.bin"])
def test_nothing_is_shown_that_is_not_what_is_wanted(argosy, origin, place, kind, name):
    (place / "list").write_text(
        f"{origin.url}/file/s2\n{origin.url}/{kind}/{name} sha256:{sha256('s3')}\n"
        f"{origin.url}/{kind}/{name}?2 sha256:{sha256(name)}\n{origin.url}/file/s4\n"
    )
    result = argosy("fetch", "--stdout", "-i", place / "list", ranks=2, env=NETWORK)
    assert result.code == PARTIAL and result.out == FILES["s2"] + FILES[name] + FILES["s4"], (len(result.out), result.err)
    assert result.text.count("and should be") == 1, result.err


@pytest.mark.parametrize("kind", ["baddigest", "badcontent", "chunkedbad"])
@pytest.mark.parametrize("name", ["s1", "big.bin"])
def test_nothing_is_shown_that_is_not_what_the_origin_says(argosy, origin, kind, name):
    urls = [f"{origin.url}/{kind}/{name}", f"{origin.url}/file/s2"]
    result = argosy("fetch", "--stdout", "--retries", "0", *urls, ranks=2, env=NETWORK)
    assert result.code == PARTIAL and result.out == FILES["s2"], (len(result.out), result.err)


def test_what_comes_behind_half_a_body_is_named(argosy, origin):
    urls = [f"{origin.url}/file/s1", f"{origin.url}/chunkedshort/big.bin", f"{origin.url}/file/s2", f"{origin.url}/file/s3"]
    result = argosy("fetch", "--stdout", "--retries", "0", *urls, ranks=2)
    assert result.code == PARTIAL and result.out.startswith(FILES["s1"]), result
    # Where nothing of it was shown yet, it is left out whole, and the others come.
    if result.out != FILES["s1"] + FILES["s2"] + FILES["s3"]:
        assert all(f"{url}: is left out" in result.text for url in urls[2:]), result


def test_an_output_that_is_full(start, origin):
    with open("/dev/full", "wb") as full:
        result = start("fetch", "--stdout", f"{origin.url}/file/big.bin", stdout=full).wait()
    assert result.code == DESTINATION and "No space left" in result.text and "reset" not in result.text, result


def test_an_answer_without_content(fetch, origin):
    result = fetch("--stdout", f"{origin.url}/nothing/x")
    (one,) = result.report["responses"]
    assert result.code == ORIGIN and one["status"] == 204 and one["headers"]["x-why"] == "nothing" and one["error"], result
