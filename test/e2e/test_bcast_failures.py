"""`argosy bcast` when something fails: what can be whole is whole, what failed is named, nothing else is to be seen."""

import errno
import os
import signal

import pytest
from harness import (
    CHUNKS,
    DESTINATION,
    HOST,
    INTEGRITY,
    KI,
    MI,
    NETWORK,
    PARTIAL,
    SELF,
    SHORT_HOST,
    SOURCE,
    SYSTEM,
    UNDER,
    data_of,
    goes_on,
    leftovers,
    path_of,
    snapshot,
    until,
)

pytestmark = pytest.mark.usefixtures("fault_library")
SMALL_CHUNKS = ("--memory", "8Mi", "--chunk-size", "256Ki")
SIZE = 10 * MI + 3
ROUTES = {"chain": ("--route", "chain"), "two-tree": ("--route", "two-tree"), "ring": ("--route", "ring", "--source", "shared")}


@pytest.fixture(params=ROUTES)
def route(request):
    return ROUTES[request.param]


def whole(place, ranks, name="big.bin", size=SIZE, seed=1):
    return [rank for rank in ranks if (place.out / str(rank) / name).is_file()
            and (place.out / str(rank) / name).read_bytes() == data_of(size, seed)]  # fmt: skip


def check_error(error, rank, kind="destination", number=None):
    assert error["kind"] == kind and error["rank"] == rank and error["host"] in (HOST, SHORT_HOST), error
    assert number is None or error["errno"] == number, error


def full_disk(rank=None, nth=1):
    where = "/out/" if rank is None else f"/out/{rank}/"
    return {"op": "write", "path": where, "skip": "lock", "min": 4096, "nth": nth, "times": "all", "fail": "ENOSPC"}


@pytest.mark.parametrize("rank, nth", [(0, 1), (1, 9), (2, 40), (3, 9)])
def test_a_sink_fails(place, bcast, rank, nth, route):
    """The first, a middle and nearly the last chunk; with a pool of 32 slots a rank."""
    result = bcast(*SMALL_CHUNKS, *route, place.file(size=SIZE), "out/%r", ranks=4, fault=full_disk(rank, nth))
    assert result.code == PARTIAL, result
    assert whole(place, range(4)) == [other for other in range(4) if other != rank], result
    assert not os.path.lexists(place.out / str(rank)), "its folder was made for nothing"
    assert len(result.errors) == 1 and len(result.lines) == 1, result
    check_error(result.errors[0], rank, number=errno.ENOSPC)
    assert f"/out/{rank}".encode() in path_of(result.errors[0]), result
    assert f"rank {rank}" in result.lines[0] and f"/out/{rank}" in result.lines[0], result
    assert SHORT_HOST in result.lines[0] and os.strerror(errno.ENOSPC) in result.lines[0], result
    assert result.report["files"] == 1 and result.report["bytes"] == SIZE, result


@pytest.mark.parametrize("rank", [0, 2])
def test_a_copy_inside_a_node_fails(place, bcast, rank):
    """Of the leader, and of another; the rank's folder had something in it, which stays."""
    (place.out / str(rank)).mkdir(parents=True)
    (place.out / str(rank) / "big.bin").write_bytes(b"old")
    result = bcast(*SMALL_CHUNKS, place.file(size=SIZE), "out/%r", ranks=4, one_node=True, fault=full_disk(rank, 5))
    assert result.code == PARTIAL, result
    assert whole(place, range(4)) == [other for other in range(4) if other != rank], result
    assert (place.out / str(rank) / "big.bin").read_bytes() == b"old"
    check_error(result.errors[0], rank, number=errno.ENOSPC)


def test_two_sinks_fail_in_different_files(place, bcast, route):
    for name in "abc":
        place.file(name, size=3 * MI, seed=ord(name))
    (place.out / "1/a").mkdir(parents=True)
    (place.out / "2/c").mkdir(parents=True)
    result = bcast(*route, "src/a", "src/b", "src/c", "out/%r", ranks=4)
    assert result.code == PARTIAL, result
    for name, lacking in {"a": 1, "b": None, "c": 2}.items():
        assert whole(place, range(4), name, 3 * MI, ord(name)) == [rank for rank in range(4) if rank != lacking], name
    assert sorted((error["rank"], os.path.basename(path_of(error))) for error in result.errors) == [(1, b"a"), (2, b"c")], result


