"""A stripe over another of the same name: never a mixture, never silently the older one, and one of them whole at every
moment, whenever a run is killed."""

import shutil

import pytest
from harness import DESTINATION, INTEGRITY, KI, data_of, faults, leftovers, snapshot, until
from stripes import flip, folder, lose, manifest, share, swap

pytestmark = pytest.mark.usefixtures("fault_library")
OLD, NEW = data_of(200 * KI + 5, seed=1), data_of(160 * KI + 9, seed=2)


@pytest.fixture
def scatter(place, run):
    def scatter(data, ranks, *words, **options):
        path = place.file(data=data)
        return run("scatter", "--chunk-size", "7KiB", *words, path, place / "w%r", ranks=ranks, **options)

    return scatter


def gathered(place, run, ranks=6):
    """Which of the two comes back; nothing else may."""
    back = run("gather", place / "w%r/big.bin", place / "back", ranks=ranks)
    assert back.code == 0, back
    got = (place / "back").read_bytes()
    assert got in (OLD, NEW), "a mixture"
    return "old" if got == OLD else "new"


def hide(place, *names):
    for name in names:
        shutil.move(place / name, place / ("hidden-" + name))


def show(place, *names):
    for name in names:
        shutil.move(place / ("hidden-" + name), place / name)


# --- which one counts ----------------------------------------------------------------------------------------------


@pytest.fixture
def replaced(place, scatter):
    """The old one on w1 to w5, where two may be lost; the new one on w1 and w2 while w3 to w5 could not be seen."""
    assert scatter(OLD, 6, "--parity", "2").code == 0
    hide(place, "w3", "w4", "w5")
    assert scatter(NEW, 3).code == 0
    show(place, "w3", "w4", "w5")
    return place


def test_what_was_replaced_is_not_taken_for_what_is_lost(replaced, run):
    lose(replaced / "w2")
    (replaced / "back").write_text("as it was")
    before = snapshot(replaced.root)
    back = run("gather", replaced / "w%r/big.bin", replaced / "back", ranks=6)
    assert back.code == INTEGRITY and snapshot(replaced.root) == before, back
    assert "share 2" in back.text and "older stripe" in back.text, back
    repaired = run("repair", replaced / "w%r/big.bin", ranks=6)
    assert repaired.code == INTEGRITY, repaired
    assert folder(replaced / "w1").exists() and share(replaced / "w1", 1).stat().st_size > 0
    assert manifest(replaced / "w1")["size"] == len(NEW) and manifest(replaced / "w3")["size"] == len(OLD)
    assert run("verify", "--stripes", replaced / "w%r/big.bin", ranks=6).code == INTEGRITY


def test_a_share_beside_a_lost_manifest_counts(replaced, run):
    """The new one is whole as long as its shares are."""
    (folder(replaced / "w2") / "manifest.json").unlink()
    assert gathered(replaced, run) == "new"


def test_the_root_s_clock_does_not_decide(place, scatter, run):
    """Whatever the clocks say, what replaces is younger."""
    assert scatter(OLD, 6, "--parity", "2").code == 0
    hide(place, "w3", "w4", "w5")
    assert scatter(NEW, 3).code == 0
    old, new = manifest(place / "hidden-w3"), manifest(place / "w1")
    assert old["generation"] in new["replaces"] and new["created"] > old["created"]


def test_leftovers_of_what_was_replaced(replaced, run):
    """Nobody takes them for damage, and repair takes them away."""
    assert gathered(replaced, run) == "new"
    checked = run("verify", "--stripes", replaced / "w%r/big.bin", ranks=6)
    assert checked.code == 0 and len(checked.report["warnings"]) == 3 and "replaced" in checked.text, checked
    assert run("repair", replaced / "w%r/big.bin", ranks=6).code == 0
    assert not any(folder(replaced / f"w{w}").exists() for w in (3, 4, 5)) and leftovers(replaced.root) == []
    checked = run("verify", "--stripes", replaced / "w%r/big.bin", ranks=6)
    assert checked.code == 0 and "warnings" not in checked.report, checked


