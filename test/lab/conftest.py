"""A lab for the tests of each file of this folder (three hosts, or as its LAB says), in namespaces of its own (sandbox): pytest starts itself again in there.
Where no lab can be made (no root, no iproute2, a container that forbids it) it ends with 77, which CTest calls skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import harness  # noqa: E402
from harness import Job, environment  # noqa: E402


def pytest_configure(config):
    if os.environ.get("ARGOSY_LAB_SANDBOX") == "1":
        return
    if os.environ.get("PYTEST_XDIST_WORKER") or getattr(config.option, "numprocesses", None):
        pytest.exit("the lab's tests run one after another: without -n", returncode=2)
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    done = subprocess.run([str(HERE / "sandbox"), sys.executable, "-m", "pytest", *config.invocation_params.args],
                          env=dict(os.environ, ARGOSY_LAB_SANDBOX="1"), check=False)  # fmt: skip
    if done.returncode == 77:
        print("SKIPPED [all] test/lab: no lab can be made here: see the line above", flush=True)
    sys.stdout.flush()
    os._exit(done.returncode)


class Lab:
    """Hosts h1, h2, ...; disk(1) is h1's /scratch as seen from here."""

    launcher_args = subprocess.run([str(HERE / "launcher-args"), harness.MPI], check=True, capture_output=True, text=True).stdout

    def __init__(self, hosts):
        self.hosts = range(1, hosts + 1)

    @staticmethod
    def run(script, *arguments):
        return subprocess.run([str(HERE / script), *arguments], check=True, capture_output=True, text=True, timeout=60).stdout

    @staticmethod
    def disk(host):
        return Path(f"/run/argosy-lab/disks/h{host}")

    def fresh(self):
        for host in self.hosts:
            self.run("link", f"h{host}", "up")
            subprocess.run(["find", str(self.disk(host)), "-mindepth", "1", "-delete"], check=True)


@pytest.fixture(scope="module")
def standing_lab(request):
    hosts, *rates = getattr(request.module, "LAB", (3, "1gbit"))
    lab = Lab(hosts)
    lab.run("up", str(hosts), *rates)
    yield lab
    lab.run("down")


@pytest.fixture
def lab(standing_lab):
    standing_lab.fresh()
    return standing_lab


@pytest.fixture
def start(lab, tmp_path):
    """start(*arguments, by="self", command="send"): `argosy send --json ARGUMENTS` on the lab, by argosy's own launcher (with --hosts given
    among the arguments) or by="mpiexec" on h1 and h2. No process of it may be left at the end."""
    jobs = []

    def start(*arguments, by="self", timeout=60, cwd=None, launcher_args=None, stdin=None, command="send",
              env=None):
        words = [command, "--json", "--progress", "none", *map(str, arguments)]
        if by == "self":
            argv = [harness.ARGOSY, *words, f"--launcher-args={launcher_args or lab.launcher_args}"]
        else:
            argv = [str(HERE / "mpiexec"), harness.MPI, by, harness.ARGOSY, *words]
        job = Job(argv, environment(env), stdin, cwd or tmp_path, timeout)
        jobs.append(job)
        return job

    yield start
    problems = []
    for job in jobs:
        try:
            job.gone(5)
        except AssertionError as problem:
            problems.append(str(problem))
        finally:
            job.end()
    assert not problems, problems


@pytest.fixture
def run(request, start):
    """run(COMMAND, ...): on the hosts of the test file's HOSTS, or those named, to the end; the Result. Checks the report's
    exit against the program's."""

    def run(command, *arguments, hosts=request.module.HOSTS, **options):
        result = start("--hosts", hosts, *arguments, command=command, **options).wait()
        if result.out.strip():
            assert result.report["exit"] == result.code, result
        return result

    return run