@pytest.mark.parametrize("nth", [9])
def test_all_sinks_fail(place, bcast, nth, route):
    result = bcast(*SMALL_CHUNKS, *route, place.file(size=SIZE), "out/%r", ranks=4, fault=full_disk(nth=nth))
    assert result.code == DESTINATION, result
    assert {error["rank"] for error in result.errors} == set(range(4)), result
    for error in result.errors:
        check_error(error, error["rank"], number=errno.ENOSPC)
    assert result.report["files"] == result.report["bytes"] == 0, result
    assert snapshot(place.out) in (None, {}), "nothing is left behind"


def test_no_disk_left_ends_early(place, bcast):
    """At the limit the file would take 50 s."""
    result = bcast("--bwlimit", "4Mi", "--memory", "8Mi", place.file(size=200 * MI), "out/%r", ranks=3, fault=full_disk())
    assert result.code == DESTINATION and result.seconds < 10, result


@pytest.mark.parametrize("rank, name", [(0, "ring"), (1, "chain"), (3, "two-tree")])
def test_a_folder_can_not_be_made(place, bcast, rank, name):
    place.out.mkdir()
    (place.out / str(rank)).write_text("in the way")
    result = bcast(*ROUTES[name], place.file(size=MI), "out/%r", ranks=4)
    assert result.code == PARTIAL, result
    assert whole(place, [r for r in range(4) if r != rank], size=MI) == [r for r in range(4) if r != rank], result
    assert (place.out / str(rank)).read_text() == "in the way"
    assert len(result.errors) == 1 and len(result.lines) == 1, result
    check_error(result.errors[0], rank)
    assert f"/out/{rank}" in result.lines[0], result


def test_no_folder_can_be_made(place, bcast):
    place.out.write_text("in the way")
    result = bcast(place.file(size=MI), "out/%r", ranks=3)
    assert result.code == DESTINATION and result.report["bytes_moved"] == 0, result
    assert place.out.read_text() == "in the way"


# --- sources ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("launch", [SELF, UNDER], ids=repr)
@pytest.mark.parametrize("shared", [(), ("--source", "shared")], ids=str)
def test_missing_source(place, bcast, shared, launch):
    result = bcast(*shared, "src/gone", "out/%r", ranks=3, launch=launch)
    assert result.code == SOURCE and not place.out.exists(), result
    assert len(result.lines) == 1 and "src/gone" in result.lines[0], result
    check_error(result.errors[0], 0, "source", errno.ENOENT)


def test_one_of_two_is_missing(place, bcast, route):
    result = bcast(*route, place.file(size=MI), "src/gone", "out/%r", ranks=3)
    assert result.code == PARTIAL, result
    assert whole(place, range(3), size=MI) == [0, 1, 2]
    assert [(error["kind"], error["path"]) for error in result.errors] == [("source", "src/gone")], result


@pytest.mark.parametrize("rank", [0, 2])
def test_a_shared_source_can_not_be_read_on_one_node(place, bcast, rank):
    """Its part is lacking everywhere; the other file is whole everywhere."""
    place.file("a", size=SIZE)
    place.file("b", size=SIZE, seed=2)
    fault = {"op": "read", "rank": rank, "path": "/src/a", "min": 4096, "times": "all", "fail": "EIO"}
    result = bcast(*SMALL_CHUNKS, *ROUTES["ring"], "src/a", "src/b", "out/%r", ranks=4, fault=fault)
    assert result.code == PARTIAL, result
    for other in range(4):
        assert os.listdir(place.out / str(other)) == ["b"], result
    assert whole(place, range(4), "b", seed=2) == list(range(4))
    check_error(result.errors[0], rank, "source", errno.EIO)


@pytest.mark.parametrize("change", [{"truncate": 5 * MI}, {"grow": 11 * MI}], ids=str)
def test_the_source_changes(place, bcast, change, route):
    fault = dict({"op": "read", "rank": 0, "path": "/src/big.bin", "min": 4096, "nth": 3}, **change)
    result = bcast(*SMALL_CHUNKS, *route, place.file(size=SIZE), "out/%r", ranks=3, fault=fault)
    assert result.code == SOURCE, result
    assert snapshot(place.out) in (None, {}), result


