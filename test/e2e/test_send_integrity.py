"""A wrong byte in flight, in a header, or on disk before the read-back is found: exit 5, nothing visible.

Payload travels in messages when every rank counts as a node of its own; tags as in doc/wire_format.md."""

import os

import pytest
from harness import (
    ANSWER,
    CHUNKS,
    INTEGRITY,
    KI,
    MI,
    MPI,
    PAGE,
    RECEIPT,
    RELEASE,
    REPLY,
    SELF,
    SELF_NETWORK,
    STATUS,
    UNDER,
    Launch,
    data_of,
    snapshot,
)

pytestmark = pytest.mark.usefixtures("fault_library")
# Layouts don't depend on the MPI: every place is damaged under the one that starts quickly, some under the other.
STEP = 1 if MPI == "mpich" else 5
NETWORK_WAYS = [SELF_NETWORK, Launch("mpiexec", network=True)]


def check(place, result, before):
    assert result.code == INTEGRITY, result
    assert len(result.lines) == 1, result
    assert any(error["kind"] == "integrity" for error in result.errors), result
    assert result.report["files"] == 0, result
    assert snapshot(place.out) == before


@pytest.fixture
def target(place):
    place.out.mkdir()
    (place.out / "big.bin").write_text("old")
    return snapshot(place.out)


@pytest.mark.parametrize("launch", NETWORK_WAYS, ids=repr)
@pytest.mark.parametrize("nth", [1, 3, 5])
@pytest.mark.parametrize("flip", [64, 200 * KI, -1000, 600 * KI])
def test_payload_in_flight(place, send, target, launch, nth, flip):
    path = place.file(size=5 * MI)
    fault = {"op": "send", "rank": 0, "min": MI, "nth": nth, "flip": flip}
    result = send(path, place.out, "--chunk-size", "1Mi", launch=launch, fault=fault)
    check(place, result, target)
    assert "big.bin" in result.text or nth == 0, result


@pytest.mark.parametrize("size", [1, 1000, 256 * KI])
def test_payload_of_a_small_file(place, send, target, size):
    path = place.file(size=size)
    result = send(path, place.out, launch=SELF_NETWORK, fault={"op": "send", "rank": 0, "tag": CHUNKS, "flip": 64})
    check(place, result, target)


@pytest.mark.parametrize("flip", range(0, 64, 3 * STEP))
def test_head_of_a_chunk(place, send, target, flip):
    path = place.file(size=3 * MI)
    fault = {"op": "send", "rank": 0, "tag": CHUNKS, "nth": 2, "flip": flip}
    check(place, send(path, place.out, "--chunk-size", "1Mi", launch=SELF_NETWORK, fault=fault), target)


@pytest.mark.parametrize("flip", range(-96, 0, 7 * STEP))
def test_records_behind_a_chunk(place, send, target, flip):
    path = place.file(size=3 * MI)
    fault = {"op": "send", "rank": 0, "tag": CHUNKS, "nth": 3, "flip": flip}
    check(place, send(path, place.out, "--chunk-size", "1Mi", launch=SELF_NETWORK, fault=fault), target)


@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize("flip", [0, 1, 4, 8, 12, 16, 20, 24, 32, 40, 48, 56, -1, -4, -8, -20][::STEP])
def test_manifest_page(place, send, target, network, flip):
    path = place.file(size=MI)
    fault = {"op": "send", "rank": 0, "tag": PAGE, "flip": flip}
    check(place, send(path, place.out, launch=SELF_NETWORK if network else SELF, fault=fault), target)


@pytest.mark.parametrize("tag", [PAGE, CHUNKS, RELEASE])
@pytest.mark.parametrize("flip", [0, 9, -1])
def test_whatever_the_sender_says(place, send, target, tag, flip):
    """On the way through shared memory too, where only heads are sent."""
    path = place.file(size=3 * MI)
    log = place / "log"
    fault = {"op": "send", "rank": 0, "tag": tag, "flip": flip, "log": log}
    result = send(path, place.out, "--chunk-size", "1Mi", launch=SELF, fault=fault)
    if log.exists():
        check(place, result, target)
    else:
        assert result.code == 0, result


@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize("tag", [ANSWER, RELEASE, RECEIPT, STATUS, REPLY])
@pytest.mark.parametrize("nth", [1, 2])
def test_whatever_the_receiver_says(place, send, network, tag, nth):
    """An answer that is damaged never passes for a good one, and what is visible is whole."""
    path = place.file(size=3 * MI)
    log = place / "log"
    fault = {"op": "send", "rank": 1, "tag": tag, "nth": nth, "flip": 8, "log": log}
    result = send(path, place.out, "--chunk-size", "1Mi", launch=SELF_NETWORK if network else SELF, fault=fault)
    if log.exists() and tag not in (STATUS, REPLY):  # these two only say who waits for what
        assert result.code == INTEGRITY, result
        assert os.path.exists(place.out / "big.bin") is False or (place.out / "big.bin").read_bytes() == data_of(3 * MI)
    else:
        assert result.code == 0, result


@pytest.mark.parametrize("launch", [SELF, UNDER, SELF_NETWORK], ids=repr)
@pytest.mark.parametrize("size, flip", [(5 * MI, 0), (5 * MI, -1), (5 * MI, 300 * KI), (10, 3)])
def test_on_disk_before_the_read_back(place, send, target, launch, size, flip):
    path = place.file(size=size)
    fault = {"op": "write", "rank": 1, "path": "/out/.argosy", "min": min(size, 4096), "skip": "lock", "flip": flip}
    result = send(path, place.out, "--read-back", "--chunk-size", "1Mi", launch=launch, fault=fault)
    check(place, result, target)


def test_read_back_of_good_files(place, send, launch):
    for name, size in {"a": 0, "b": 1, "c": 3 * MI + 1}.items():
        place.file(name, size=size)
    result = send("src/a", "src/b", "src/c", "out", "--read-back", launch=launch)
    assert result.code == 0, result
    assert (place.out / "c").read_bytes() == data_of(3 * MI + 1)


def test_read_back_that_can_not_read(place, send, target):
    path = place.file(size=2 * MI)
    fault = {"op": "read", "rank": 1, "path": "/out/", "min": 4096, "fail": "EIO", "times": "all"}
    result = send(path, place.out, "--read-back", fault=fault)
    assert result.code in (4, INTEGRITY), result
    assert snapshot(place.out) == target


def test_one_damaged_of_three(place, send):
    for name in "abc":
        place.file(name, size=2 * MI, seed=ord(name))
    fault = {"op": "send", "rank": 0, "min": MI, "nth": 3, "flip": 5000}  # the first chunk of b
    result = send("src/a", "src/b", "src/c", "out", "--chunk-size", "1Mi", launch=SELF_NETWORK, fault=fault)
    assert result.code == 1, result
    assert sorted(os.listdir(place.out)) == ["a", "c"]
    assert [(os.path.basename(error["path"]), error["kind"]) for error in result.errors] == [("b", "integrity")]


def test_the_shim_itself(place, send):
    """Without --read-back a byte that goes wrong below the write is not seen: the tests above test what they say."""
    path = place.file(size=MI)
    result = send(path, place.out, fault={"op": "write", "rank": 1, "path": "/out/.argosy", "min": 4096, "flip": 7})
    assert result.code == 0, result
    assert (place.out / "big.bin").read_bytes() != data_of(MI)
