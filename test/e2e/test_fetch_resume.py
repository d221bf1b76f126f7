"""`argosy fetch`, interrupted: the same URLs to the same DIR go on where they were, and nothing is mixed. What the origin
has sent is counted at the origin, which stops behind so many bytes: so each run is killed in the same state."""

import hashlib
import os
import signal
import struct

import pytest
from harness import DESTINATION, INTEGRITY, KI, MI, NETWORK, data_of, goes_on, kill_when, leftovers, until
from hostile_origin import Origin

pytestmark = [pytest.mark.usefixtures("fault_library"), pytest.mark.allow_leftovers]

SIZE = 24 * MI + 12345
DATA = data_of(SIZE)
SMALL = data_of(1000, seed=2)
CHUNK = 256 * KI
CONNECTIONS = 8
STALLS = 16 * MI
WRITTEN = STALLS - (CONNECTIONS + 1) * CHUNK  # what of that has come to the disk: all but what fills no chunk yet


@pytest.fixture
def origin():
    with Origin({"big": DATA, "small": SMALL}) as one:
        yield one


def noted(folder, durable=False):
    """Bytes that the journals in `folder` say are written, or are on the disk."""
    found = {}
    for path in leftovers(folder):
        if not path.endswith(b".get.journal"):
            continue
        with open(path, "rb") as file:
            data = file.read()
        at = 8
        for _ in range(2):
            if len(data) < at + 4:
                break
            at += 4 + struct.unpack_from("<I", data, at)[0]
        at += 8 + 12 + 8 + 8
        for record in range(at, len(data) - 47, 48):
            first, end, _, _, mark = struct.unpack_from("<qqQQQ", data, record)
            if end > first and (mark == 1 or not durable):
                found[path, first] = end - first
    return sum(found.values())


def words(origin, place, how="file", small=True, to="%r"):
    urls = [f"{origin.url}/{how}/big"] + ([f"{origin.url}/file/small"] if small else [])
    return [*urls, place.out / to, "--chunk-size", "256Ki"]


def begin(place, start, origin, *options, ranks=3, folders=("0",), stalls=STALLS, written=None, **which):
    """A run that has written what the origin has sent, and waits for more."""
    origin.body_bytes, origin.stall_after = 0, stalls
    job = start("fetch", *options, *words(origin, place, **which), ranks=ranks, env=NETWORK)
    written = stalls - (STALLS - WRITTEN) if written is None else written
    until(lambda: origin.body_bytes >= stalls, 30, "what the origin sends")
    until(lambda: all(noted(place.out / one) >= written for one in folders), 30, "what is written")
    return job


def forget(origin):
    """Counts from here on: what a run that is gone had asked for has been answered."""
    until(lambda: origin.open == 0, 30, "the end of all connections")
    origin.stall_after, origin.body_bytes, origin.heads = None, 0, []


def kill(place, job, origin, victim):
    if victim == "interrupt":
        job.signal(signal.SIGINT)
        assert job.wait(30).code == 130
        job.gone(20)
    else:
        mark = place / "mark"
        mark.touch()
        kill_when(job, mark, place / "go", victim)
    forget(origin)


def interrupted(place, start, origin, *options, victim="all", **how):
    """A run that is killed in the middle."""
    kill(place, begin(place, start, origin, *options, **how), origin, victim)
    for path, _, names in os.walk(place.out):
        assert "big" not in names, path


def again(place, argosy, origin, *options, ranks, **which):
    result = argosy("fetch", "--json", *options, *words(origin, place, **which), ranks=ranks, env=NETWORK)
    assert result.code == 0, result
    return result


def check(place, origin, result, folders=("0",), written=WRITTEN, data=DATA):
    for one in folders:
        assert (place.out / one / "big").read_bytes() == data, result
    assert leftovers(place.out) == [], result
    report = result.report
    assert report["bytes_moved"] + report["resumed"] + (len(SMALL) if report["in_place"] else 0) == report["bytes"], result
    assert origin.body_bytes == report["bytes_moved"] == report["ledger"]["received"], (origin.body_bytes, result)
    assert report["resumed"] >= 0.95 * written, (written, result)


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


@pytest.mark.parametrize("size", [SIZE, SIZE - 5 * MI, 3 * MI, SIZE + 3 * MI, 100, 0])
@pytest.mark.parametrize("how", ["file", "ifrange", "unconditional", "dated"])
def test_another_object_by_now(place, start, argosy, origin, how, size):
    """Its old part is thrown away, whatever the origin makes of the question."""
    if how != "file" and size not in (SIZE, 3 * MI):
        pytest.skip("all sizes with one origin")
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


def killed_at(place, start, origin, what, *options, **rules):
    mark, go = place / "mark", place / "go"
    fault = ",".join(f"{key}={value}" for key, value in {"op": what, "rank": 0, **rules}.items())
    job = start("fetch", *options, *words(origin, place, small=False), ranks=2, env=NETWORK,
                fault=f"{fault},mark={mark},wait={go}")  # fmt: skip
    kill_when(job, mark, go, "all")
    assert mark.exists()
    forget(origin)


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
