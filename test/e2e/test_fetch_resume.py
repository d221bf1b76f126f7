"""`argosy fetch`, interrupted: the same URLs to the same DIR go on where they were, and nothing is mixed. What comes is
counted at the origin."""

import hashlib
import os

import pytest
from harness import MI, NETWORK, data_of, goes_on, leftovers, until
from interrupted_fetch import DATA, SIZE, SMALL, WRITTEN, again, begin, check, forget, interrupted, kill, noted, origin, words  # noqa: F401

pytestmark = [pytest.mark.usefixtures("fault_library"), pytest.mark.allow_leftovers]


@pytest.mark.parametrize("victim, ranks", [(0, 3), (1, 1), ("all", 4), ("supervisor", 2), ("interrupt", 3)])
def test_to_one(place, start, argosy, origin, victim, ranks):
    interrupted(place, start, origin, victim=victim)
    assert goes_on(place.root)
    result = again(place, argosy, origin, ranks=ranks)
    check(place, origin, result)
    assert (place.out / "0" / "small").read_bytes() == SMALL


@pytest.mark.parametrize("victim", [0, 2, "all", "interrupt"])
def test_to_all(place, start, argosy, origin, victim):
    """What all nodes have does not come again; each has a journal of its own."""
    folders = ("0", "1", "2")
    interrupted(place, start, origin, "--to", "all", victim=victim, folders=folders)
    result = again(place, argosy, origin, "--to", "all", ranks=3)
    check(place, origin, result, folders)


def test_by_another_rank(place, start, argosy, origin):
    interrupted(place, start, origin, to="x", folders=("x",))
    result = again(place, argosy, origin, "--to", "2", ranks=4, to="x")
    check(place, origin, result, ("x",))


def test_from_one_node_to_all(place, start, argosy, origin):
    """A node that has nothing needs everything, and then all get it."""
    interrupted(place, start, origin)
    result = again(place, argosy, origin, "--to", "all", ranks=3)
    check(place, origin, result, ("0", "1", "2"), written=0)
    assert result.report["resumed"] == 0


def test_to_all_where_one_has_all_of_it(place, start, argosy, origin):
    interrupted(place, start, origin, "--to", "all", folders=("0", "1"), ranks=2)
    argosy("fetch", *words(origin, place, to="0"), ranks=2, env=NETWORK)
    inode = os.stat(place.out / "0" / "big").st_ino
    forget(origin)
    result = again(place, argosy, origin, "--to", "all", ranks=2)
    check(place, origin, result, ("0", "1"))
    assert os.stat(place.out / "0" / "big").st_ino == inode


def test_to_all_where_one_has_less(place, start, argosy, origin):
    interrupted(place, start, origin, "--to", "all", folders=("0", "1"), ranks=2)
    (journal,) = (path for path in leftovers(place.out / "1") if path.endswith(b".journal"))
    before = noted(place.out / "1")
    os.truncate(journal, os.path.getsize(journal) - 16 * 48)
    left = noted(place.out / "1")
    assert left < before - 2 * MI
    result = again(place, argosy, origin, "--to", "all", ranks=2)
    check(place, origin, result, ("0", "1"), written=left)


def test_twice(place, start, argosy, origin):
    interrupted(place, start, origin, victim="all", stalls=8 * MI)
    first = noted(place.out / "0")
    interrupted(place, start, origin, victim=0, stalls=10 * MI, written=first + 5 * MI, ranks=2)
    second = noted(place.out / "0")
    result = again(place, argosy, origin, ranks=2)
    check(place, origin, result, written=second)


def test_only_what_is_missing_is_asked_for_and_only_of_the_same_object(place, start, argosy, origin):
    interrupted(place, start, origin, small=False)
    again(place, argosy, origin, ranks=2, small=False)
    etag = '"' + hashlib.md5(DATA).hexdigest() + '"'
    assert origin.heads
    for head in origin.heads:
        assert head["range"].startswith("bytes=") and head["if-range"] == head["if-match"] == etag, head


def test_goes_on_by_its_time(place, start, argosy, origin):
    """An origin without ETags."""
    interrupted(place, start, origin, how="dated", small=False)
    result = again(place, argosy, origin, ranks=2, how="dated", small=False)
    check(place, origin, result)
    assert all("if-range" in head and "if-match" not in head for head in origin.heads)


OTHERS = [("file", size) for size in (SIZE, SIZE - 5 * MI, 3 * MI, SIZE + 3 * MI, 100, 0)]
OTHERS += [(how, size) for how in ("ifrange", "unconditional", "dated") for size in (SIZE, 3 * MI)]


@pytest.mark.parametrize("how, size", OTHERS)
def test_another_object_by_now(place, start, argosy, origin, how, size):
    """Its old part is thrown away, whatever the origin makes of the question."""
    interrupted(place, start, origin, how=how, small=False)
    origin.files["big"] = data_of(size, seed=77)
    origin.dates["big"] = "Thu, 08 Jan 2026 00:00:00 GMT"
    result = again(place, argosy, origin, ranks=3, how=how, small=False)
    assert (place.out / "0" / "big").read_bytes() == origin.files["big"], result
    assert result.report["bytes_moved"] == size and result.report["resumed"] == 0, result
    assert leftovers(place.out) == []


def test_another_object_interrupted_once_more(place, start, argosy, origin):
    interrupted(place, start, origin)
    origin.files["big"] = data_of(SIZE, seed=77)
    interrupted(place, start, origin)
    result = again(place, argosy, origin, ranks=3)
    check(place, origin, result, data=data_of(SIZE, seed=77))


def test_a_new_version_over_an_old_one(place, start, argosy, origin):
    """The old one is shown until the new one is whole."""
    old = data_of(5 * MI, seed=5)
    origin.files["big"] = old
    again(place, argosy, origin, ranks=2)
    origin.files["big"] = DATA
    kill(place, begin(place, start, origin), origin, "all")
    assert (place.out / "0" / "big").read_bytes() == old
    check(place, origin, again(place, argosy, origin, ranks=3))


@pytest.mark.parametrize("how", ["weak", "plain"])
def test_what_can_not_be_told_from_another_comes_anew(place, start, argosy, origin, how):
    origin.stall_after = 8 * MI
    job = start("fetch", *words(origin, place, how=how, small=False), ranks=2, env=NETWORK)
    until(lambda: any(os.path.getsize(path) > 4 * MI for path in leftovers(place.out)), 30, "what is written")
    kill(place, job, origin, "all")
    result = again(place, argosy, origin, ranks=2, how=how, small=False)
    assert (place.out / "0" / "big").read_bytes() == DATA and leftovers(place.out) == [], result
    assert result.report["resumed"] == 0


def test_an_origin_that_can_not_be_asked_costs_nothing(place, start, argosy, origin):
    interrupted(place, start, origin, small=False)
    before = noted(place.out / "0")
    content = origin.files.pop("big")
    origin.files["big"] = None  # it breaks off every answer
    result = argosy("fetch", "--retries", "0", *words(origin, place, small=False), ranks=2, env=NETWORK)
    assert result.code == 7 and noted(place.out / "0") == before, result
    origin.files["big"] = content
    forget(origin)
    check(place, origin, again(place, argosy, origin, ranks=2, small=False))
