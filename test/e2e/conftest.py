"""Fixtures of the end-to-end tests. Environment: ARGOSY (the program), ARGOSY_MPI (openmpi or mpich), MPIEXEC (that MPI's),
ARGOSY_FAULT_LIBRARY (libfault.so). Without them: build/release. Tests run alone, in any order, and several at once."""

import functools
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import harness  # noqa: E402
from fetching import fetch, httpbin, nginx, origin  # noqa: E402, F401
from harness import SELF, UNDER, Job, environment, faults, free_bytes, leftovers  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "allow_leftovers: the test looks after temporary files by itself")
    if not os.access(harness.ARGOSY, os.X_OK):
        pytest.exit(f"no program at {harness.ARGOSY}: build it first, or set ARGOSY", returncode=2)


def pytest_report_header(config):
    return f"argosy: {harness.ARGOSY} ({harness.MPI}, {harness.MPIEXEC})"


class Place:
    """A test's own folder in memory: src/ with files to send, out/ (not made yet) where they go."""

    def __init__(self, root):
        self.root, self.src, self.out = root, root / "src", root / "out"
        self.src.mkdir()

    def __truediv__(self, name):
        return self.root / name

    def file(self, name="big.bin", size=0, data=None, seed=1, mode=None, mtime_ns=None):
        """Makes src/name; `name` may be bytes. Returns its path as bytes or str, as the name was."""
        path = os.path.join(os.fsencode(self.src) if isinstance(name, bytes) else str(self.src), name)
        with open(path, "wb") as file:
            file.write(harness.data_of(size, seed) if data is None else data)
        if mode is not None:
            os.chmod(path, mode)
        if mtime_ns is not None:
            os.utime(path, ns=(mtime_ns, mtime_ns))
        return path


@pytest.fixture
def place():
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) and free_bytes("/dev/shm") > 1 << 30 else None
    root = tempfile.mkdtemp(prefix="argosy-test-", dir=base)
    yield Place(Path(root))
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def start(request, place):
    """start(*arguments, launch=SELF, ranks=None, fault=[...], env={}, stdin=None, cwd=None): a Job under way. At the end of
    the test no process of it may be left, and no temporary or lock file below the test's folder."""
    jobs = []

    def start(*arguments, launch=SELF, ranks=None, fault=(), env=None, stdin=None, cwd=None, timeout=60, argosy=None,
              mpiexec=harness.MPIEXEC, argv=None, **popen):
        extra = dict(launch.env(), **(env or {}))
        if fault:
            extra.update(faults(*([fault] if isinstance(fault, (dict, str)) else fault)))
        argv = argv or launch.argv(argosy or harness.ARGOSY, ranks, arguments, mpiexec)
        job = Job(argv, environment(extra), stdin, cwd or place.root, timeout, **popen)
        jobs.append(job)
        return job

    yield start
    problems = []
    for job in jobs:
        try:
            if job.running():
                problems.append(f"the test left a job running: {job.argv}")
            else:
                job.gone()
        except AssertionError as problem:
            problems.append(str(problem))
        finally:
            job.end()
    if not request.node.get_closest_marker("allow_leftovers"):
        problems += [f"left behind: {path!r}" for path in leftovers(place.root)]
    assert not problems, problems


@pytest.fixture
def argosy(start):
    """argosy(*arguments, ...): runs to the end, as start; the Result."""

    def run(*arguments, **options):
        return start(*arguments, **options).wait()

    return run


@pytest.fixture
def run(argosy):
    """run(COMMAND, *arguments, ...): as argosy, with `--json --progress none` behind the command; checks the report's exit
    against the program's. `network`: every rank is a node of its own."""

    def run(command, *arguments, network=False, env=None, **options):
        words = [str(word) if isinstance(word, int) else word for word in arguments]
        env = dict(harness.NETWORK if network else {}, **(env or {}))
        result = argosy(command, "--json", "--progress", "none", *words, env=env, **options)
        if result.out.strip() or result.code == 0:
            assert result.report["exit"] == result.code, result
        return result

    return run


@pytest.fixture
def send(run):
    return functools.partial(run, "send")


@pytest.fixture
def bcast(run):
    """As run, every rank a node of its own, or all on one."""
    return lambda *arguments, one_node=False, **options: run("bcast", *arguments, network=not one_node, **options)


@pytest.fixture
def scatter(run):
    return functools.partial(run, "scatter")


@pytest.fixture
def gather(run):
    return functools.partial(run, "gather")


@pytest.fixture(params=[SELF, UNDER], ids=repr)
def launch(request):
    return request.param


@pytest.fixture(scope="session")
def mounts():
    """Skips where a test can't mount."""
    if not harness.can_mount():
        pytest.skip("needs root and the right to mount")


@pytest.fixture(scope="session")
def fault_library():
    if not os.path.exists(harness.FAULT_LIBRARY):
        pytest.fail(f"no {harness.FAULT_LIBRARY}: build the target fault")
