"""What one sees: the result line, the JSON document, --quiet, --verbose, progress, --help and --version."""

import json
import os
import pty
import re
import select
import statistics
import subprocess
import time

import pytest
from harness import ARGOSY, HOST, MI, MPI, SHORT_HOST, SOURCE, UNDER, environment, snapshot

KEYS = {
    "command": str, "exit": int, "files": int, "bytes": int, "bytes_moved": int, "seconds": dict, "ranks": list, "errors": list,
}  # fmt: skip
SECONDS = ("start", "scan", "transfer", "commit", "total")
RANK = {"rank": int, "host": str, "bytes_read": int, "bytes_written": int, "peak_rss": int}
ERROR = {"kind": str, "path": str, "rank": int, "host": str, "errno": int, "message": str}


def check_document(report):
    for key, kind in KEYS.items():
        assert type(report[key]) is kind, (key, report)
    for key in SECONDS:
        assert isinstance(report["seconds"][key], (int, float)) and report["seconds"][key] >= 0, (key, report)
    assert report["seconds"]["total"] >= report["seconds"]["transfer"] + report["seconds"]["commit"], report
    for rank in report["ranks"]:
        for key, kind in RANK.items():
            assert type(rank[key]) is kind, (key, report)
    for error in report["errors"]:
        for key, kind in ERROR.items():
            assert type(error[key]) is kind, (key, report)
        assert error["message"] and "\n" not in error["message"], report


def test_json_of_a_success(place, argosy, launch):
    result = argosy("send", "--json", place.file(size=2 * MI), "out", launch=launch)
    assert result.code == 0, result
    report = result.report
    check_document(report)
    assert report["command"] == "send" and report["exit"] == 0 and report["errors"] == []
    assert report["files"] == 1 and report["bytes"] == report["bytes_moved"] == 2 * MI
    assert re.fullmatch(r"xxh3:[0-9a-f]{32}", report["digest"]), report
    assert [rank["rank"] for rank in report["ranks"]] == [0, 1]
    assert all(rank["host"] in (HOST, SHORT_HOST) and rank["peak_rss"] > MI for rank in report["ranks"])
    assert report["seconds"]["total"] <= result.seconds


@pytest.mark.parametrize("failure", ["missing", "folder in the way", "one of two", "too few ranks"])
def test_json_after_failures(place, argosy, launch, failure):
    place.file("a", size=10)
    sources, ranks = ["src/a"], None
    if failure == "missing":
        sources = ["src/gone"]
    elif failure == "folder in the way":
        (place.out / "a").mkdir(parents=True)
    elif failure == "one of two":
        sources.append("src/gone")
    else:
        ranks = 1
    result = argosy("send", "--json", *sources, "out", launch=launch, ranks=ranks)
    assert result.code != 0
    if failure == "too few ranks" and not result.out.strip():
        return  # told on the command line's own level, before there was a job
    check_document(result.report)
    assert result.report["exit"] == result.code and len(result.errors) >= 1, result


def test_json_is_utf8_whatever_the_name(place, argosy):
    for name in (b"\xff\xfe", "ü".encode(), b"quote\"back\\slash", b"ctrl\x01\x1b"):
        result = argosy("send", "--json", place.file(name, data=b"x"), "out")
        json.loads(result.out.decode("utf-8"))


def test_json_with_the_option_before_the_command(place, argosy):
    check_document(argosy("--json", "send", place.file(size=1), "out").report)


def test_result_line(place, argosy, launch):
    """One line on stdout: name, size, time, rate, digest."""
    result = argosy("send", "--progress", "none", place.file(size=2 * MI), "out", launch=launch)
    assert result.code == 0, result
    lines = result.out.decode().splitlines()
    assert len(lines) == 1, result
    assert "big.bin" in lines[0] and re.search(r"xxh3:[0-9a-f]{32}", lines[0]), result
    assert re.search(r"\d ?(s|ms)\b", lines[0]) and "/s" in lines[0] and re.search(r"\d ?[KMG]?i?B\b", lines[0]), result
    assert result.err == b"", result


def test_result_line_of_several(place, argosy):
    result = argosy("send", place.file("a", size=10), place.file("b", size=10), "out")
    lines = result.out.decode().splitlines()
    assert len(lines) == 1 and "2" in lines[0], result


def test_result_line_escapes_the_name(place, argosy):
    result = argosy("send", place.file(b"a\n\x1b[31mb\xff", data=b"x"), "out")
    assert result.code == 0 and len(result.out.splitlines()) == 1 and b"\x1b" not in result.out, result
    result.out.decode("utf-8")


def test_line_and_document_agree_on_the_digest(place, argosy):
    path = place.file(size=MI)
    line = argosy("send", path, "out").out.decode()
    assert argosy("send", "--json", path, "out").report["digest"] in line


def test_nothing_on_stdout_after_a_failure(place, argosy, launch):
    result = argosy("send", "src/gone", "out", launch=launch)
    assert result.code == SOURCE and "xxh3" not in result.out.decode(), result


def test_quiet(place, argosy, launch):
    result = argosy("send", "--quiet", place.file(size=2 * MI), "out", launch=launch)
    assert (result.code, result.out, result.err) == (0, b"", b""), result