def test_scattering_on_fewer_ranks_takes_the_rest_away(place, scatter, run):
    assert scatter(OLD, 6, "--root-too").code == 0
    (folder(place / "w4") / "mine").write_text("precious")
    assert scatter(NEW, 3).code == 0
    assert [w for w in range(6) if folder(place / f"w{w}").exists()] == [1, 2, 4]
    assert (folder(place / "w4") / "mine").exists(), "what is no part of a stripe is nobody's to remove"
    assert run("verify", "--stripes", place / "w%r/big.bin", ranks=6).code == 0
    assert leftovers(place.root) == []


def test_a_stray_of_a_later_one(place, run):
    """A folder of a stripe that never stood here: the file is had all the same, and it is said."""
    for name, data in (("a", OLD), ("b", NEW)):
        path = place.file(data=data)
        assert run("scatter", "--chunk-size", "7KiB", "--parity", "1", path, place / name / "w%r", ranks=5).code == 0
    swap(folder(place / "a/w3"), folder(place / "b/w3"))
    back = run("gather", "-q", place / "a/w%r/big.bin", place / "back", ranks=3)
    assert back.code == 0 and (place / "back").read_bytes() == OLD, back
    assert "warning" in back.text and "w3/big.bin.argosy" in back.text, back
    stray = snapshot(folder(place / "a/w3"))
    assert run("repair", place / "a/w%r/big.bin", ranks=5).code == 0
    assert snapshot(folder(place / "a/w3")) == stray, "another stripe's folder is left alone"
    assert run("verify", "--stripes", place / "a/w%r/big.bin", ranks=5).code == 0


def test_no_place_but_another_stripe_s(place, run):
    for name, data in (("b", OLD), ("a", NEW)):
        path = place.file(data=data)
        words = ["--chunk-size", "7KiB", "--parity", "1", "--root-too"]
        assert run("scatter", *words, path, place / name / "w%r", ranks=2).code == 0
    swap(folder(place / "a/w0"), folder(place / "b/w0"))
    before = snapshot(place / "a")
    result = run("repair", place / "a/w%r/big.bin", ranks=1)
    assert result.code == DESTINATION and snapshot(place / "a") == before, result
    result = run("repair", place / "a/w%r/big.bin", ranks=2)
    assert result.code == 0 and share(place / "a/w1", 0).exists(), result
    assert manifest(place / "a/w0")["size"] == len(OLD), "another stripe's folder is left alone"


# --- killed ----------------------------------------------------------------------------------------------------------

MOMENTS = [
    {"op": "write", "path": "share_", "nth": 2},
    {"op": "write", "path": "manifest.json", "rank": 2},
    {"op": "close", "path": "manifest.json", "rank": 3},
    {"op": "rename", "path": "big.bin.argosy", "rank": 1},
    {"op": "rename", "path": "big.bin.argosy", "rank": 2},
    {"op": "rename", "path": "big.bin.argosy", "rank": 3},
    {"op": "unlink", "path": ".stripe", "rank": 1},
    {"op": "unlink", "path": ".stripe", "rank": 2, "nth": 3},
    {"op": "unlink", "path": "share_", "rank": 3},
]


def kill_at(place, start, moment, command, *words, ranks):
    """Every rank is killed when one of them comes to this call."""
    mark = place / "mark"
    if mark.exists():
        mark.unlink()
    rule = dict(moment, mark=mark, wait=place / "never")
    job = start(command, "--progress", "none", *words, ranks=ranks, fault=rule)
    until(mark.exists, 30, "the call")
    job.end()


