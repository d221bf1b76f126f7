"""argosy starts its own job: from anywhere, as anybody, with any environment; and says what is wrong in one line."""

import os
import stat
import subprocess

import pytest
from harness import ARGOSY, MI, MPI, SYSTEM, data_of, snapshot


def test_without_any_environment(place, argosy):
    path = place.file(size=MI)
    result = argosy(argv=["env", "-i", ARGOSY, "send", path, str(place.out)])
    # env -i takes the token away as well, so the end of the processes is waited for through the exit
    assert result.code == 0, result
    assert (place.out / "big.bin").read_bytes() == data_of(MI)


@pytest.mark.parametrize("changed", [{"PATH": "/nonexistent"}, {"HOME": "/nonexistent"}, {"LANG": "tr_TR.UTF-8"},
                                     {"TMPDIR": "/nonexistent"}, {"DISPLAY": ":99"}], ids=str)  # fmt: skip
def test_odd_environments(place, argosy, changed):
    if "TMPDIR" in changed and MPI == "openmpi":
        pytest.skip("Open MPI needs its TMPDIR")
    result = argosy("send", place.file(size=10), "out", env=changed)
    assert result.code == 0, result


@pytest.mark.parametrize("how", ["relative", "symlink", "path", "odd name"])
def test_wherever_the_program_is(place, argosy, how):
    path, env = place.file(size=10), {}
    if how == "relative":
        program = os.path.relpath(ARGOSY, place.root)
    elif how == "symlink":
        (place / "link").symlink_to(ARGOSY)
        program = "./link"
    elif how == "path":
        program, env = "argosy", {"PATH": f"{os.path.dirname(ARGOSY)}:/usr/bin:/bin"}
    else:
        odd = place / "with space 'and quote"
        odd.mkdir()
        program = odd / "argosy"
        program.symlink_to(ARGOSY)
    result = argosy(argv=["sh", "-c", 'exec "$0" "$@"', str(program), "send", path, "out"], env=env)
    assert result.code == 0, result
    assert (place.out / "big.bin").read_bytes() == data_of(10)


def test_words_that_launchers_take_for_their_own(place, send):
    """":" parts programs for both MPIs, "-n" is theirs too."""
    for name in (":", "-n", "-np", "--host", "{}", "%q", "$(id)"):
        place.file(name, data=name.encode())
    result = send("--", ":", "-n", "-np", "--host", "{}", "%q", "$(id)", "../out", cwd=place.src)
    assert result.code == 0, result
    assert sorted(os.listdir(place.out)) == sorted([":", "-n", "-np", "--host", "{}", "%q", "$(id)"])


def test_a_very_long_command_line(place, send):
    names = [f"{number:04}-{'x' * 100}" for number in range(2000)]
    for name in names:
        place.file(name, data=name.encode())
    result = send(*(f"src/{name}" for name in names), "out")
    assert result.code == 0, result
    assert len(os.listdir(place.out)) == 2000


def test_the_users_own_mpi_settings_reach_the_job(place, send):
    extra = "--mca mpi_show_mca_params none" if MPI == "openmpi" else "-genv ARGOSY_NOTHING 'a b'"
    assert send(place.file(size=10), "out", f"--launcher-args={extra}").code == 0


@pytest.mark.parametrize("extra", ["'unclosed", '"unclosed'])
def test_launcher_args_that_no_shell_would_split(place, argosy, extra):
    assert argosy("send", place.file(size=10), "out", f"--launcher-args={extra}").code == 2


def test_launcher_that_refuses_its_arguments(place, argosy):
    result = argosy("send", place.file(size=10), "out", "--launcher-args=--no-such-option-of-mpiexec", timeout=20)
    assert result.code in (2, SYSTEM), result
    assert result.lines and snapshot(place.out) is None, result


def remote_shell(place, text):
    script = place / "remote-shell"
    script.write_text("#!/bin/sh\n" + text)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return f"--mca plm_rsh_agent {script}" if MPI == "openmpi" else f"-launcher ssh -launcher-exec {script}"


def test_host_that_can_not_be_reached(place, argosy):
    """Named in one line, with what the remote shell said."""
    shell = remote_shell(place, 'echo "ssh: connect to host nohost port 22: No route to host" >&2\nexit 255\n')
    result = argosy("send", "--hosts", "nohost", "-n", "2", place.file(size=10), "out", f"--launcher-args={shell}", timeout=40)
    assert result.code == SYSTEM, result
    assert len(result.lines) == 1, result
    assert "nohost" in result.lines[0] and "No route to host" in result.lines[0], result
    assert snapshot(place.out) is None


def test_host_whose_shell_hangs(place, argosy):
    shell = remote_shell(place, "exec sleep 600\n")
    result = argosy("send", "--hosts", "nohost", "-n", "2", "--stall-timeout", "3", place.file(size=10), "out",
                    f"--launcher-args={shell}", timeout=60)  # fmt: skip
    assert result.code == SYSTEM, result
    assert len(result.lines) == 1 and "nohost" in result.lines[0], result


def test_host_that_has_no_argosy(place, argosy):
    shell = remote_shell(place, f'echo "sh: 1: {ARGOSY}: not found" >&2\nexit 127\n')
    result = argosy("send", "--hosts", "nohost", place.file(size=10), "out", f"--launcher-args={shell}", timeout=40)
    assert result.code == SYSTEM, result
    assert len(result.lines) == 1 and "nohost" in result.lines[0] and "not found" in result.lines[0], result


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_as_another_user(place, start):
    """Not only root, and not only the owner of the files."""
    if subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "test", "-x", ARGOSY], capture_output=True).returncode:
        pytest.skip("nobody may not run this build")
    place.file(size=MI, mode=0o644)
    place.root.chmod(0o777)
    job = start(argv=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ARGOSY, "send", "src/big.bin", "out"])
    result = job.wait()
    assert result.code == 0, result
    assert (place.out / "big.bin").stat().st_uid == 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_permissions_of_another_user(place, argosy):
    if subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "test", "-x", ARGOSY], capture_output=True).returncode:
        pytest.skip("nobody may not run this build")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ARGOSY, "send", "--progress", "none"]
    place.root.chmod(0o777)
    place.file("secret", size=10, mode=0o600)
    result = argosy(argv=[*nobody, "src/secret", "out"])
    assert result.code == 3 and "Permission denied" in result.text, result
    place.file("open", size=10, mode=0o644)
    (place / "closed").mkdir(mode=0o755)
    result = argosy(argv=[*nobody, "src/open", "closed"])
    assert result.code == 4 and "Permission denied" in result.text, result
    assert os.listdir(place / "closed") == []


def test_stdout_that_nobody_reads(place, argosy):
    """A closed pipe behind it must not leave a job running."""
    place.file(size=MI)
    result = argosy(argv=["sh", "-c", f'"{ARGOSY}" send --json src/big.bin out | true'])
    assert result.code == 0, result
    assert (place.out / "big.bin").read_bytes() == data_of(MI)


def test_many_at_once(place, start):
    """Runs beside each other on one machine don't meet."""
    path = place.file(size=2 * MI)
    jobs = [start("send", path, f"out{number}", timeout=120) for number in range(4)]
    for job in jobs:
        assert job.wait().code == 0
    for number in range(4):
        assert (place / f"out{number}/big.bin").read_bytes() == data_of(2 * MI)