# --- bytes that change on the way ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rank, nth", [(0, 1), (1, 6), (2, 1), (3, 6)])
def test_a_wrong_byte_on_one_hop(place, bcast, rank, nth, route):
    """It is never stored. Who gets the file is whole, and the other file is not touched by it."""
    log = place / "log"
    place.file("a", size=SIZE)
    place.file("b", size=SIZE, seed=2)
    fault = {"op": "send", "rank": rank, "tag": CHUNKS, "min": 200 * KI, "nth": nth, "flip": 5000, "log": log}
    result = bcast(*SMALL_CHUNKS, *route, "src/a", "src/b", "out/%r", ranks=4, fault=fault)
    if not log.exists():
        assert (rank, route[1]) in ((3, "chain"), (1, "two-tree")), "these hand nothing on, and all others do"
        assert result.code == 0, result
        return
    assert result.code == PARTIAL, result
    assert {error["kind"] for error in result.errors} == {"integrity"}, result
    assert len({os.path.basename(path_of(error)) for error in result.errors}) == 1, "one chunk, one file"
    lost = os.path.basename(path_of(result.errors[0])).decode()
    kept = {"a": "b", "b": "a"}[lost]
    seed = {"a": 1, "b": 2}
    assert whole(place, range(4), kept, seed=seed[kept]) == list(range(4)), result
    good = whole(place, range(4), lost, seed=seed[lost])
    assert good == [other for other in range(4) if (place.out / str(other) / lost).exists()], "never stored wrong"
    assert len(good) < 4, result
    if route[1] == "chain":
        assert good == list(range(rank + 1)), "wrong only downstream"


def test_a_wrong_byte_of_the_only_file(place, bcast):
    fault = {"op": "send", "rank": 0, "tag": CHUNKS, "min": 200 * KI, "nth": 2, "flip": 5000}
    result = bcast(*SMALL_CHUNKS, "--route", "chain", place.file(size=SIZE), place.out / "%r", ranks=2, fault=fault)
    assert result.code == PARTIAL and whole(place, range(2)) == [0], result
    os.unlink(place.out / "0/big.bin")
    # The root's node can't have it either, and nothing is right anywhere.
    result = bcast(*SMALL_CHUNKS, "--route", "chain", place.file(size=SIZE), place.out / "%r", ranks=2,
                   fault=[fault, full_disk(0)])  # fmt: skip
    assert result.code == INTEGRITY and snapshot(place.out / "1") in (None, {}), result
    assert {error["kind"] for error in result.errors} == {"integrity", "destination"}, result


# --- the end of a job ---------------------------------------------------------------------------------------------


def under_way(place, start, route, ranks=3):
    """A run that would take a minute, once every rank writes."""
    place.file(size=64 * MI)
    job = start("bcast", "--json", "--progress", "none", "--bwlimit", "1Mi", "--chunk-size", "256Ki", *route, "src/big.bin",
                "out/%r", ranks=ranks, env=NETWORK)  # fmt: skip
    until(lambda: all(_written(place.out / str(rank)) > 0 for rank in range(ranks)), 20, "data in every temporary file")
    return job


def _written(folder):
    return sum(os.stat(path).st_blocks for path in leftovers(folder))


@pytest.mark.allow_leftovers
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130)])
def test_interrupt(place, start, number, code, route):
    job = under_way(place, start, route)
    job.signal(number)
    result = job.wait(5)
    assert result.code == code and result.report["exit"] == code and result.report["files"] == 0, result
    job.gone(1)
    assert goes_on(place.out)
    assert not [name for name in snapshot(place.out) or () if name.endswith(b"big.bin")]


@pytest.mark.allow_leftovers
@pytest.mark.parametrize("rank, name", [(0, "ring"), (1, "chain"), (2, "two-tree")])
def test_killed_rank(place, start, bcast, rank, name):
    job = under_way(place, start, ROUTES[name])
    os.kill(job.rank(rank).pid, signal.SIGKILL)
    result = job.wait(15)
    assert result.code == SYSTEM and result.report["exit"] == SYSTEM and len(result.lines) == 1, result
    job.gone(5)
    assert not [name for name in snapshot(place.out) if name.endswith(b"big.bin")]
    os.truncate(place.src / "big.bin", MI)
    result = bcast("src/big.bin", "out/%r", ranks=3)
    assert result.code == 0 and whole(place, range(3), size=MI) == [0, 1, 2], result
    assert leftovers(place.out) == [], "the next run clears what the killed one left"
