"""What `argosy bcast` says: --explain, the report, wrong usage, and what holds for --bwlimit and memory."""

import json
import os

import pytest
from harness import KI, MI, NETWORK, USAGE, data_of

ROUTES = {"chain": ("--route", "chain"), "two-tree": ("--route", "two-tree"), "ring": ("--route", "ring", "--source", "shared")}


def check_prediction(report, shared=False):
    assert [entry["route"] for entry in report["predicted"]] == ["chain", "two-tree"] + ["ring"] * shared, report
    for entry in report["predicted"]:
        assert entry["seconds"] >= 0 and entry["chunk_size"] > 0 and entry["chunk_size"] % (256 * KI) == 0, report
    assert report["lower_bound"] >= 0


# --- --explain ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_explain_moves_nothing(place, bcast, ranks, shared):
    path = place.file(size=20 * MI)
    result = bcast("--explain", *(["--source", "shared"] if shared else []), path, "out/%r", ranks=ranks)
    assert result.code == 0 and not place.out.exists(), result
    report = result.report
    assert report["explained"] is True and report["bytes_moved"] == report["files"] == 0, result
    assert report["bytes"] == 20 * MI and report["seconds"]["transfer"] == 0, result
    assert all(rank["bytes_read"] == rank["bytes_written"] == 0 for rank in report["ranks"]), result
    check_prediction(report, shared)
    seconds = {entry["route"]: entry["seconds"] for entry in report["predicted"]}
    if shared and ranks > 1:
        # Whatever the latency of the moment predicts: each node reads its part of the source once.
        assert report["route"] == "ring", result
    else:
        assert seconds[report["route"]] == min(seconds.values()), "auto takes what is predicted to be fastest"
    assert "limited_by" not in report, result


@pytest.mark.parametrize("size", [3 * MI + 1, 20 * MI])
def test_nothing_is_predicted_below_the_bound(place, bcast, size):
    report = bcast("--explain", place.file(size=size), "out/%r", ranks=3).report
    assert min(entry["seconds"] for entry in report["predicted"]) >= report["lower_bound"], report


def test_explain_in_words(place, argosy):
    path = place.file(size=20 * MI)
    result = argosy("bcast", "--explain", "--source", "shared", "--progress", "none", path, "out/%r", ranks=3, env=NETWORK)
    lines = result.out.decode().splitlines()
    assert result.code == 0 and not place.out.exists() and result.err == b"", result
    assert str(20 * MI) in lines[0], result
    assert [line.split()[0] for line in lines[1:]] == ["chain", "two-tree", "ring"], result
    assert " s" in lines[0] and all(" s in chunks of " in line for line in lines[1:]), result
    assert [line.split()[0] for line in lines if "chosen" in line] in (["chain"], ["two-tree"], ["ring"]), result


def test_explain_of_an_asked_route(place, bcast):
    for name in ("chain", "ring"):
        assert bcast("--explain", *ROUTES[name], place.file(size=MI), "out/%r", ranks=2).report["route"] == name


def test_link_rate(place, bcast):
    path = place.file(size=20 * MI)
    slow, fast = (
        bcast("--explain", "--route", "chain", "--link-rate", rate, "--chunk-size", "1Mi", path, "out", ranks=2).report
        for rate in ("10MB", "1GB")
    )
    assert slow["predicted"][0]["seconds"] > 10 * fast["predicted"][0]["seconds"], (slow, fast)
    assert 2 <= slow["predicted"][0]["seconds"] <= 3, slow


def test_explain_of_a_missing_source(place, bcast):
    assert bcast("--explain", "src/gone", "out", ranks=2).code == 3


