"""Commands other than send and bcast (test_resume_kills.py), killed at random points: every visible name is whole, and
the same command again does what it should, also on another number of ranks."""

import os
import random

import pytest
from harness import KI, MI, NETWORK, data_of, kill_when, leftovers
from hostile_origin import Origin

pytestmark = [pytest.mark.usefixtures("fault_library"), pytest.mark.allow_leftovers]
SEEDS = range(5)
DATA = data_of(3 * MI + 77)


def killed(place, start, rng, rank, *words, ranks):
    """Held at a random write of that rank to something that nobody sees yet, then killed."""
    mark, go = place / "mark", place / "go"
    # The longer runs of seeds are late ones, when names are already being shown.
    nth = rng.choice([1, 2, rng.randrange(3, 40)])
    op, path = rng.choice([("write", "/.argosy-"), ("write", "/.argosy-"), ("rename", "/.argosy-")])
    job = start(*words, ranks=ranks, env=NETWORK,
                fault=f"op={op},rank={rank},path={path},nth={nth if op == 'write' else 1},mark={mark},wait={go}")  # fmt: skip
    kill_when(job, mark, go, rng.choice([0, ranks - 1, "all", "supervisor"]))


@pytest.mark.parametrize("seed", SEEDS)
def test_gather(place, start, argosy, seed):
    rng = random.Random(f"gather{seed}")
    place.file(data=DATA)
    assert argosy("scatter", "--chunk-size", "64Ki", "--parity", "1", "src/big.bin", place / "w%r", ranks=5).code == 0
    killed(place, start, rng, 0, "gather", place / "w%r/big.bin", place / "back", ranks=3)
    if os.path.lexists(place / "back"):
        assert (place / "back").read_bytes() == DATA
    result = argosy("gather", place / "w%r/big.bin", place / "back", ranks=rng.choice([1, 2, 5]), env=NETWORK)
    assert result.code == 0 and (place / "back").read_bytes() == DATA, result
    assert leftovers(place.root) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_scatter(place, start, argosy, seed):
    """What a run before has scattered of that name stays, or the new is whole."""
    rng = random.Random(f"scatter{seed}")
    old = data_of(MI, seed=5)
    place.file(data=old)
    words = ("scatter", "--chunk-size", "64Ki", "--parity", "1", "src/big.bin", place / "w%r")
    assert argosy(*words, ranks=4, env=NETWORK).code == 0
    place.file(data=DATA)
    killed(place, start, rng, rng.choice([1, 2, 3]), *words, ranks=4)
    back = argosy("gather", place / "w%r/big.bin", place / "back", ranks=3, env=NETWORK)
    if back.code == 0:
        assert (place / "back").read_bytes() in (old, DATA), back
    else:
        # Killed while folders took their places: neither of the two may be told for whole.
        assert not os.path.lexists(place / "back"), back
    assert argosy(*words, ranks=4, env=NETWORK).code == 0
    back = argosy("gather", place / "w%r/big.bin", place / "back", ranks=rng.choice([1, 2, 5]), env=NETWORK)
    assert back.code == 0 and (place / "back").read_bytes() == DATA, back


@pytest.mark.parametrize("to", ["0", "all"])
@pytest.mark.parametrize("seed", SEEDS)
def test_fetch(place, start, argosy, seed, to):
    rng = random.Random(f"fetch{seed}{to}")
    files = {"big.bin": DATA} | {f"s{i}": data_of(20 * KI, seed=i) for i in range(8)}
    with Origin(files) as origin:
        words = ["fetch", "--to", to, *(f"{origin.url}/file/{name}" for name in files), str(place.out) + "/%r"]
        killed(place, start, rng, rng.choice([0, 2]) if to == "all" else 0, *words, ranks=3)
        for folder in place.out.iterdir() if place.out.exists() else ():
            for path in folder.iterdir():
                if not path.name.startswith(".argosy"):
                    assert path.read_bytes() == files[path.name], path
        ranks = rng.choice([1, 2, 4])
        result = argosy(*words, ranks=ranks, env=NETWORK)
    assert result.code == 0, result
    for rank in range(ranks) if to == "all" else [0]:
        for name, data in files.items():
            assert (place.out / str(rank) / name).read_bytes() == data, name
