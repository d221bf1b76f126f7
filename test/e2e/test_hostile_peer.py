"""A rank that lies: what its checksum makes believable and no honest rank says is refused with exit 5, and nothing is
written, neither in the destination nor beside it. The fault library forges the messages of rank 0."""

import ctypes
import os
import struct
import subprocess
import sys

import pytest
from harness import CHUNKS, INTEGRITY, KI, MI, NETWORK, PAGE, snapshot

pytestmark = pytest.mark.usefixtures("fault_library")

SYS_OPENAT2 = 437


def without_openat2():
    """In the child: the kernel has no openat2, as old ones and some sandboxes have none."""
    load, equal, give = 0x20, 0x15, 0x06
    allow, no_such_call = 0x7FFF0000, 0x00050000 | 38
    program = b"".join(
        struct.pack("HBBI", *step) for step in ((load, 0, 0, 0), (equal, 0, 1, SYS_OPENAT2), (give, 0, 0, no_such_call), (give, 0, 0, allow))
    )
    steps = ctypes.create_string_buffer(program, len(program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(steps)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.byref(filter_), 0, 0) != 0:
        os._exit(99)


@pytest.fixture(params=["openat2", "by names"])
def kernel(request):
    """Options of a run on a kernel with openat2, and without."""
    return {} if request.param == "openat2" else {"preexec_fn": without_openat2}


def test_the_kernel_without_openat2():
    asked = f"import ctypes; libc = ctypes.CDLL(None, use_errno=True); libc.syscall({SYS_OPENAT2}, -1, 0, 0, 0); print(ctypes.get_errno())"
    for filter_, code in ((None, 14), (without_openat2, 38)):
        answer = subprocess.run([sys.executable, "-c", asked], preexec_fn=filter_, capture_output=True, timeout=20, check=True)
        assert int(answer.stdout) == code or (filter_ is None and int(answer.stdout) in (9, 22, 38)), answer


def forge(was, becomes, **where):
    assert len(was) == len(becomes) and was != becomes
    return {"op": "send", "rank": 0, **where, "forge": f"{was.hex()}:{becomes.hex()}", "times": "all"}


def text(word):
    """As a string travels."""
    return struct.pack("<I", len(word)) + word


def size(number):
    return struct.pack("<Bq", 0, number)  # behind the type of a file


# A file's type, and its size.
SIZE = 1_234_567
LONG = b"a name of twenty-nine letters"
# Of the tree `tt`: what a page has, and what it is made to say.
PAGES = {
    "up": (text(b"tt/file"), text(b"../file")),
    "up from below": (text(b"tt/d/in"), text(b"tt/../n")),
    "absolute": (text(b"tt/file"), text(b"/t/file")),
    "NUL": (text(b"tt/file"), text(b"tt/\0ile")),
    "itself": (text(b"tt/d/in"), text(b"tt/./in")),
    "no name": (text(b"tt/file"), text(b"tt//ile")),
    "a folder at its end": (text(b"tt/file"), text(b"tt/fil/")),
    "the top is up": (text(b"tt") + b"\1", text(b"..") + b"\1"),
    "through a link": (text(b"tt/d/in"), text(b"tt/l/in")),
    "through a file": (text(b"tt/d/in"), text(b"tt/f/in")),
    "through what was never named": (text(b"tt/d/in"), text(b"tt/n/in")),
    "a hard link to above": (bytes(8) + text(b"tt/name"), bytes(8) + text(b"../name")),
    "a hard link to the root": (bytes(8) + text(b"tt/name"), bytes(8) + text(b"/t/name")),
    "a hard link to what was never named": (bytes(8) + text(b"tt/name"), bytes(8) + text(b"nn/name")),
    "a name of argosy's own": (text(b"tt/" + LONG), text(b"tt/.argosy-0123456789abcdef.lock")),
    "a hard link to what has no other name": (size(4) + b"\x08", size(4) + b"\0"),
    "a name twice": (text(b"tt/l") + b"\2", text(b"tt/f") + b"\2"),
    "a link where a folder is": (text(b"tt/l") + b"\2", text(b"tt/d") + b"\2"),
    "a negative size": (size(SIZE), size(-2)),
    "the least size": (size(SIZE), size(-(2**63))),
    "the largest size": (size(SIZE), size(2**63 - 1)),
    "a folder with a size": (text(b"tt/d") + b"\1" + struct.pack("<q", 0), text(b"tt/d") + b"\1" + struct.pack("<q", 5)),
    "an unknown type": (text(b"tt/file") + b"\0", text(b"tt/file") + b"\x63"),
    "many entries": (b"ARGP" + bytes(17), b"ARGP" + bytes(16) + b"\1"),
    "another page": (b"ARGP" + bytes(8), b"ARGP" + b"\5" + bytes(7)),
    "entries from elsewhere": (b"ARGP" + bytes(16), b"ARGP" + bytes(8) + b"\xff" * 8),
    "an absurd length": (text(b"tt/file"), b"\xff\xff\xff\xff" + b"tt/file"),
}


def counted(entries):
    """A page's head, up to its count."""
    return b"ARGP" + bytes(17) + struct.pack("<I", entries)


COUNTS = {"none": 0, "one too few": -1, "one too many": 1, "more than a page has": 1025, "absurd": 2**32 - 1}


def make_tree(place, outside):
    tree = place.src / "tt"
    (tree / "d").mkdir(parents=True)
    (tree / "d" / "in").write_text("inside")
    (tree / "f").write_text("f")
    (tree / os.fsdecode(LONG)).write_text("long")
    (tree / "file").write_bytes(bytes(SIZE))
    (tree / "name").write_text("name")
    os.link(tree / "name", tree / "zz")
    (tree / "l").symlink_to(outside)
    return tree


@pytest.fixture
def outside(place):
    folder = place / "outside"
    folder.mkdir()
    return folder


def refused(place, result, outside):
    assert result.code == INTEGRITY, result
    assert any(error["kind"] == "integrity" for error in result.errors), result
    assert not snapshot(place.out), "something was written"
    assert list(outside.iterdir()) == [] and sorted(path.name for path in place.root.iterdir() if path.name != "out") == ["outside", "src"]


@pytest.mark.parametrize("lie", PAGES)
def test_pages(place, send, outside, kernel, lie):
    make_tree(place, outside)
    result = send("src/tt", "out", env=NETWORK, fault=forge(*PAGES[lie], tag=PAGE), **kernel)
    refused(place, result, outside)


@pytest.mark.parametrize("lie", COUNTS)
def test_counts(place, send, outside, lie):
    tree = make_tree(place, outside)
    entries = 1 + sum(len(folders) + len(files) for _, folders, files in os.walk(tree))
    told = COUNTS[lie] if lie not in ("one too few", "one too many") else entries + COUNTS[lie]
    result = send("src/tt", "out", env=NETWORK, fault=forge(counted(entries), counted(told), tag=PAGE))
    refused(place, result, outside)


def extent(entry, offset, length):
    return struct.pack("<Qqq", entry, offset, length)


LEAF = 256 * KI
SECOND = extent(0, LEAF, LEAF)  # of the second chunk
EXTENTS = {
    "what the first chunk had": (SECOND, extent(0, 0, LEAF)),
    "behind the file": (SECOND, extent(0, 1 << 40, LEAF)),
    "at the end of numbers": (SECOND, extent(0, 2**63 - LEAF, LEAF)),
    "before the file": (SECOND, extent(0, -LEAF, LEAF)),
    "off a leaf": (SECOND, extent(0, LEAF + 1, LEAF)),
    "more than there is": (SECOND, extent(0, LEAF, 2 * LEAF)),
    "less than nothing": (SECOND, extent(0, LEAF, -1)),
    "another file": (SECOND, extent(9, LEAF, LEAF)),
}


@pytest.mark.parametrize("lie", EXTENTS)
@pytest.mark.parametrize("network", [NETWORK])
def test_extents(place, send, outside, lie, network):
    """What was written of the file by then is taken away."""
    place.file(size=2 * MI)
    result = send("src/big.bin", "out", "--chunk-size", "256Ki", env=network, fault=forge(*EXTENTS[lie], tag=CHUNKS))
    refused(place, result, outside)


@pytest.mark.parametrize("lie", ["up", "through a link", "the largest size"])
def test_every_node_refuses(place, bcast, outside, lie):
    make_tree(place, outside)
    result = bcast("src/tt", "out/%r", ranks=3, fault=forge(*PAGES[lie], tag=PAGE))
    assert result.code == INTEGRITY, result
    # The liar's own folder is its own matter.
    assert not [path for path in snapshot(place.out) or {} if path.startswith((b"1/", b"2/"))], "something was written"


@pytest.mark.parametrize("lie", ["behind the file", "another file"])
def test_what_a_giver_lies_about(place, argosy, lie):
    """What has come of a large file by then is no ground to go on from: nothing of it stays at the receiver."""
    (place.src / "0").mkdir()
    place.file("0/big", size=4 * MI)
    told = struct.unpack("<Qqq", EXTENTS[lie][1])
    second = extent(1, 8 * LEAF, LEAF)  # behind the giver's folder itself
    told = extent(told[0] or 1, *told[1:])
    result = argosy("gather", "--concat", "--json", "--progress", "none", "--chunk-size", "256Ki", "--to", "1", "src/%r", "out/%r",
                    ranks=2, env=NETWORK, fault=forge(second, told, tag=CHUNKS))  # fmt: skip
    assert result.code == INTEGRITY, result
    assert not snapshot(place.out), "something was left"


@pytest.mark.parametrize("name", ["tt", "tt/d"])
def test_a_link_in_the_way(place, send, outside, kernel, name):
    """Of an honest rank, but somebody has planted a link where a folder is to be."""
    tree = make_tree(place, outside)
    planted = place.out / name
    planted.parent.mkdir(parents=True)
    planted.symlink_to(outside)
    result = send("src/tt", "out", **kernel)
    assert result.code != 0, result
    assert list(outside.iterdir()) == [] and planted.is_symlink()
    if name == "tt/d":
        assert (place.out / "tt" / "file").read_bytes() == (tree / "file").read_bytes()


def test_without_openat2_all_is_well(place, send, kernel):
    """Deeper than a path may be long, too."""
    folder = place.src / "tt"
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 100, dir_fd=here)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    result = send("src/tt", "out", **kernel)
    assert result.code == 0 and result.report["folders"] == 61 and result.report["files"] == 1, result