@pytest.mark.parametrize("parity", ["0", "1"])
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda m: "-".join(str(v) for v in m.values()))
def test_a_scatter_killed_over_an_old_stripe(place, start, scatter, run, moment, parity):
    assert scatter(OLD, 4, "--parity", parity).code == 0
    words = ["--chunk-size", "7KiB", "--parity", parity, place.file(data=NEW), place / "w%r"]
    kill_at(place, start, moment, "scatter", *words, ranks=4)
    which = gathered(place, run)
    # Cleaning takes nothing that is needed.
    run("clean", place.root, ranks=2)
    assert gathered(place, run) == which
    # Another one, killed while it deals, takes nothing that is needed.
    kill_at(place, start, MOMENTS[0], "scatter", *words, ranks=4)
    assert gathered(place, run) == which
    assert run("repair", place / "w%r/big.bin", ranks=4).code == 0
    assert gathered(place, run) == which
    checked = run("verify", "--stripes", place / "w%r/big.bin", ranks=4)
    assert checked.code == 0 and checked.report["stripe"]["losses"] == int(parity), checked
    assert scatter(NEW, 4, "--parity", parity).code == 0
    assert gathered(place, run) == "new" and leftovers(place.root) == []


def test_what_a_killed_commit_has_left_is_repaired(place, start, scatter, run):
    assert scatter(OLD, 4).code == 0
    words = ["--chunk-size", "7KiB", place.file(data=NEW), place / "w%r"]
    kill_at(place, start, MOMENTS[4], "scatter", *words, ranks=4)
    sizes = [manifest(place / f"w{w}")["size"] for w in (1, 2, 3)]
    checked = run("verify", "--stripes", place / "w%r/big.bin", ranks=4)
    assert checked.code == 0, checked
    if len(NEW) in sizes and len(OLD) in sizes:
        assert "not in its place yet" in checked.text, checked
    assert run("repair", place / "w%r/big.bin", ranks=4).code == 0
    assert len({manifest(place / f"w{w}")["size"] for w in (1, 2, 3)}) == 1 and leftovers(place.root) == []


@pytest.mark.parametrize("layout, moment", [("stripe", {"op": "write", "path": ".part", "nth": 3}), ("stripe", {"op": "rename", "path": "share_"}),
                                            ("stripe", {"op": "rename", "path": "digests.bin"}), ("chunks", {"op": "rename", "path": "chunk_", "nth": 2})])  # fmt: skip
def test_a_killed_repair(place, start, scatter, run, layout, moment):
    assert scatter(OLD, 5, "--parity", "2", "--layout", layout).code == 0
    (folder(place / "w1") / "manifest.json").unlink()
    for path in list(folder(place / "w2").iterdir()):
        if path.name.startswith(("share_", "chunk_")):
            flip(path, 3)
    kill_at(place, start, moment, "repair", place / "w%r/big.bin", ranks=5)
    assert gathered(place, run) == "old"
    assert run("repair", place / "w%r/big.bin", ranks=5).code == 0
    assert run("verify", "--stripes", place / "w%r/big.bin", ranks=5).code == 0
    assert scatter(NEW, 5).code == 0, "what a killed repair has left is no obstacle"
    assert gathered(place, run) == "new" and leftovers(place.root) == []


def test_a_killed_gather_changes_nothing(place, start, scatter, run):
    assert scatter(OLD, 4).code == 0
    (place / "back").write_text("as it was")
    kill_at(place, start, {"op": "rename", "path": "back"}, "gather", place / "w%r/big.bin", place / "back", ranks=3)
    assert (place / "back").read_text() == "as it was"
    assert gathered(place, run) == "old" and leftovers(place.root) == []


def test_a_take_back_keeps_the_old_one(place, scatter, run):
    """One of three can't put its folder in place, the second attempt can't either: the old one stands."""
    assert scatter(OLD, 4).code == 0
    before = snapshot(place.root)
    env = faults({"op": "rename", "path": "big.bin.argosy", "fail": "EIO", "times": "all"})
    place.file(data=NEW)
    result = run("scatter", "--chunk-size", "7KiB", place.src / "big.bin", place / "w%r", ranks=4, env=env)
    assert result.code == DESTINATION, result
    after = snapshot(place.root)
    assert {n: e for n, e in after.items() if n.startswith(b"w")} == {n: e for n, e in before.items() if n.startswith(b"w")}
    assert gathered(place, run) == "old"
