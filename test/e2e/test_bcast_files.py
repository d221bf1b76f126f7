"""`argosy bcast`: every node gets every file, over every route, whatever the sizes, names and ranks."""

import os

import pytest
from harness import KI, MI, SELF, UNDER, data_of, snapshot

SMALL_CHUNKS = ("--memory", "8Mi", "--chunk-size", "256Ki")
CHUNK = 256 * KI
ROUTES = {
    "auto": (),
    "chain": ("--route", "chain"),
    "two-tree": ("--route", "two-tree"),
    "ring": ("--route", "ring", "--source", "shared"),
}
ALL_SIZES = {
    "empty": 0,
    "one": 1,
    "under": CHUNK - 1,
    "exact": CHUNK,
    "over": CHUNK + 1,
    "uneven": 5 * CHUNK + 77,
    "pools": 20 * MI + 1,
}


@pytest.fixture(params=["chain", "two-tree", "ring"])
def route(request):
    return ROUTES[request.param]


def check_copies(place, ranks, files):
    """In out/0, out/1, ... these files ({name: bytes}) and no others."""
    ranks = range(ranks) if isinstance(ranks, int) else ranks
    assert sorted(os.listdir(place.out)) == sorted(str(rank) for rank in ranks)
    for rank in ranks:
        assert sorted(os.listdir(place.out / str(rank))) == sorted(files), rank
        for name, data in files.items():
            assert (place.out / str(rank) / name).read_bytes() == data, (rank, name)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("name", ROUTES)
def test_all_sizes(place, bcast, ranks, name):
    route = ROUTES[name]
    sizes = {name: min(size, 10 * MI + 1) if ranks > 4 else size for name, size in ALL_SIZES.items()}
    files = {name: data_of(size, seed) for seed, (name, size) in enumerate(sizes.items())}
    paths = [place.file(name, data=data) for name, data in files.items()]
    result = bcast(*SMALL_CHUNKS, *route, *paths, "out/%r", ranks=ranks)
    assert result.code == 0, result
    check_copies(place, ranks, files)
    report, total = result.report, sum(sizes.values())
    assert report["files"] == len(files) and report["bytes"] == report["bytes_moved"] == total, result
    assert [rank["bytes_written"] for rank in report["ranks"]] == [total] * ranks, result
    assert sum(rank["bytes_read"] for rank in report["ranks"]) == total, "every byte is read once"
    if "ring" not in route:
        assert report["ranks"][0]["bytes_read"] == total, result
    if "--route" in route:
        assert report["route"] == route[1], result


@pytest.mark.parametrize("ranks", [5])
def test_smallest_memory(place, bcast, ranks, route):
    path = place.file(size=10 * MI + 3)
    result = bcast("--memory", "4Mi", *route, path, "out/%r", ranks=ranks)
    assert result.code == 0 and result.report["chunk_size"] == CHUNK, result
    check_copies(place, ranks, {"big.bin": data_of(10 * MI + 3)})


@pytest.mark.parametrize("ranks", [5])
def test_ranks_of_a_node_get_copies_of_their_own(place, bcast, ranks, route):
    """Handed over in memory: there are no links. (Uneven nodes: test/lab.)"""
    files = {"a": data_of(9 * MI + 5, 1), "b": b"", "c": data_of(1, 3)}
    paths = [place.file(name, data=data) for name, data in files.items()]
    result = bcast(*SMALL_CHUNKS, *route, *paths, "out/%r", ranks=ranks, one_node=True)
    assert result.code == 0, result
    check_copies(place, ranks, files)
    assert all(rank["links"] == [] for rank in result.report["ranks"]), result


@pytest.mark.parametrize("ranks, one_node", [(4, True), (4, False)])
def test_nodes_that_share_a_folder(place, bcast, ranks, one_node, route):
    """Without %r one rank a node would write, and of nodes that see one folder the lowest does; the others hand on."""
    path = place.file(size=9 * MI + 1)
    result = bcast(*SMALL_CHUNKS, *route, path, "out", ranks=ranks, one_node=one_node)
    assert result.code == 0, result
    assert os.listdir(place.out) == ["big.bin"] and (place.out / "big.bin").read_bytes() == data_of(9 * MI + 1)
    assert [rank["bytes_written"] for rank in result.report["ranks"]] == [9 * MI + 1] + [0] * (ranks - 1), result


