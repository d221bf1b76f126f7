"""What arrives is what was sent, whatever the size, the chunk size, the launcher and the way."""

import os

import pytest
from harness import KI, MI, SELF, SELF_NETWORK, UNDER, data_of, free_bytes

DEFAULT_SIZES = [0, 1, MI - 1, MI, MI + 1, 3 * MI]


def check(place, result, path, size, name="big.bin"):
    assert result.code == 0, result
    with open(path, "rb") as source, open(place.out / name, "rb") as target:
        assert target.read() == source.read(), result
    assert os.listdir(place.out) == [name]
    report = result.report
    assert report["bytes"] == size and report["bytes_moved"] == size and report["files"] == 1, result
    assert report["ranks"][0]["bytes_read"] == size and report["ranks"][1]["bytes_written"] == size, result


@pytest.mark.parametrize("size", DEFAULT_SIZES)
@pytest.mark.parametrize("launch", [SELF, UNDER, SELF_NETWORK], ids=repr)
def test_default_chunk(place, send, size, launch):
    path = place.file(size=size)
    check(place, send(path, place.out, launch=launch), path, size)


@pytest.mark.parametrize("launch", [SELF, SELF_NETWORK], ids=repr)
@pytest.mark.parametrize(
    "size", [0, 1, 256 * KI - 1, 256 * KI, 256 * KI + 1, 512 * KI - 1, 512 * KI + 1, 768 * KI, 3 * MI + 17]
)
def test_smallest_chunk(place, send, size, launch):
    path = place.file(size=size)
    check(place, send(path, place.out, "--chunk-size", "256Ki", launch=launch), path, size)


@pytest.mark.parametrize("launch", [SELF, SELF_NETWORK], ids=repr)
@pytest.mark.parametrize("chunk", ["512Ki", "1Mi", "2MiB", "4Mi"])
def test_three_chunks_and_a_byte(place, send, chunk, launch):
    size = 3 * {"512Ki": 512 * KI, "1Mi": MI, "2MiB": 2 * MI, "4Mi": 4 * MI}[chunk] + 1
    path = place.file(size=size)
    check(place, send(path, place.out, "--chunk-size", chunk, launch=launch), path, size)


@pytest.mark.parametrize("launch", [SELF, SELF_NETWORK], ids=repr)
def test_more_chunks_than_slots(place, send, launch):
    path = place.file(size=48 * MI + 5)
    check(place, send(path, place.out, "--memory", "4Mi", "--chunk-size", "256Ki", launch=launch), path, 48 * MI + 5)


def test_one_file_has_one_digest(place, send):
    """Whatever the chunk size, the way and the name."""
    path = place.file(size=5 * MI + 12345)
    digests = set()
    for chunk in ("256Ki", "1Mi", "4Mi"):
        for launch in (SELF, SELF_NETWORK):
            digests.add(send(path, place.out, "--chunk-size", chunk, launch=launch).report["digest"])
    digests.add(send(path, place.out, "--as", "other").report["digest"])
    with open(path, "rb") as file:
        digests.add(send("-", "--as", "third", place.out, stdin=file).report["digest"])
    assert len(digests) == 1
    assert digests.pop().startswith("xxh3:")


def test_other_bytes_have_another_digest(place, send):
    seen = set()
    data = data_of(MI)
    swapped = data[256 * KI : 512 * KI] + data[: 256 * KI] + data[512 * KI :]  # the same leaves in another order
    for name, bytes_ in {"a": data, "b": data[:-1], "c": data + b"\0", "d": bytes([data[0] ^ 1]) + data[1:], "e": swapped, "f": b""}.items():
        seen.add(send(place.file(name, data=bytes_), place.out).report["digest"])
    assert len(seen) == 6


