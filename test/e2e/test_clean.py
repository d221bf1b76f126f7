"""`argosy clean`: what interrupted runs left goes; what a run works on stays, and so does what only looks like it."""

import os
import shutil
import stat

import pytest
import trees
from harness import DESTINATION, MI, NETWORK, data_of, kill_when, leftovers, mounted, until

pytestmark = pytest.mark.usefixtures("fault_library")


@pytest.fixture
def held(place, start):
    """A run that is held in the middle of a large file, three folders deep in its tree: the job, and what lets it go on."""
    deep = place.src / "tree/a/b"
    deep.mkdir(parents=True)
    (deep / "big").write_bytes(data_of(8 * MI))
    for number in range(8):
        (place.src / "tree" / f"d{number}").mkdir()
        (place.src / "tree" / f"d{number}" / "small").write_text("x")
    mark, go = place / "mark", place / "go"
    job = start("send", "--chunk-size", "256Ki", "src/tree", "out", env=NETWORK,
                fault=f"op=write,rank=1,path=/out/,min=100000,nth=10,mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 30, "the write")
    yield job, go
    go.touch()


@pytest.mark.parametrize("folder", ["out", "out/tree", "out/tree/a", "out/tree/a/b"])
def test_a_living_run_is_left_alone(place, argosy, held, folder):
    job, go = held
    before = sorted(leftovers(place.out))
    result = argosy("clean", folder)
    assert result.code == DESTINATION and "in use" in result.text, result
    assert sorted(leftovers(place.out)) == before
    go.touch()
    assert job.wait().code == 0
    assert not trees.differences(place.src / "tree", place.out / "tree")


def test_signs_of_living_ranks_stay(place, start, argosy):
    path = place.file(size=MI)
    mark, go = place / "mark", place / "go"
    job = start("bcast", "-n", "2", path, "out", env=NETWORK,
                fault=f"op=open,rank=1,path=.ranks/1,nth=1,mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 30, "the second rank's sign, which is held")
    until(lambda: list(place.out.glob(".argosy-*.ranks/0")), 30, "the first rank's")
    result = argosy("clean", "out")
    assert result.code == DESTINATION and list(place.out.glob(".argosy-*.ranks/0")), result
    go.touch()
    assert job.wait().code == 0


@pytest.mark.parametrize("name", [".argosy-1.ranks", ".argosy-0123456789abcdef.tree", ".argosy-0123456789abcdef.stripe"])
def test_links_are_not_followed(place, argosy, name):
    victim = place / "victim"
    victim.mkdir(mode=0o755)
    (victim / "mine").write_text("mine")
    place.out.mkdir()
    (place.out / name).symlink_to(victim)
    assert argosy("clean", "out").code == 0
    assert stat.S_IMODE(victim.stat().st_mode) == 0o755 and (victim / "mine").read_text() == "mine"
    (place.out / name).unlink(missing_ok=True)


def test_a_full_disk_can_be_cleaned(place, argosy, mounts):
    with mounted(place.out, "-t", "tmpfs", "-o", "size=1m", "argosy-test"):
        with pytest.raises(OSError), open(place.out / ".argosy-0123456789abcdef.part", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        result = argosy("clean", "out")
        assert result.code == 0 and os.listdir(place.out) == [], result


def test_one_folder_of_several_ranks_is_cleaned_once(place, argosy):
    place.out.mkdir()
    for number in range(50):
        (place.out / f".argosy-{number:016x}.part").write_text("x")
    result = argosy("clean", "out", "--json", ranks=4, env=NETWORK)
    assert result.code == 0 and result.report["files"] == 50 and os.listdir(place.out) == [], result


@pytest.mark.allow_leftovers
def test_a_planted_lock_is_not_written_to(place, start, send):
    """Another name of somebody's file, where a lock is to be."""
    path = place.file(size=4 * MI)
    mark, go = place / "mark", place / "go"
    job = start("send", "--chunk-size", "256Ki", path, "out", env=NETWORK,
                fault=f"op=write,rank=1,path=/out/,min=100000,nth=3,mark={mark},wait={go}")  # fmt: skip
    kill_when(job, mark, go, "all")
    lock = next(path for path in leftovers(place.out) if path.endswith(b".lock"))
    victim = place / "victim"
    victim.write_text("mine")
    os.unlink(lock)
    os.link(victim, lock)
    result = send(path, "out")
    assert result.code == DESTINATION and "no lock" in result.text, result
    assert victim.read_text() == "mine"
    os.unlink(lock)
    assert send(path, "out").code == 0


def test_only_signs_are_signs(place, argosy):
    """A user's folder that is called nearly so."""
    mine = place.out / ".argosy-myjob.ranks"
    mine.mkdir(parents=True)
    (mine / "0").write_text("mine")
    assert argosy("clean", "out").code == 0
    assert (mine / "0").read_text() == "mine"
    shutil.rmtree(mine)
