"""`argosy send` between hosts of the lab, under this build's MPI."""

import os
import stat

import pytest
from harness import ARGOSY, MI, SYSTEM, data_of, goes_on, leftovers, until

SIZE = 8 * MI + 5


@pytest.fixture
def source(lab):
    path = lab.disk(1) / "src"
    path.mkdir()
    (path / "big.bin").write_bytes(data_of(SIZE))
    os.utime(path / "big.bin", ns=(10**18 + 1, 10**18 + 1))
    return "/scratch/src/big.bin"


def check(lab, result, hosts=("h1", "h2"), goes_on=False):
    assert result.code == 0, result
    target = lab.disk(2) / "out/big.bin"
    assert target.read_bytes() == data_of(SIZE)
    assert target.stat().st_mtime_ns == 10**18 + 1
    assert not (lab.disk(1) / "out").exists() and not (lab.disk(3) / "out").exists()
    assert [rank["host"] for rank in result.report["ranks"]] == list(hosts)
    moved = result.report["ranks"][0]["bytes_read"]
    assert moved == result.report["ranks"][1]["bytes_written"]
    assert moved < SIZE if goes_on else moved == SIZE


@pytest.mark.parametrize("times", range(3))
def test_between_two_hosts(lab, start, source, times):
    check(lab, start("--hosts", "h1,h2", source, "/scratch/out").wait())


def test_by_mpiexec(lab, start, source):
    check(lab, start(source, "/scratch/out", by="2:1").wait())


def test_the_other_way_round(lab, start):
    (lab.disk(2) / "file").write_bytes(data_of(SIZE))
    result = start("--hosts", "h1,h2", "--from", "1", "--to", "0", "/scratch/file", "/scratch/out").wait()
    assert result.code == 0, result
    assert (lab.disk(1) / "out/file").read_bytes() == data_of(SIZE)


def test_two_ranks_on_each_host(lab, start, source):
    result = start("--hosts", "h1:2,h2:2", "-n", "4", "--to", "2", source, "/scratch/out").wait()
    assert result.code == 0, result
    assert [rank["host"] for rank in result.report["ranks"]] == ["h1", "h1", "h2", "h2"]
    assert (lab.disk(2) / "out/big.bin").read_bytes() == data_of(SIZE)


def test_template_names_the_writing_host(lab, start, source):
    assert start("--hosts", "h1,h2", source, "/scratch/%h/%r").wait().code == 0
    assert (lab.disk(2) / "h2/1/big.bin").exists()


def test_hostfile(lab, start, source, tmp_path):
    (tmp_path / "hosts").write_text("h1\nh2 slots=1\n")
    check(lab, start("--hostfile", "hosts", source, "/scratch/out").wait())


def test_relative_paths_start_where_argosy_was_started(lab, start, tmp_path):
    """On every host; this folder is one that all see."""
    (tmp_path / "a").write_bytes(data_of(1000))
    assert start("--hosts", "h1,h2", "a", "sub/out").wait().code == 0
    assert (tmp_path / "sub/out/a").read_bytes() == data_of(1000)


def test_standard_input_goes_to_the_source_rank(lab, start):
    with open("/bin/sh", "rb") as file:
        result = start("--hosts", "h2,h3", "-", "--as", "piped", "/scratch/out", stdin=file).wait()
        assert result.code == 0, result
        file.seek(0)
        assert (lab.disk(3) / "out/piped").read_bytes() == file.read()


def test_errors_name_the_host(lab, start, source):
    result = start("--hosts", "h1,h2", "/scratch/gone", "/scratch/out").wait()
    assert result.code == 3 and result.errors[0]["host"] == "h1", result
    assert len(result.lines) == 1 and "h1" in result.lines[0], result
    (lab.disk(2) / "file").write_text("in the way")
    result = start("--hosts", "h1,h2", source, "/scratch/file").wait()
    assert result.code == 4 and result.errors[0]["host"] == "h2", result


def test_bwlimit(lab, start, source):
    result = start("--hosts", "h1,h2", "--bwlimit", "8Mi", source, "/scratch/out").wait()
    assert result.code == 0 and 0.8 <= result.report["seconds"]["transfer"] <= 3, result


