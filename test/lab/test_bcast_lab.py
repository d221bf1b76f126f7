"""`argosy bcast` between hosts of the lab, under this build's MPI: every host has a disk of its own, and one slow card."""

import errno
import os
import signal

import pytest
from harness import MI, PARTIAL, SYSTEM, data_of, leftovers, mounted, until

LAB = (4, "500mbit", "h3=250mbit")
HOSTS = "h1,h2,h3,h4"
SIZE = 8 * MI + 5
ROUTES = {
    "auto": (),
    "chain": ("--route", "chain"),
    "two-tree": ("--route", "two-tree"),
    "ring": ("--route", "ring", "--source", "shared"),
}


@pytest.fixture
def source(tmp_path):
    """In a folder that all hosts see."""
    path = tmp_path / "big.bin"
    path.write_bytes(data_of(SIZE))
    os.utime(path, ns=(10**18 + 1, 10**18 + 1))
    return path


@pytest.fixture
def bcast(start):
    def run(*arguments, **options):
        result = start(*arguments, command="bcast", **options).wait()
        if result.out.strip():
            assert result.report["exit"] == result.code, result
        return result

    return run


def holders(lab, name="out/big.bin"):
    found = [host for host in lab.hosts if (lab.disk(host) / name).exists()]
    for host in found:
        assert (lab.disk(host) / name).read_bytes() == data_of(SIZE), host
    return found


@pytest.mark.parametrize("route", ROUTES)
def test_to_the_disk_of_every_host(lab, bcast, source, route):
    result = bcast("--hosts", HOSTS, *ROUTES[route], source, "/scratch/out")
    assert result.code == 0, result
    assert holders(lab) == [1, 2, 3, 4]
    assert all((lab.disk(host) / "out/big.bin").stat().st_mtime_ns == 10**18 + 1 for host in lab.hosts)
    report = result.report
    assert [rank["host"] for rank in report["ranks"]] == HOSTS.split(",")
    assert [rank["bytes_written"] for rank in report["ranks"]] == [SIZE] * 4 and report["bytes_moved"] == SIZE, result
    if route == "ring":
        assert all(0 < rank["bytes_read"] <= SIZE / 4 + report["chunk_size"] for rank in report["ranks"]), result
    assert sum(rank["bytes_read"] for rank in report["ranks"]) == SIZE, result
    again = bcast("--hosts", HOSTS, *ROUTES[route], source, "/scratch/out")
    assert again.code == 0 and again.report["bytes_moved"] == 0, again


@pytest.mark.parametrize("route", ["auto", "two-tree"])
def test_uneven_ranks(lab, bcast, source, route):
    """One copy a node without %r: its leader's. Only leaders hand on to other hosts."""
    result = bcast("--hosts", "h1:2,h2:1,h3:3", *ROUTES[route], source, "/scratch/out")
    assert result.code == 0 and holders(lab) == [1, 2, 3], result
    report = result.report
    assert [rank["host"] for rank in report["ranks"]] == ["h1", "h1", "h2", "h3", "h3", "h3"]
    assert [rank["bytes_written"] for rank in report["ranks"]] == [SIZE, 0, SIZE, SIZE, 0, 0], result
    assert {link["to"] for rank in report["ranks"] for link in rank["links"]} <= {0, 2, 3}, result


@pytest.mark.parametrize("route", ["chain", "two-tree", "ring"])
def test_a_copy_for_every_rank(lab, bcast, source, route):
    """Handed over inside the node: each host gets the data over the network once."""
    before = [received(lab, host) for host in lab.hosts]
    result = bcast("--hosts", "h1:2,h2:1,h3:3", "--memory", "8Mi", *ROUTES[route], source, "/scratch/%r")
    assert result.code == 0, result
    for rank, host in enumerate((1, 1, 2, 3, 3, 3)):
        assert (lab.disk(host) / f"{rank}/big.bin").read_bytes() == data_of(SIZE), rank
    assert [sorted(os.listdir(lab.disk(host))) for host in lab.hosts] == [["0", "1"], ["2"], ["3", "4", "5"], []]
    came = [received(lab, host) - first for host, first in zip(lab.hosts, before)]
    assert all(came[host - 1] < 1.3 * SIZE for host in (1, 2, 3)), came
    assert all(came[host - 1] > 0.6 * SIZE for host in (2, 3)), came


def received(lab, host):
    """Bytes that the host's card has taken in so far: sent by its other end."""
    with open("/proc/net/dev", encoding="ascii") as file:
        line = next(line for line in file if line.split(":")[0].strip() == f"argosy-h{host}")
    return int(line.split(":")[1].split()[8])


def test_one_copy_inside_a_node_fails(lab, bcast, source):
    (lab.disk(3) / "4").write_text("in the way")
    result = bcast("--hosts", "h1:2,h2:1,h3:3", source, "/scratch/%r")
    assert result.code == PARTIAL and [(e["rank"], e["host"]) for e in result.errors] == [(4, "h3")], result
    for rank, host in enumerate((1, 1, 2, 3, None, 3)):
        assert host is None or (lab.disk(host) / f"{rank}/big.bin").read_bytes() == data_of(SIZE), rank