# --- the report ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROUTES)
def test_report(place, bcast, name):
    result = bcast(*ROUTES[name], place.file(size=20 * MI), "out/%r", ranks=3)
    assert result.code == 0, result
    report = result.report
    assert report["command"] == "bcast" and report["route"] == name and report["explained"] is False
    assert report["chunk_size"] in [entry["chunk_size"] for entry in report["predicted"] if entry["route"] == name]
    check_prediction(report, shared=name == "ring")
    assert report["limited_by"].split()[0] in ("network", "disk", "source", "hash") and "% busy" in report["limited_by"], result
    assert [rank["rank"] for rank in report["ranks"]] == [0, 1, 2]
    for rank in report["ranks"]:
        assert set(rank["waiting"]) == {"network", "disk", "hash", "source"}
        assert all(0 <= seconds <= 2 * report["seconds"]["total"] for seconds in rank["waiting"].values()), result
        assert rank["peak_rss"] < 128 * MI
        assert rank["waiting"]["hash"] > 0
    links = {(rank["rank"], link["to"]) for rank in report["ranks"] for link in rank["links"]}
    assert all(link["busy"] <= report["seconds"]["transfer"] * 1.05 for rank in report["ranks"] for link in rank["links"])
    if name == "chain":
        assert links == {(0, 1), (1, 2)}
    elif name == "ring":
        assert links == {(0, 1), (1, 2), (2, 0)}
    else:
        assert {to for _, to in links} == {1, 2}


def test_in_words(place, argosy):
    path = place.file(size=MI)
    result = argosy("bcast", "--route", "chain", "--progress", "none", path, "out/%r", ranks=3, env=NETWORK)
    lines = result.out.decode().splitlines()
    assert result.code == 0 and result.err == b"" and len(lines) == 2, result
    assert "chain" in lines[1] and "limited by" in lines[1], result


def test_quiet(place, argosy):
    result = argosy("bcast", "--quiet", place.file(size=MI), "out/%r", ranks=3, env=NETWORK)
    assert result.code == 0 and result.out == result.err == b"", result
    result = argosy("bcast", "--quiet", "--json", "src/big.bin", "out/%r", ranks=3, env=NETWORK)
    assert json.loads(result.out)["files"] == 1 and result.err == b"", result


# --- wrong usage --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("--route", "ring"),
        ("--route", "ring", "--explain"),
        ("--route", "star"),
        ("--source", "mine"),
        ("--link-rate", "fast"),
        ("--chunk-size", "300K"),
        ("--memory", "4Mi", "--chunk-size", "1Mi"),
        ("--as", "a/b"),
        ("src/big.bin",),
        ("--to", "1"),
    ],
    ids=" ".join,
)
def test_wrong_usage(place, bcast, words):
    result = bcast(*words, place.file(size=10), "out/%r", ranks=3)
    assert result.code == USAGE and not place.out.exists(), result
    assert len(result.lines) == 1 and all(error["kind"] == "usage" for error in result.errors), result


def test_default_number_of_ranks(place, bcast):
    report = bcast(place.file(size=10), "out/%r").report
    assert len(report["ranks"]) == min(4, max(2, os.cpu_count())), report


# --- limits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROUTES)
def test_bwlimit(place, bcast, name):
    """For each card: what one node sends is held, so that 4 MiB at 8 MiB a second take half a second, with the pipeline
    behind it. A ring's cards carry three quarters of it."""
    result = bcast("--bwlimit", "8Mi", *ROUTES[name], place.file(size=4 * MI), "out/%r", ranks=4)
    assert result.code == 0, result
    least = 0.35 * (3 / 4 if name == "ring" else 1)
    assert least <= result.report["seconds"]["transfer"] <= 1.5, result
    for rank in range(4):
        assert (place.out / str(rank) / "big.bin").read_bytes() == data_of(4 * MI)


@pytest.mark.parametrize("name", ["two-tree"])
def test_memory_of_a_node(place, bcast, name):
    path = place.file(size=100 * MI)
    little, much = (bcast(*ROUTES[name], "--memory", size, path, f"{size}/%r", ranks=2).report for size in ("8Mi", "96Mi"))
    assert max(rank["peak_rss"] for rank in little["ranks"]) < max(rank["peak_rss"] for rank in much["ranks"])
    assert max(rank["peak_rss"] for rank in little["ranks"]) < 64 * MI