def test_host_that_is_not_there(lab, start, source):
    result = start("--hosts", "h1,h9", source, "/scratch/out", timeout=60).wait()
    assert result.code == SYSTEM, result
    assert len(result.lines) == 1 and "h9" in result.lines[0], result
    assert "Could not resolve hostname" in result.lines[0], result
    assert result.report["exit"] == SYSTEM


def test_host_whose_link_is_down_before_the_start(lab, start, source):
    lab.run("link", "h2", "down")
    result = start("--hosts", "h1,h2", source, "/scratch/out", timeout=60).wait()
    assert result.code == SYSTEM, result
    assert len(result.lines) == 1 and "h2" in result.lines[0] and "No route to host" in result.lines[0], result


def test_host_that_has_no_argosy(lab, start, source, tmp_path):
    """On h2 the program's path shows another, empty folder."""
    (tmp_path / "empty").mkdir()
    shell = tmp_path / "on"
    on = os.path.join(os.path.dirname(os.path.abspath(__file__)), "on")
    shell.write_text(f"""#!/bin/bash
while [[ $1 == -* ]]; do shift; done
host=$1; shift
[[ $host == h2 ]] && exec '{on}' "$host" "mount --bind '{tmp_path}/empty' '{os.path.dirname(ARGOSY)}'; $*"
exec '{on}' "$host" "$@"
""")
    shell.chmod(shell.stat().st_mode | stat.S_IXUSR)
    arguments = lab.launcher_args.replace(on, str(shell))
    result = start("--hosts", "h1,h2", source, "/scratch/out", launcher_args=arguments, timeout=60).wait()
    assert result.code == SYSTEM, result
    assert len(result.lines) == 1 and "h2" in result.lines[0] and ARGOSY in result.lines[0], result


@pytest.mark.parametrize("host", ["h2", "h1"])
def test_link_goes_down_in_the_middle(lab, start, source, host):
    """Nothing moves any more: exit 6 by --stall-timeout, and everything is gone, on the host that is cut off too."""
    job = start("--hosts", "h1,h2", "--bwlimit", "1Mi", "--chunk-size", "256Ki", "--stall-timeout", "5", source, "/scratch/out")
    until(lambda: sum(os.stat(path).st_blocks for path in leftovers(lab.disk(2))) > 0, 30, "data on h2")
    lab.run("link", host, "down")
    result = job.wait(45)
    assert result.code == SYSTEM, result
    assert len(result.lines) == 1 and "rank" in result.lines[0], result
    job.gone(10)
    assert not (lab.disk(2) / "out/big.bin").exists()
    lab.run("link", host, "up")
    check(lab, start("--hosts", "h1,h2", source, "/scratch/out").wait(), goes_on=True)
    assert leftovers(lab.disk(2)) == []


@pytest.mark.parametrize("rank", [0, 1])
def test_rank_killed_in_the_middle(lab, start, source, rank):
    import signal

    job = start("--hosts", "h1,h2", "--bwlimit", "1Mi", "--chunk-size", "256Ki", source, "/scratch/out")
    until(lambda: sum(os.stat(path).st_blocks for path in leftovers(lab.disk(2))) > 0, 30, "data on h2")
    os.kill(job.rank(rank).pid, signal.SIGKILL)
    result = job.wait(30)
    assert result.code == SYSTEM and len(result.lines) == 1, result
    job.gone(5)
    assert not (lab.disk(2) / "out/big.bin").exists()


def test_interrupt_in_the_middle(lab, start, source):
    import signal

    job = start("--hosts", "h1,h2", "--bwlimit", "1Mi", "--chunk-size", "256Ki", source, "/scratch/out")
    until(lambda: sum(os.stat(path).st_blocks for path in leftovers(lab.disk(2))) > 0, 30, "data on h2")
    job.signal(signal.SIGINT)
    result = job.wait(5)
    assert result.code == 130, result
    job.gone(2)
    assert goes_on(lab.disk(2)) and not (lab.disk(2) / "out/big.bin").exists()
