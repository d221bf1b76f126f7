"""What an interrupted `argosy fetch` has left: what the next run makes of it, whatever state it is in, and `clean`."""

import hashlib
import os

import pytest
from harness import DESTINATION, INTEGRITY, MI, NETWORK, data_of, leftovers, until
from interrupted_fetch import DATA, SIZE, WRITTEN, again, begin, check, interrupted, kill, killed_at, noted, origin, words  # noqa: F401

pytestmark = [pytest.mark.usefixtures("fault_library"), pytest.mark.allow_leftovers]


def test_all_of_it_is_there_but_for_its_name(place, start, argosy, origin):
    killed_at(place, start, origin, "rename", path=".get")
    assert not (place.out / "0" / "big").exists() and noted(place.out / "0") == SIZE
    check(place, origin, again(place, argosy, origin, ranks=2, small=False), written=SIZE)


def test_only_its_journal_is_left(place, start, argosy, origin):
    killed_at(place, start, origin, "unlink", path=".get.journal", nth=2)
    assert (place.out / "0" / "big").read_bytes() == DATA and leftovers(place.out)
    result = again(place, argosy, origin, ranks=2, small=False)
    assert result.report["in_place"] == 1 and leftovers(place.out) == [], result


ANOTHER_BOOT = {"op": "read", "path": "boot_id", "short": "10", "times": "all"}


@pytest.mark.parametrize("options", [[], ["--fsync"]])
def test_after_a_reboot(place, start, argosy, origin, options):
    """Only what was brought to the disk counts then."""
    job = start("fetch", *options, "--rate", "8M", *words(origin, place, small=False), ranks=2, env=NETWORK, fault=ANOTHER_BOOT)
    until(lambda: noted(place.out / "0", durable=bool(options)) >= 6 * MI, 30, "what is written")
    kill(place, job, origin, "all")
    durable = noted(place.out / "0", durable=True)
    result = again(place, argosy, origin, ranks=2, small=False)
    check(place, origin, result, written=durable)
    assert (result.report["resumed"] > 0) == bool(options)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def replace(path, data):
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(data)


DAMAGE = {
    "a damaged head": (lambda part, journal: flip(journal, 30), SIZE),
    "no journal": (lambda part, journal: os.unlink(journal), SIZE),
    "an empty journal": (lambda part, journal: os.truncate(journal, 0), SIZE),
    "something else": (lambda part, journal: replace(journal, os.urandom(5000)), SIZE),
    "no file": (lambda part, journal: os.unlink(part), SIZE),
    "another file": (lambda part, journal: replace(part, data_of(SIZE, seed=3)), SIZE),
    "the file is a link": (lambda part, journal: (os.rename(part, part + b"2"), os.symlink(part + b"2", part)), SIZE),
    "the file has another name": (lambda part, journal: os.link(part, part + b"2"), SIZE),
    "another user's file": (lambda part, journal: os.chown(part, 12345, 12345), SIZE),
    "another user's journal": (lambda part, journal: os.chown(journal, 12345, 12345), SIZE),
    "others may write the journal": (lambda part, journal: os.chmod(journal, 0o622), SIZE),
    "a damaged leaf": (lambda part, journal: flip(part, 5), SIZE - WRITTEN + MI),
    "a cut record": (lambda part, journal: os.truncate(journal, os.path.getsize(journal) - 7), SIZE - WRITTEN + MI),
    "a shorter file": (lambda part, journal: os.truncate(part, 3 * MI), SIZE - 2 * MI),
    "a longer file": (lambda part, journal: os.truncate(part, 2 * SIZE), SIZE - WRITTEN),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_journal_is_never_trusted(place, start, argosy, origin, damage):
    harm, most = DAMAGE[damage]
    if "user" in damage and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    interrupted(place, start, origin, small=False)
    (part,) = (path for path in leftovers(place.out) if path.endswith(b".get"))
    harm(part, part + b".journal")
    kept = (part + b"2", os.lstat(part + b"2").st_size) if os.path.lexists(part + b"2") else None
    result = again(place, argosy, origin, ranks=2, small=False)
    status = os.lstat(place.out / "0" / "big")
    assert (place.out / "0" / "big").read_bytes() == DATA and status.st_uid == os.geteuid() and status.st_nlink == 1
    moved = result.report["bytes_moved"]
    assert moved == SIZE if most == SIZE else moved <= most, result
    # What has another name stays as it was.
    assert kept is None or os.lstat(kept[0]).st_size == kept[1]
    if damage in ("a damaged head", "something else"):
        assert [path for path in leftovers(place.out) if path.endswith(b".aside")]


@pytest.mark.parametrize("right", [True, False])
def test_a_checksum_is_of_the_whole(place, start, argosy, origin, right):
    interrupted(place, start, origin, small=False)
    digest = hashlib.sha256(DATA if right else b"").hexdigest()
    result = argosy("fetch", "--json", "--sha256", digest, *words(origin, place, small=False), ranks=2, env=NETWORK)
    assert result.code == (0 if right else INTEGRITY), result
    assert os.path.lexists(place.out / "0" / "big") == right and leftovers(place.out) == []
    if right:
        check(place, origin, result)


def test_an_object_that_lies_about_itself_is_found_out_by_its_checksum(place, start, argosy, origin):
    """The same ETag, and other bytes: what was kept is not right, and all of it comes once more."""
    interrupted(place, start, origin, how="same", small=False)
    origin.files["big"] = data_of(SIZE, seed=77)
    digest = hashlib.sha256(origin.files["big"]).hexdigest()
    again(place, argosy, origin, "--sha256", digest, ranks=2, how="same", small=False)
    assert (place.out / "0" / "big").read_bytes() == origin.files["big"] and leftovers(place.out) == []


def test_clean(place, start, argosy, origin):
    interrupted(place, start, origin, "--to", "all", folders=("0", "1", "2"))
    (part,) = (path for path in leftovers(place.out / "0") if path.endswith(b".get"))
    os.rename(part + b".journal", part + b".aside")
    assert argosy("clean", place.out / "0").code == 0 and leftovers(place.out / "0") == []
    assert leftovers(place.out / "1")
    assert argosy("clean", place.out).code == 0 and leftovers(place.out) == []


def test_no_run_takes_what_another_is_at(place, start, argosy, origin):
    job = begin(place, start, origin, small=False)
    before = set(leftovers(place.out))
    assert argosy("clean", place.out / "0").code == DESTINATION
    origin.stall_after = None
    result = argosy("fetch", *words(origin, place, small=False), ranks=2, env=NETWORK)
    assert result.code == DESTINATION and "in use by another run" in result.text, result
    assert set(leftovers(place.out)) == before
    kill(place, job, origin, "all")
    check(place, origin, again(place, argosy, origin, ranks=2, small=False))