def test_by_mpiexec(lab, bcast, source):
    assert bcast(source, "/scratch/out", by="4:2").code == 0
    assert holders(lab) == [1, 2, 3, 4]


@pytest.mark.parametrize("host, route", [(1, "chain"), (2, "two-tree"), (2, "ring"), (4, "chain")])
def test_a_full_disk(lab, bcast, source, host, route):
    with mounted(lab.disk(host), "-t", "tmpfs", "-o", "size=4m", "argosy-test"):
        result = bcast("--hosts", HOSTS, *ROUTES[route], source, "/scratch/out")
        assert result.code == PARTIAL, result
        assert [other for other in lab.hosts if other != host] == holders(lab)
        assert [(error["kind"], error["host"], error["errno"]) for error in result.errors] == [
            ("destination", f"h{host}", errno.ENOSPC)
        ], result
        assert len(result.lines) == 1 and f"h{host}" in result.lines[0], result
        assert not (lab.disk(host) / "out").exists() and leftovers(lab.disk(host)) == []


def test_a_disk_fills_up_in_the_middle(lab, bcast, source):
    """Standard input has no size to check beforehand."""
    with mounted(lab.disk(2), "-t", "tmpfs", "-o", "size=4m", "argosy-test"), open(source, "rb") as file:
        result = bcast("--hosts", HOSTS, "-", "--as", "big.bin", "/scratch/out", stdin=file)
        assert result.code == PARTIAL and holders(lab) == [1, 3, 4], result
        assert [(error["host"], error["errno"]) for error in result.errors] == [("h2", errno.ENOSPC)], result
        assert not (lab.disk(2) / "out").exists() and leftovers(lab.disk(2)) == []


def test_a_source_that_only_the_root_has(lab, bcast):
    (lab.disk(1) / "out").mkdir()
    (lab.disk(1) / "out/big.bin").write_bytes(data_of(SIZE))
    before = (lab.disk(1) / "out/big.bin").stat()
    result = bcast("--hosts", HOSTS, "/scratch/out/big.bin", "/scratch/out")
    assert result.code == 0 and holders(lab) == [1, 2, 3, 4], result
    assert (lab.disk(1) / "out/big.bin").stat().st_ino == before.st_ino


def test_a_source_that_not_all_share(lab, bcast):
    """--source shared, but h2 doesn't have it: never a wrong file, and h2 is named."""
    for host in (1, 3, 4):
        (lab.disk(host) / "big.bin").write_bytes(data_of(SIZE))
        os.utime(lab.disk(host) / "big.bin", ns=(10**18, 10**18))
    result = bcast("--hosts", HOSTS, *ROUTES["ring"], "/scratch/big.bin", "/scratch/out")
    assert result.code in (PARTIAL, 3) and holders(lab) == [], result
    assert "h2" in {error["host"] for error in result.errors}, result


def test_a_host_that_is_not_there(lab, bcast, source):
    result = bcast("--hosts", "h1,h2,h9", source, "/scratch/out")
    assert result.code == SYSTEM and len(result.lines) == 1 and "h9" in result.lines[0], result
    assert holders(lab) == []


def test_a_host_whose_link_is_down(lab, bcast, source):
    lab.run("link", "h4", "down")
    result = bcast("--hosts", HOSTS, source, "/scratch/out")
    assert result.code == SYSTEM and len(result.lines) == 1 and "h4" in result.lines[0], result
    assert holders(lab) == []


@pytest.mark.parametrize("hosts", [HOSTS, "h1,h2,h4,h3", "h3,h1,h2,h4"])
def test_the_slow_card_is_named(lab, bcast, tmp_path, hosts):
    """h3's card has half the others' rate."""
    path = tmp_path / "large.bin"
    path.write_bytes(data_of(48 * MI))
    result = bcast("--hosts", hosts, "--route", "chain", path, "/scratch/out")
    assert result.code == 0, result
    assert result.report["seconds"]["transfer"] >= 48 * MI * 8 / 250e6 * 0.9, "the card is as slow as it says"
    assert result.report["limited_by"].startswith(f"network {'out of' if hosts[:2] == 'h3' else 'into'} h3 ("), result


def test_killed_rank_and_interrupt(lab, start, source):
    for number, code in ((signal.SIGKILL, SYSTEM), (signal.SIGINT, 130)):
        lab.fresh()  # a killed run leaves temporary files
        job = start("--hosts", HOSTS, "--bwlimit", "1Mi", "--memory", "4Mi", source, "/scratch/out", command="bcast")
        until(lambda: sum(os.stat(path).st_blocks for path in leftovers(lab.disk(4))) > 0, 30, "data on h4")
        job.signal(number, job.rank(2).pid if number == signal.SIGKILL else None)
        result = job.wait(20)
        assert result.code == code, result
        job.gone(5)
        assert holders(lab) in ([], [1]), "the root's own copy needs no network, and may be whole"