def test_some_folders_are_one(place, bcast):
    """out/3 is a link to out/1: rank 3 hands on what it gets, and nothing is said about it."""
    (place.out / "1").mkdir(parents=True)
    (place.out / "3").symlink_to("1")
    result = bcast(place.file(size=MI), "out/%r", ranks=5)
    assert result.code == 0, result
    assert [rank["bytes_written"] for rank in result.report["ranks"]] == [MI, MI, MI, 0, MI], result
    check_copies(place, 5, {"big.bin": data_of(MI)})


@pytest.mark.parametrize("launch", [SELF, UNDER], ids=repr)
def test_metadata_and_digest(place, bcast, send, launch):
    path = place.file(size=3 * MI, mode=0o640, mtime_ns=10**18 + 1)
    digests = {send(path, "sent").report["digest"]}
    for name in ROUTES:
        result = bcast(*ROUTES[name], path, f"{name}/%r", ranks=3, launch=launch)
        assert result.code == 0 and result.report["name"] == "big.bin", result
        digests.add(result.report["digest"])
        for rank in range(3):
            info = os.stat(place / f"{name}/{rank}/big.bin")
            assert info.st_mtime_ns == 10**18 + 1 and info.st_mode & 0o777 == 0o640, (name, rank)
    assert len(digests) == 1 and digests.pop().startswith("xxh3:")


def test_another_name(place, bcast):
    result = bcast(place.file(size=MI), "out/%h/%%/%r", "--as", "new", ranks=3)
    assert result.code == 0 and result.report["name"] == "new", result
    (folder,) = os.listdir(place.out)
    place.out = place.out / folder / "%"
    check_copies(place, 3, {"new": data_of(MI)})


@pytest.mark.parametrize("piped", [False, True])
def test_files_from(place, bcast, piped):
    files = {name: data_of(100 * KI, ord(name)) for name in "abc"}
    for name, data in files.items():
        place.file(name, data=data)
    (place / "list").write_text("src/b\nsrc/c\n")
    listed = {"stdin": b"src/b\nsrc/c\n"} if piped else {}
    result = bcast("--files-from", "-" if piped else "list", "src/a", "out/%r", ranks=3, **listed)
    assert result.code == 0, result
    check_copies(place, 3, files)


# Not strict: it depends on timing.


@pytest.mark.parametrize("name, size", [("chain", 0), ("two-tree", 0), ("chain", 1),
                                        ("two-tree", 1), ("two-tree", CHUNK), ("chain", 20 * MI + 7), ("two-tree", 20 * MI + 7)])  # fmt: skip
def test_standard_input(place, bcast, size, name):
    result = bcast(*SMALL_CHUNKS, *ROUTES[name], "-", "--as", "piped", "out/%r", ranks=3, stdin=data_of(size))
    assert result.code == 0 and result.report["bytes_moved"] == size, result
    check_copies(place, 3, {"piped": data_of(size)})


# --- what is there already ----------------------------------------------------------------------------------------


@pytest.fixture
def in_place(place, bcast):
    """big.bin in out/0 to out/3; the path of its source."""
    path = place.file(size=2 * MI)
    assert bcast(path, "out/%r", ranks=4).code == 0
    return path


@pytest.mark.parametrize("more", [(), ("--checksum",), ROUTES["two-tree"], ROUTES["ring"]], ids=str)
def test_identical_on_all(place, bcast, in_place, more):
    before = snapshot(place.out)
    result = bcast(*more, in_place, "out/%r", ranks=4)
    assert result.code == 0, result
    assert result.report["bytes_moved"] == 0 and result.report["files"] == 1 and result.report["bytes"] == 2 * MI, result
    assert all(rank["bytes_written"] == 0 for rank in result.report["ranks"]), result
    if "--checksum" not in more:
        assert all(rank["bytes_read"] == 0 for rank in result.report["ranks"]), result
    assert snapshot(place.out) == before


