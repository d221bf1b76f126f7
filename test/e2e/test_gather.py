"""`argosy gather`, `repair` and `verify --stripes`: what was scattered comes back whatever has been lost of it, or a list
says what is missing and nothing is changed."""

import json
import os
import random
import shutil

import pytest
from harness import INTEGRITY, KI, MI, NETWORK, PARTIAL, SOURCE, TAGS, USAGE, data_of, leftovers, snapshot
from stripes import flip, folder, lose, manifest, share, swap

pytestmark = pytest.mark.usefixtures("fault_library")
SIZE = 300 * KI + 19
DATA = data_of(SIZE)


@pytest.fixture
def striped(place, run):
    """A file of SIZE in chunks of 7 KiB on workers 1 to 5, two of which may be lost: in w1 to w5."""
    path = place.file(data=DATA, mode=0o644, mtime_ns=10**18 + 3)
    assert run("scatter", "--chunk-size", "7KiB", "--parity", "2", path, place / "w%r", ranks=6).code == 0
    return place


def comes_back(place, run, ranks=3, wanted=DATA, **options):
    back = run("gather", place / "w%r/big.bin", place / "back", ranks=ranks, **options)
    assert back.code == 0 and (place / "back").read_bytes() == wanted, back
    return back


@pytest.mark.parametrize("ranks", [1, 2, 4, 6, 8])
def test_on_fewer_and_on_more_ranks(striped, run, ranks):
    comes_back(striped, run, ranks=ranks)
    assert (striped / "back").stat().st_mtime_ns == 10**18 + 3


@pytest.mark.parametrize("seed", range(6))
def test_random_losses(striped, run, seed):
    chance = random.Random(seed)
    lost = chance.sample(range(1, 6), chance.choice([1, 2, 2]))
    lose(*(striped / f"w{worker}" for worker in lost))
    back = comes_back(striped, run, ranks=chance.choice([2, 3, 6]), env=NETWORK if seed % 2 else {})
    assert back.report["stripe"]["rebuilt"] > 0


@pytest.mark.parametrize("seed", range(3))
def test_too_much_lost(striped, run, seed):
    """Three of five: a list, and OUT is as it was."""
    (striped / "back").write_text("old")
    before = snapshot(striped / "back")
    lost = random.Random(seed).sample(range(1, 6), 3)
    lose(*(striped / f"w{worker}" for worker in lost))
    result = run("gather", striped / "w%r/big.bin", striped / "back", ranks=3)
    assert result.code == INTEGRITY and snapshot(striped / "back") == before, result
    shares = {int(error["message"].split("share ")[1].split(":")[0]) for error in result.errors}
    assert shares and shares <= set(lost), result
    assert "chunk_0" in result.text, result
    checked = run("verify", "--stripes", striped / "w%r/big.bin", ranks=3)
    assert checked.code == INTEGRITY and checked.report["stripe"]["losses"] == -1, checked
    repaired = run("repair", striped / "w%r/big.bin", ranks=6)
    assert repaired.code == INTEGRITY and not any(folder(striped / f"w{w}").exists() for w in lost), repaired


def test_flipped_bits(striped, run):
    """One in each share: each chunk by itself is made again from the others."""
    for worker in range(1, 6):
        flip(share(striped / f"w{worker}", worker), 7 * KI * worker + 100)
    back = comes_back(striped, run)
    assert back.report["stripe"]["rebuilt"] >= 2 and back.report["stripe"]["damaged"] >= 2, back
    checked = run("verify", "--stripes", striped / "w%r/big.bin", ranks=4)
    assert checked.code == PARTIAL, checked
    assert [one["damaged"] for one in checked.report["stripe"]["shares"]] == [1] * 5, checked
    repaired = run("repair", striped / "w%r/big.bin", ranks=6)
    assert repaired.code == 0 and repaired.report["stripe"]["rebuilt"] == 5, repaired
    again = run("verify", "--stripes", striped / "w%r/big.bin", ranks=2)
    assert again.code == 0 and again.report["stripe"]["losses"] == 2, again


def test_a_truncated_share_and_one_that_is_something_else(striped, run):
    os.truncate(share(striped / "w1", 1), 8 * KI)
    share(striped / "w2", 2).unlink()
    share(striped / "w2", 2).mkdir()
    comes_back(striped, run)


def test_bits_that_flip_on_their_way(striped, run):
    fault = {"op": "send", "tag": TAGS["kStripeReply"], "min": 8 * KI, "nth": 2, "times": 2, "flip": -9}
    comes_back(striped, run, env=NETWORK, fault=fault)


# --- manifests -----------------------------------------------------------------------------------------------------


def test_damaged_and_missing_manifests(striped, run):
    (folder(striped / "w1") / "manifest.json").unlink()
    flip(folder(striped / "w2") / "manifest.json", 40)
    (folder(striped / "w3") / "manifest.json").write_text("{}")
    (folder(striped / "w4") / "digests.bin").unlink()
    back = comes_back(striped, run)
    assert back.report["stripe"]["rebuilt"] == 0, "the shares are there all the same"
    checked = run("verify", "--stripes", striped / "w%r/big.bin", ranks=6)
    assert checked.code == PARTIAL and len(checked.errors) == 4, checked
    assert run("repair", striped / "w%r/big.bin", ranks=6).code == 0
    good = manifest(striped / "w5")
    assert all(manifest(striped / f"w{worker}") == good for worker in range(1, 6))
    assert run("verify", "--stripes", striped / "w%r/big.bin", ranks=6).code == 0


