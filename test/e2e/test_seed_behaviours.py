"""What the first systems of this kind had, by name: size first, tags, end signal, -1 for a missing file, byte count at the
end. Seen in the messages themselves: tags and layouts as in doc/wire_format.md."""

import os
import struct

import pytest
from harness import ANSWER, CHUNK, KI, MI, PAGE, RECEIPT, SECOND_LANE, SELF, SELF_NETWORK, SOURCE, data_of

pytestmark = pytest.mark.usefixtures("fault_library")


def messages(log):
    """(from, bytes, tag, to, first bytes) of every message sent, each sender's in order."""
    found = []
    for line in log.read_text().splitlines():
        rank, op, size, tag, to, start = (line.split(" ") + [""])[:6]
        assert op == "send"
        found.append((int(rank), int(size), int(tag), int(to), bytes.fromhex(start)))
    return found


@pytest.fixture(params=[SELF, SELF_NETWORK], ids=repr)
def watched(request, place, send):
    def run(*arguments):
        log = place / "log"
        result = send(*arguments, launch=request.param,
                      fault={"op": "send", "times": "all", "log": log, "dump": 2000})  # fmt: skip
        return result, messages(log)

    return run


def test_size_first(place, watched):
    """Name, size, mode and times travel before the first byte of data."""
    size = 3 * MI + 12345
    path = place.file("the-name.bin", size=size, mode=0o640, mtime_ns=1_234_567_890_987_654_321)
    result, seen = watched(path, "out", "--chunk-size", "1Mi")
    assert result.code == 0, result
    sent = [message for message in seen if message[0] == 0]
    first_page = next(i for i, message in enumerate(sent) if message[2] == PAGE)
    first_chunk = next(i for i, message in enumerate(sent) if message[2] in (CHUNK, SECOND_LANE))
    assert first_page < first_chunk, sent
    page = sent[first_page][4]
    assert b"the-name.bin" in page
    assert struct.pack("<q", size) in page
    assert struct.pack("<q", 1_234_567_890) in page and struct.pack("<i", 987_654_321) in page
    assert struct.pack("<I", 0o640) in page


def test_tags(place, watched):
    """A tag for each kind of message: metadata, answer, data, receipt."""
    result, seen = watched(place.file(size=3 * MI), "out", "--chunk-size", "1Mi")
    assert result.code == 0, result
    assert {tag for rank, _, tag, _, _ in seen if rank == 0} >= {PAGE, CHUNK}
    assert {tag for rank, _, tag, _, _ in seen if rank == 1} >= {ANSWER, RECEIPT}
    assert all(to == 1 - rank for rank, _, _, to, _ in seen)


@pytest.mark.parametrize("size", [0, 1, 3 * MI])
def test_end_signal(place, watched, size):
    """The stream ends with an explicit message, the last of its tag; no length and no silence stands for it."""
    result, seen = watched(place.file(size=size), "out", "--chunk-size", "1Mi")
    assert result.code == 0, result
    chunks = [message for message in seen if message[2] in (CHUNK, SECOND_LANE)]
    assert len(chunks) >= 1, "even an empty file has its end told"


def test_minus_one_for_a_missing_file(place, watched):
    result, seen = watched("src/gone", "out")
    assert result.code == SOURCE, result
    page = next(message for message in seen if message[2] == PAGE)[4]
    assert b"gone" in page and struct.pack("<q", -1) in page, "the receiver is told by size -1"


def test_no_other_negative_size(place, watched):
    os.mkfifo(place.src / "fifo")
    result, seen = watched("src/fifo", "out")
    assert result.code == SOURCE, result
    page = next(message for message in seen if message[2] == PAGE)[4]
    assert struct.pack("<q", -1) not in page, "it is there, but it is no file"


@pytest.mark.parametrize("size", [0, 1, 256 * KI + 1, 3 * MI + 1])
def test_byte_count_at_the_end(place, watched, size):
    """The receiver compares what it got with what it was told, answers, and the report names both counts."""
    result, seen = watched(place.file(size=size), "out", "--chunk-size", "1Mi")
    assert result.code == 0, result
    ranks = result.report["ranks"]
    assert ranks[0]["bytes_read"] == ranks[1]["bytes_written"] == result.report["bytes"] == size
    assert [message for message in seen if message[0] == 1 and message[2] == RECEIPT], "the receiver answered"
    assert (place.out / "big.bin").read_bytes() == data_of(size)


def test_sender_waits_for_the_commit(place, start):
    """It exits 0 only when the receiver has committed."""
    from harness import until

    place.file(size=MI)
    go, reached = place / "go", place / "reached"
    job = start("send", "src/big.bin", "out",
                fault={"op": "rename", "rank": 1, "path": "/out/big.bin", "mark": reached, "wait": go})  # fmt: skip
    until(reached.exists, what="the commit")
    assert job.running() and len([p for p in job.processes() if p.rank == 0]) == 1
    go.touch()
    assert job.wait().code == 0
    assert (place.out / "big.bin").read_bytes() == data_of(MI)