def test_five_gib_sparse(place, send):
    size = 5 << 30
    if free_bytes(place.root) < size + (2 << 30) or _available_memory() < size + (3 << 30):
        pytest.skip(f"5 GiB sparse: {place.root} or memory has no room for it")
    path = place.file()
    marks = {0: b"first", (1 << 31) - 3: b"2 GiB", (1 << 32) - 3: b"4 GiB", size - 4: b"last"}
    with open(path, "r+b") as file:
        file.truncate(size)
        for offset, mark in marks.items():
            os.pwrite(file.fileno(), mark, offset)
    result = send(path, place.out, timeout=120)
    assert result.code == 0, result
    target = place.out / "big.bin"
    assert os.stat(target).st_size == size
    with open(target, "rb") as file:
        for offset, mark in marks.items():
            assert os.pread(file.fileno(), len(mark), offset) == mark
    assert result.report["bytes"] == size
    for rank in result.report["ranks"]:
        assert 0 < rank["peak_rss"] < 128 * MI, rank


def write_blocks(path, size, offsets, block=4 * KI):
    with open(path, "wb") as file:
        file.truncate(size)
        for offset in offsets:
            os.pwrite(file.fileno(), data_of(block, seed=offset % 1000 + 1), offset)


@pytest.mark.parametrize("launch", [SELF, SELF_NETWORK], ids=repr)
def test_of_a_file_with_holes_only_its_data_travels(place, send, launch):
    """4 KiB of data every MiB: as many blocks as the source has, and as many bytes moved."""
    path = place.src / "holes"
    write_blocks(path, 64 * MI + 7, range(300 * KI, 64 * MI, MI))
    result = send(path, place.out, launch=launch)
    assert result.code == 0 and result.report["bytes"] == 64 * MI + 7, result
    assert result.report["bytes_moved"] == 64 * 4 * KI, result
    target = place.out / "holes"
    assert target.read_bytes() == path.read_bytes()
    assert os.stat(target).st_blocks == os.stat(path).st_blocks
    result = send(path, place.out, "--checksum", launch=launch)
    assert result.code == 0 and result.report["bytes_moved"] == 0, result


def test_a_terabyte_of_hole(place, send):
    path = place.src / "holes"
    offsets = [MI, (1 << 39) + 5 * MI, (1 << 40) - 4 * KI]
    try:
        write_blocks(path, 1 << 40, offsets)
    except OSError as error:
        pytest.skip(f"{place.root}: a file of 1 TiB: {error}")
    result = send(path, place.out, timeout=100)
    assert result.code == 0 and result.report["bytes_moved"] == 3 * 4 * KI, result
    target = place.out / "holes"
    assert os.stat(target).st_size == 1 << 40 and os.stat(target).st_blocks == os.stat(path).st_blocks
    with open(target, "rb") as file:
        at = 0
        for offset in offsets:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            assert at == offset and os.pread(file.fileno(), 4 * KI, at) == data_of(4 * KI, seed=offset % 1000 + 1)
            at += 4 * KI


def _available_memory():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))


@pytest.mark.parametrize("launch", [SELF, SELF_NETWORK], ids=repr)
def test_memory_stays_bounded(place, send, launch):
    """Peak RSS a rank, the shared slots included, below 128 MiB with the default --memory."""
    path = place.file(size=300 * MI)
    result = send(path, place.out, launch=launch)
    assert result.code == 0, result
    for rank in result.report["ranks"]:
        assert rank["peak_rss"] < 128 * MI, rank


@pytest.mark.parametrize("launch", [SELF, SELF_NETWORK], ids=repr)
def test_short_reads_and_writes(place, send, launch):
    path = place.file(size=2 * MI + 3)
    fault = [
        {"op": "read", "path": "/src/", "short": 10007, "times": "all"},
        {"op": "write", "path": "/out/", "min": 4096, "short": 30011, "times": "all"},
    ]
    check(place, send(path, place.out, fault=fault, launch=launch), path, 2 * MI + 3)


def test_interrupted_system_calls(place, send):
    path = place.file(size=2 * MI)
    fault = [
        {"op": "read", "path": "/src/", "fail": "EINTR", "nth": 2},
        {"op": "write", "path": "/out/", "min": 4096, "fail": "EINTR", "nth": 2},
    ]
    check(place, send(path, place.out, fault=fault), path, 2 * MI)