def tables(striped):
    return [folder(striped / f"w{worker}") / "digests.bin" for worker in range(1, 6)]


def test_a_row_that_every_table_has_damaged(striped, run):
    """It is made again along with its chunk, and until that is repaired one share less may be lost."""
    before = tables(striped)[0].read_bytes()
    for table in tables(striped):
        flip(table, 32 * 7 + 5)
    assert comes_back(striped, run).report["stripe"]["rebuilt"] == 1
    checked = run("verify", "--stripes", striped / "w%r/big.bin", ranks=6)
    assert checked.code == PARTIAL and checked.report["stripe"]["losses"] == 1, checked
    assert "1 of" in checked.text and "digests.bin" in checked.text, checked
    lost = striped / "w4"
    shutil.move(lost, striped / "lost")
    comes_back(striped, run)
    shutil.move(striped / "lost", lost)
    assert run("repair", striped / "w%r/big.bin", ranks=6).code == 0
    assert [table.read_bytes() for table in tables(striped)] == [before] * 5
    checked = run("verify", "--stripes", striped / "w%r/big.bin", ranks=6)
    assert checked.code == 0 and checked.report["stripe"]["losses"] == 2, checked


def test_tables_of_another_length(striped, run):
    before = tables(striped)[0].read_bytes()
    for table in tables(striped):
        os.truncate(table, len(before) + 40)
    assert comes_back(striped, run).report["stripe"]["rebuilt"] == 0, "all rows are there"
    for table in tables(striped):
        os.truncate(table, len(before) - 40)
    comes_back(striped, run)
    assert run("repair", striped / "w%r/big.bin", ranks=6).code == 0
    assert [table.read_bytes() for table in tables(striped)] == [before] * 5
    (striped / "back").unlink()
    for table in tables(striped):
        os.truncate(table, 64)
    result = run("gather", striped / "w%r/big.bin", striped / "back", ranks=3)
    assert result.code == INTEGRITY and not (striped / "back").exists(), result
    assert "no folder's digests.bin is right" in result.text, result


def test_no_manifest_at_all(striped, run):
    for worker in range(1, 6):
        (folder(striped / f"w{worker}") / "manifest.json").write_bytes(b"\xff\x00")
    result = run("gather", striped / "w%r/big.bin", striped / "back", ranks=3)
    assert result.code == INTEGRITY and not (striped / "back").exists(), result


def test_no_stripe_at_all(place, run):
    for command, rest in (("gather", [place / "back"]), ("repair", []), ("verify", [])):
        words = ["--stripes"] if command == "verify" else []
        result = run(command, *words, place / "none/big.bin", *rest, ranks=2)
        assert result.code == SOURCE and len(result.lines) == 1, result


def test_a_manifest_that_contradicts(striped, run):
    """Somebody has edited one, and nothing in it fits any more."""
    path = folder(striped / "w3") / "manifest.json"
    text = json.loads(path.read_text())
    text["size"] = 17
    path.write_text(json.dumps(text))
    comes_back(striped, run)


def test_shares_swapped_between_two_files_of_one_name(place, run):
    other = data_of(SIZE, seed=5)
    for name, data in (("a", DATA), ("b", other)):
        path = place.file(data=data)
        assert run("scatter", "--chunk-size", "7KiB", "--parity", "1", path, place / name / "w%r", ranks=5).code == 0
    swap(share(place / "a/w2", 2), share(place / "b/w2", 2))
    for name, data in (("a", DATA), ("b", other)):
        back = run("gather", place / name / "w%r/big.bin", place / "back", ranks=3)
        assert back.code == 0 and (place / "back").read_bytes() == data, back
        assert back.report["stripe"]["damaged"] > 0
    # A whole folder of another file's: it belongs to another generation.
    swap(folder(place / "a/w3"), folder(place / "b/w3"))
    swap(share(place / "a/w2", 2), share(place / "b/w2", 2))
    for name, data in (("a", DATA), ("b", other)):
        back = run("gather", place / name / "w%r/big.bin", place / "back", ranks=3)
        assert back.code == 0 and (place / "back").read_bytes() == data, back


# --- where shares are ----------------------------------------------------------------------------------------------


def test_shares_moved_between_folders(striped, run):
    shutil.move(share(striped / "w1", 1), share(striped / "w4", 1))
    lose(striped / "w1")
    swap(folder(striped / "w2"), folder(striped / "w5"))
    back = comes_back(striped, run, ranks=6)
    assert back.report["stripe"]["rebuilt"] == 0, back


