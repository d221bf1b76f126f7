"""`argosy gather --concat` between hosts of the lab: every host's own files on one, at the rate of its card."""

import os

import pytest
from harness import MI, PARTIAL, data_of

LAB = (5, "200mbit")
HOSTS = "h1,h2,h3,h4,h5"
# What TCP leaves of 200 Mbit/s on a wire with frames of 1500 bytes.
GOODPUT = 200e6 / 8 * 0.94


def fill(lab, size, hosts=range(1, 6)):
    for host in hosts:
        folder = lab.disk(host) / "job"
        (folder / "sub").mkdir(parents=True)
        (folder / f"big{host}").write_bytes(data_of(size, host))
        for number in range(200):
            (folder / "sub" / f"{host}-{number}").write_bytes(b"%d" % number * host)
        os.utime(folder, ns=(0, 10**18 + host))


@pytest.mark.parametrize("receiver", [0, 2])
def test_a_folder_for_each_host(lab, start, receiver):
    fill(lab, 3 * MI)
    result = start("--concat", "--hosts", HOSTS, "--to", receiver, "/scratch/job", "/scratch/results/%h", command="gather").wait()
    assert result.code == 0, result
    results = lab.disk(receiver + 1) / "results"
    assert sorted(os.listdir(results)) == HOSTS.split(",")
    for host in range(1, 6):
        assert (results / f"h{host}" / f"big{host}").read_bytes() == data_of(3 * MI, host)
        assert len(os.listdir(results / f"h{host}" / "sub")) == 200
        assert (results / f"h{host}").stat().st_mtime_ns == 10**18 + host
    again = start("--concat", "--hosts", HOSTS, "--to", receiver, "/scratch/job", "/scratch/results/%h", command="gather").wait()
    assert again.code == 0 and again.report["bytes_moved"] == 0, again


def test_the_receivers_card_is_filled(lab, start):
    """Four hosts give to the fifth, which has nothing of its own: the bytes over its card, and little more."""
    size = 24 * MI
    fill(lab, size, range(2, 6))
    (lab.disk(1) / "job").mkdir()
    result = start("--concat", "--hosts", HOSTS, "/scratch/job", "/scratch/results", command="gather").wait()
    assert result.code == 0, result
    limit = 4 * size / GOODPUT
    assert result.report["seconds"]["transfer"] <= 1.25 * limit, result
    print(f"{result.report['seconds']['transfer'] / limit:.3f} x bytes / goodput of the receiver's card")
    assert all(rank["peak_rss"] <= 128 * MI for rank in result.report["ranks"]), result
    for host in range(2, 6):
        assert (lab.disk(1) / "results" / f"big{host}").read_bytes() == data_of(size, host)


def test_hosts_that_fail_are_named(lab, start):
    """One has no DIR, and two have a file of one name."""
    fill(lab, MI, (1, 3, 4, 5))
    for host in (3, 5):
        (lab.disk(host) / "job" / "both").write_bytes(b"%d" % host)
    result = start("--concat", "--hosts", HOSTS, "/scratch/job", "/scratch/results", command="gather").wait()
    assert result.code == PARTIAL and len(result.errors) == 2, result
    lines = "\n".join(result.lines)
    assert "/scratch/job" in lines and "rank 1 on h2" in lines, result
    assert "/scratch/results/both: is on rank 2 on h3 and on rank 4 on h5" in lines, result
    names = set(os.listdir(lab.disk(1) / "results"))
    assert names == {"big1", "big3", "big4", "big5", "sub"}


def test_a_folder_that_all_hosts_see_is_given_once(lab, start, tmp_path):
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "file").write_bytes(data_of(MI))
    result = start("--concat", "--hosts", HOSTS, "seen", "/scratch/results/%h", command="gather").wait()
    assert result.code == 0 and result.report["bytes_moved"] == MI, result
    assert os.listdir(lab.disk(1) / "results") == ["h1"]