def test_quiet_still_tells_of_failures(place, argosy, launch):
    result = argosy("send", "--quiet", "src/gone", "out", launch=launch)
    assert result.code == SOURCE and len(result.lines) == 1 and "gone" in result.lines[0], result


def test_quiet_json(place, argosy):
    check_document(argosy("send", "--quiet", "--json", place.file(size=10), "out").report)


def test_verbose_says_more_on_stderr_only(place, argosy, launch):
    result = argosy("send", "--verbose", "--json", place.file(size=2 * MI), "out", launch=launch)
    assert result.code == 0 and result.err.strip(), result
    check_document(result.report)


def test_short_run_without_terminal_needs_no_progress(place, argosy):
    assert argosy("send", place.file(size=10), "out").err == b""


def test_progress_plain(place, argosy, launch):
    """A line every few seconds, and no control characters."""
    result = argosy("send", "--progress", "plain", "--bwlimit", "1500K", place.file(size=9 * MI), "out", launch=launch)
    assert result.code == 0, result
    lines = result.text.splitlines()
    assert 1 <= len(lines) <= 8 and b"\r" not in result.err and b"\x1b" not in result.err, result
    assert any(re.search(r"\d ?([KMG]i?)?B", line) for line in lines), result


def test_progress_none(place, argosy, launch):
    result = argosy("send", "--progress", "none", "--bwlimit", "3M", place.file(size=6 * MI), "out", launch=launch)
    assert (result.code, result.err) == (0, b""), result


def on_a_terminal(arguments, place, keys=None, columns=100):
    """Runs argosy with stderr on a pseudo-terminal; what it drew, its stdout and its code."""
    main, other = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    popen = subprocess.Popen([ARGOSY, *arguments], cwd=place.root, env=environment({"TERM": "xterm"}), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=other, start_new_session=True)  # fmt: skip
    os.close(other)
    drawn, end = b"", time.monotonic() + 30
    while time.monotonic() < end:
        if select.select([main], [], [], 0.1)[0]:
            try:
                drawn += os.read(main, 65536)
            except OSError:
                break
        elif popen.poll() is not None:
            break
    out = popen.stdout.read()
    os.close(main)
    return drawn, out, popen.wait(10)


def test_progress_bar_on_a_terminal(place):
    """Bytes, rate and time left, drawn over itself, and not wider than the terminal."""
    path = place.file(size=6 * MI)
    drawn, out, code = on_a_terminal(["send", "--bwlimit", "4M", path, "out"], place, columns=60)
    assert code == 0 and b"xxh3:" in out
    assert b"\r" in drawn and b"/s" in drawn and b"%" in drawn, drawn
    for frame in re.split(rb"[\r\n]", re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", drawn)):
        assert len(frame.decode("utf-8")) <= 60, frame


def test_no_bar_where_none_is_wanted(place):
    drawn, out, code = on_a_terminal(["send", "--progress", "none", place.file(size=MI), "out"], place)
    assert code == 0 and drawn == b"" and b"xxh3:" in out


def test_failure_line_is_not_drawn_over(place):
    drawn, _, code = on_a_terminal(["send", "src/gone", "out"], place)
    assert code == SOURCE
    last = drawn.replace(b"\r\n", b"\n").strip().split(b"\n")[-1]
    assert b"gone" in last and b"\r" not in re.sub(rb"^.*\r(\x1b\[K)?", b"", last), drawn


def test_bar_when_asked_for_without_terminal(place, argosy):
    result = argosy("send", "--progress", "bar", "--bwlimit", "4M", place.file(size=4 * MI), "out")
    assert result.code == 0 and b"\r" in result.err, result


# --- questions about the program itself -----------------------------------------------------------------------------

QUESTIONS = [["--help"], ["send", "--help"], ["--version"]]


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_questions(argosy, words):
    result = argosy(*words)
    assert result.code == 0 and result.err == b"" and result.out.strip(), result
    if words == ["--version"]:
        assert re.search(r"\d+\.\d+\.\d+", result.out.decode()), result
        name = {"openmpi": "Open MPI", "mpich": "MPICH"}[MPI]
        assert re.search(name + r"\D*\d+\.\d+", result.out.decode()), result
    elif words == ["--help"]:
        assert "send" in result.out.decode(), result
    else:
        for option in ("--from", "--to", "--as", "--files-from", "--json", "--bwlimit", "--memory", "--hosts"):
            assert option in result.out.decode(), option


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_questions_are_answered_at_once(words):
    """They start no MPI; under 50 ms (the best of many: the machine may be busy), and no process is started."""
    times = []
    for _ in range(15):
        began = time.perf_counter()
        subprocess.run([ARGOSY, *words], check=True, capture_output=True, env=environment(), timeout=10)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.050, times
    assert statistics.median(times) < 0.200, times


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_questions_under_mpiexec(argosy, words):
    result = argosy(*words, launch=UNDER, timeout=20)
    assert result.code == 0 and result.out.strip(), result


def test_help_wins_over_missing_arguments(argosy):
    assert argosy("send", "--help", "a").code == 0


def test_nothing_is_made_by_questions(place, argosy):
    argosy("send", "--help", "src", "out")
    assert snapshot(place.out) is None