def test_one_folder_for_all(place, run):
    path = place.file(data=DATA)
    assert run("scatter", "--chunk-size", "5000", "--parity", "1", path, place.out, ranks=4).code == 0
    share(place.out, 2).unlink()
    for name in ("big.bin", "big.bin.argosy", "big.bin.argosy/"):
        back = run("gather", f"{place.out}/{name}", place / "back", "--to", "1", ranks=2)
        assert back.code == 0 and (place / "back").read_bytes() == DATA, back
    assert run("repair", place.out / "big.bin", ranks=2).code == 0
    assert share(place.out, 2).exists()
    assert run("verify", "--stripes", place.out / "big.bin", ranks=2).code == 0


@pytest.mark.usefixtures("fault_library")
def test_a_repair_without_room_leaves_nothing(place, run):
    path = place.file(data=DATA)
    assert run("scatter", "--chunk-size", "5000", "--parity", "1", path, place.out, ranks=4).code == 0
    share(place.out, 2).unlink()
    result = run("repair", place.out / "big.bin", ranks=2,
                 fault={"op": "alloc", "path": ".part", "fail": "ENOSPC", "times": "all"})  # fmt: skip
    assert result.code != 0 and leftovers(place.root) == [], result
    assert run("repair", place.out / "big.bin", ranks=2).code == 0


@pytest.mark.parametrize("layout", ["stripe", "chunks"])
def test_repair_onto_replacements(place, run, layout):
    path = place.file(data=DATA)
    words = ["--chunk-size", "7KiB", "--parity", "2", "--layout", layout]
    assert run("scatter", *words, path, place / "w%r", ranks=6).code == 0
    before = {worker: snapshot(place / f"w{worker}") for worker in (1, 4, 5)}
    wanted = {p.name: p.read_bytes() for w in (2, 3) for p in folder(place / f"w{w}").iterdir()}
    lose(place / "w2", place / "w3")
    result = run("repair", place / "w%r/big.bin", ranks=6)
    assert result.code == 0 and result.report["stripe"]["rebuilt"] > 0, result
    assert {p.name: p.read_bytes() for w in (2, 3) for p in folder(place / f"w{w}").iterdir()} == wanted
    assert {worker: snapshot(place / f"w{worker}") for worker in (1, 4, 5)} == before
    lose(place / "w1", place / "w5")
    comes_back(place, run)
    assert leftovers(place.root) == []


def test_chunks_one_by_one(place, run):
    path = place.file(data=DATA)
    words = ["--chunk-size", "7KiB", "--parity", "1", "--layout", "chunks"]
    assert run("scatter", *words, path, place.out, ranks=4).code == 0
    for i in (0, 5, 13, 40):
        (folder(place.out) / f"chunk_{i:010}").unlink()
    flip(folder(place.out) / "chunk_0000000020", 9)
    back = run("gather", place.out / "big.bin", place / "back", ranks=2)
    assert back.code == 0 and (place / "back").read_bytes() == DATA, back
    assert run("repair", place.out / "big.bin", ranks=3).code == 0
    assert run("verify", "--stripes", place.out / "big.bin", ranks=3).code == 0


@pytest.mark.parametrize("offset, length", [(0, 1), (7 * KI - 1, 2), (100_000, 100_000), (SIZE - 5, 100), (SIZE, 10), (0, SIZE), (3, 0)])
def test_a_range(striped, run, offset, length):
    lose(striped / "w2")
    back = run("gather", "--range", f"{offset}:{length}", striped / "w%r/big.bin", striped / "back", ranks=2)
    assert back.code == 0 and (striped / "back").read_bytes() == DATA[offset : offset + length], back


@pytest.mark.parametrize("words", [("--range", "5"), ("--range", f"{SIZE + 1}:1"), ("--to", "3"), ("--range", "a:b")])
def test_wrong_usage(striped, run, words):
    result = run("gather", *words, striped / "w%r/big.bin", striped / "back", ranks=3)
    assert result.code == USAGE and not (striped / "back").exists(), result


def test_verify_wants_stripes(striped, run):
    assert run("verify", striped / "w%r/big.bin", ranks=2).code == USAGE
    assert run("gather", striped / "w%r/big.bin", ranks=2).code == USAGE


# --- failures of the target ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"op": "open", "path": "/deep/", "fail": "EACCES"}, {"op": "write", "path": "/deep/", "nth": 2, "fail": "ENOSPC"},
                                   {"op": "rename", "path": "/deep/", "fail": "EIO"}])  # fmt: skip
def test_out_that_can_not_be_written(striped, run, fault):
    result = run("gather", striped / "w%r/big.bin", striped / "deep/back", ranks=3, fault=fault)
    assert result.code == 4 and not (striped / "deep").exists(), result


def test_a_large_file_on_nodes_of_their_own(place, run):
    data = data_of(24 * MI + 3)
    path = place.file(data=data)
    assert run("scatter", "--parity", "1", path, place / "w%r", ranks=4, env=NETWORK).code == 0
    lose(place / "w3")
    comes_back(place, run, wanted=data, env=NETWORK)
    assert run("repair", place / "w%r/big.bin", ranks=4, env=NETWORK).code == 0
    lose(place / "w1")
    comes_back(place, run, wanted=data)