@pytest.mark.parametrize("lacking", [{0}, {1, 3}], ids=str)
def test_only_some_have_it(place, bcast, in_place, lacking, route):
    for rank in lacking:
        os.unlink(place.out / str(rank) / "big.bin")
    before = snapshot(place.out)
    result = bcast(*route, in_place, "out/%r", ranks=4)
    assert result.code == 0 and result.report["bytes_moved"] == 2 * MI, result
    check_copies(place, 4, {"big.bin": data_of(2 * MI)})
    assert [rank["bytes_written"] > 0 for rank in result.report["ranks"]] == [rank in lacking for rank in range(4)], result
    after = snapshot(place.out)
    assert all(after[name] == entry for name, entry in before.items() if name.endswith(b"big.bin"))


@pytest.mark.parametrize("checksum", [False, True])
def test_other_bytes_of_the_same_size_and_time(place, bcast, in_place, checksum):
    target = place.out / "2/big.bin"
    time = os.stat(target).st_mtime_ns
    target.write_bytes(data_of(2 * MI, seed=9))
    os.utime(target, ns=(time, time))
    before = snapshot(place.out)
    result = bcast(*(["--checksum"] if checksum else []), in_place, "out/%r", ranks=4)
    assert result.code == 0 and result.report["bytes_moved"] == (2 * MI if checksum else 0), result
    after = snapshot(place.out)
    changed = [name for name in before if after[name] != before[name] and name.endswith(b"big.bin")]
    assert changed == ([b"2/big.bin"] if checksum else [])
    assert target.read_bytes() == data_of(2 * MI, seed=1 if checksum else 9)


@pytest.mark.parametrize("checksum", [False, True])
def test_same_bytes_of_another_time(place, bcast, in_place, checksum):
    target = place.out / "1/big.bin"
    os.utime(target, ns=(10**18, 10**18))
    inode = os.stat(target).st_ino
    result = bcast(*(["--checksum"] if checksum else []), in_place, "out/%r", ranks=4)
    assert result.code == 0, result
    assert result.report["bytes_moved"] == (0 if checksum else 2 * MI), result
    assert (os.stat(target).st_ino == inode) == checksum
    assert target.read_bytes() == data_of(2 * MI)


def test_existing_files_are_replaced(place, bcast):
    for rank in range(3):
        (place.out / str(rank)).mkdir(parents=True)
        (place.out / str(rank) / "big.bin").write_bytes(data_of(rank * MI, seed=7))
        (place.out / str(rank) / "neighbour").write_bytes(b"old")
    assert bcast(place.file(size=2 * MI), "out/%r", ranks=3).code == 0
    check_copies(place, 3, {"big.bin": data_of(2 * MI), "neighbour": b"old"})


@pytest.mark.parametrize("linked, name", [(False, "chain"), (True, "two-tree"), (False, "ring")])
def test_the_target_of_the_root_is_the_source(place, bcast, linked, name):
    (place.out / "0").mkdir(parents=True)
    source = place.out / "0/big.bin"
    source.write_bytes(data_of(2 * MI))
    if linked:  # the source is named by way of another folder
        (place / "elsewhere").symlink_to("out/0")
    before = os.stat(source)
    result = bcast(*ROUTES[name], "elsewhere/big.bin" if linked else "out/0/big.bin", "out/%r", ranks=3)
    assert result.code == 0, result
    check_copies(place, 3, {"big.bin": data_of(2 * MI)})
    after = os.stat(source)
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (before.st_ino, before.st_mtime_ns, before.st_ctime_ns)
    assert result.report["ranks"][0]["bytes_written"] == 0, result


def test_all_see_the_source_as_the_target(place, bcast):
    path = place.file(size=MI)
    before = snapshot(place.src)
    result = bcast(path, place.src, ranks=3)
    assert result.code == 0 and result.report["bytes_moved"] == 0, result
    assert snapshot(place.src) == before
