"""What the tests of an interrupted `argosy fetch` share: a run that is killed while its origin has stopped behind so many
bytes, hence in the same state each time, and a look at the next run."""

import os
import signal
import struct

import pytest
from harness import KI, MI, NETWORK, data_of, kill_when, leftovers, until
from hostile_origin import Origin

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


def killed_at(place, start, origin, what, *options, **rules):
    mark, go = place / "mark", place / "go"
    fault = ",".join(f"{key}={value}" for key, value in {"op": what, "rank": 0, **rules}.items())
    job = start("fetch", *options, *words(origin, place, small=False), ranks=2, env=NETWORK,
                fault=f"{fault},mark={mark},wait={go}")  # fmt: skip
    kill_when(job, mark, go, "all")
    assert mark.exists()
    forget(origin)
