"""What the end-to-end tests share: starting argosy, faults, and finding what a run has left behind.

Every run carries a token in its environment. All that it starts inherits it, so its processes can be found in /proc
whatever session or group they are in, and none of another test's.
"""

import base64
import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

KI, MI = 1024, 1024 * 1024
ROOT = Path(__file__).resolve().parents[2]
ARGOSY = os.environ.get("ARGOSY") or str(ROOT / "build/release/argosy")
MPI = os.environ.get("ARGOSY_MPI") or ("mpich" if "mpich" in ARGOSY else "openmpi")
OTHER_MPI = {"openmpi": "mpich", "mpich": "openmpi"}[MPI]
MPIEXEC = os.environ.get("MPIEXEC") or f"/usr/bin/mpiexec.{MPI}"
FAULT_LIBRARY = os.environ.get("ARGOSY_FAULT_LIBRARY") or str(Path(ARGOSY).parent / "test/libfault.so")
HOST = socket.gethostname()
SHORT_HOST = HOST.split(".")[0]

USAGE, SOURCE, DESTINATION, INTEGRITY, SYSTEM, PARTIAL = 2, 3, 4, 5, 6, 1
# The tags of doc/wire_format.md, from where the program has them, so that they can't drift apart.
_TAGS = re.search(r"enum class Tag : int \{\s*kPage = 1,([^}]*)\}", (ROOT / "src/core/transport.h").read_text())
TAGS = {name.strip(): number for number, name in enumerate(("kPage," + _TAGS.group(1).rstrip(", \n")).split(","), 1)}
PAGE, ANSWER, CHUNK, SECOND_LANE = (TAGS[name] for name in ("kPage", "kAnswer", "kChunk", "kSecondLane"))
RELEASE, RECEIPT, STATUS, REPLY = (TAGS[name] for name in ("kRelease", "kReceipt", "kStatus", "kReply"))
CHUNKS = f"{CHUNK}-{SECOND_LANE}"

NETWORK = {"ARGOSY_RANKS_A_NODE": "1"}  # every rank a node of its own: payload travels in messages

# What a launcher needs on one machine, as root, with few cores. Argosy's own launcher has to know it by itself.
UNDER_MPIEXEC = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}
FOREIGN = ("OMPI_", "PMI_", "PMIX_", "SLURM_", "HYDRA_", "MPIR_", "ARGOSY", "MPICH_", "MPIEXEC", "LD_PRELOAD")


def environment(extra=None):
    env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    env.update(extra or {})
    return env


def until(condition, seconds=10.0, what="the condition"):
    """Polls until condition() is true, and returns what it said; fails after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.005)


# --- processes -----------------------------------------------------------------------------------------------------


class Process:
    def __init__(self, pid, environ, cmdline, state):
        self.pid, self.state = pid, state
        self.argv = [word.decode("utf-8", "surrogateescape") for word in cmdline.split(b"\0")[:-1]]
        names = dict(part.split(b"=", 1) for part in environ.split(b"\0") if b"=" in part)
        rank = names.get(b"OMPI_COMM_WORLD_RANK") or names.get(b"PMI_RANK")
        is_argosy = bool(self.argv) and os.path.basename(self.argv[0]) == "argosy"
        self.rank = int(rank) if rank is not None and is_argosy else None

    def __repr__(self):
        return f"{self.pid}({self.state}, rank {self.rank}): {' '.join(self.argv)[:150]}"


def processes(token):
    """All living processes whose environment carries the token (the dead that nobody has waited for are no longer any)."""
    needle = f"ARGOSY_TEST_TOKEN={token}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            environ = Path("/proc", entry, "environ").read_bytes()
            if needle not in environ:
                continue
            state = Path("/proc", entry, "stat").read_text(errors="replace").rsplit(")", 1)[1].split()[0]
            if state in "ZX":
                continue
            found.append(Process(int(entry), environ, Path("/proc", entry, "cmdline").read_bytes(), state))
    return found


def kill_all(token):
    for _ in range(50):
        left = processes(token)
        if not left:
            return
        for process in left:
            with contextlib.suppress(OSError):
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.02)


# --- results -------------------------------------------------------------------------------------------------------


class Result:
    def __init__(self, argv, code, out, err, seconds):
        self.argv, self.code, self.out, self.err, self.seconds = argv, code, out, err, seconds

    @property
    def report(self):
        """The one JSON document on standard output."""
        try:
            return json.loads(self.out)
        except ValueError:
            raise AssertionError(f"no JSON document on stdout: {self}") from None

    @property
    def errors(self):
        return self.report["errors"]

    @property
    def text(self):
        return self.err.decode("utf-8", "replace")

    @property
    def lines(self):
        """The lines on stderr, less what Open MPI's and Hydra's own mpiexec add about a job that failed."""
        return [line for line in self.text.splitlines() if line.strip() and not self._is_banner(line)]

    @staticmethod
    def _is_banner(line):
        banners = (
            "-----", "=====", "=   ", "Primary job", "mpiexec", "mpirun", "Per user-direction", "a non-zero exit code",
            "YOUR APPLICATION TERMINATED", "This typically refers to", "Please see the FAQ", "  Process name:",
            "  Exit code:", "one or more processes", "the job to be terminated", "thus causing",
            "Abort(", "MPI_ABORT was invoked", "with errorcode", "NOTE: invoking MPI_ABORT", "You may or may not see",
            "exactly when Open MPI"
        )
        return line.startswith(banners) or line.strip() == ""

    def __repr__(self):
        words = " ".join(shlex.quote(str(word)) for word in self.argv)
        return f"\n  {words}\n  exit {self.code} after {self.seconds:.2f} s\n  out: {self.out[:2000]!r}\n  err: {self.err[:3000]!r}"


class Job:
    """A run that is under way."""

    def __init__(self, argv, env, stdin, cwd, timeout, **popen):
        self.argv, self.timeout = argv, timeout
        self.token = uuid.uuid4().hex
        env = dict(env, ARGOSY_TEST_TOKEN=self.token)
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        popen.setdefault("stdout", self._out)
        popen.setdefault("stderr", self._err)
        feed = None
        if isinstance(stdin, bytes):
            feed = tempfile.TemporaryFile()
            feed.write(stdin)
            feed.seek(0)
            stdin = feed
        self.began = time.monotonic()
        self.popen = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL if stdin is None else stdin, cwd=cwd, start_new_session=True, **popen
        )
        if feed is not None:
            feed.close()

    @property
    def pid(self):
        return self.popen.pid

    def processes(self):
        return processes(self.token)

    def rank(self, number, seconds=15):
        """The process of that rank, once there is one."""
        return until(
            lambda: next((p for p in self.processes() if p.rank == number), None), seconds, f"rank {number} of {self.argv}"
        )

    def mpiexec(self, seconds=10):
        names = ("mpiexec", "mpirun", "orterun", "hydra", "mpiexec.hydra", "mpiexec.openmpi", "mpiexec.mpich")
        return until(
            lambda: next((p for p in self.processes() if p.argv and os.path.basename(p.argv[0]) in names), None),
            seconds,
            "an mpiexec",
        )

    def signal(self, number, pid=None):
        os.kill(pid or self.pid, number)

    def running(self):
        return self.popen.poll() is None

    def text(self):
        """What stderr holds so far."""
        return os.pread(self._err.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    def wait(self, timeout=None):
        try:
            code = self.popen.wait(timeout or self.timeout)
        except subprocess.TimeoutExpired:
            left = self.processes()
            stacks = [(p, _where(p.pid)) for p in left]
            kill_all(self.token)
            self.popen.wait()
            raise AssertionError(f"still running after {timeout or self.timeout} s: {self.result(-1)}\n  {stacks}") from None
        return self.result(code)

    def result(self, code):
        seconds = time.monotonic() - self.began
        texts = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read())
        return Result(self.argv, code, *texts, seconds)

    def gone(self, seconds=3.0):
        """Fails unless every process of the run is gone within so many seconds."""
        end = time.monotonic() + seconds
        while True:
            left = processes(self.token)
            if not left:
                return
            if time.monotonic() > end:
                kill_all(self.token)
                raise AssertionError(f"left running: {left} by {self.argv}")
            time.sleep(0.02)

    def end(self):
        kill_all(self.token)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(5)
        self._out.close()
        self._err.close()


def kill_when(job, mark, go, victim):
    """SIGKILL for a rank, for all processes of argosy or for the supervisor, once a rule has made `mark` and waits for `go`;
    or nothing, where the run ends without."""
    until(lambda: mark.exists() or not job.running(), 30, "the mark")
    for process in job.processes():
        is_argosy = process.argv and os.path.basename(process.argv[0]) == "argosy"
        if process.rank == victim or (victim == "all" and is_argosy):
            with contextlib.suppress(ProcessLookupError):
                job.signal(signal.SIGKILL, process.pid)
    if victim == "supervisor" and job.running():
        job.signal(signal.SIGKILL)
    go.touch()
    result = job.wait(60)
    job.gone(20)
    return result


def _where(pid):
    with contextlib.suppress(OSError):
        return Path("/proc", str(pid), "wchan").read_text()
    return "?"


def fault_rule(**settings):
    return ",".join(f"{name}={value}" for name, value in settings.items())


def faults(*rules):
    """The environment in which the ranks meet these faults (each a dict, or a rule's text)."""
    text = ";".join(fault_rule(**rule) if isinstance(rule, dict) else rule for rule in rules)
    return {"LD_PRELOAD": FAULT_LIBRARY, "ARGOSY_FAULT": text}


class Launch:
    """How a run is started: by argosy itself, or under the mpiexec of its MPI; and which way its bytes go."""

    def __init__(self, by, network=False):
        self.by, self.network = by, network

    def __repr__(self):
        return self.by + ("-network" if self.network else "")

    def argv(self, argosy, ranks, arguments, mpiexec=MPIEXEC):
        if self.by == "mpiexec":
            return [mpiexec, "-n", str(ranks or 2), argosy, *arguments]
        return [argosy, *(["-n", str(ranks)] if ranks is not None else []), *arguments]

    def env(self):
        env = dict(UNDER_MPIEXEC) if self.by == "mpiexec" else {}
        return dict(env, **NETWORK) if self.network else env


SELF = Launch("self")
UNDER = Launch("mpiexec")
SELF_NETWORK = Launch("self", network=True)


# --- files ---------------------------------------------------------------------------------------------------------


def data_of(size, seed=1):
    """`size` bytes that don't repeat: a block of noise, its copies told apart by a counter every 4 KiB."""
    if size == 0:
        return b""
    block = hashlib.shake_256(str(seed).encode()).digest(64 * KI)
    out = bytearray(block * (size // len(block) + 1))[:size]
    for at in range(0, size - 8, 4096):
        out[at : at + 8] = (at * 2654435761 + seed).to_bytes(8, "little", signed=False)
    return bytes(out)


def snapshot(folder):
    """All that can be seen of a folder: names, kinds, modes, times, inodes, contents. None when it isn't there."""
    folder = os.fsencode(folder)
    if not os.path.lexists(folder):
        return None
    seen = {}
    for at, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(at, name)
            info = os.lstat(path)
            entry = [info.st_mode, info.st_ino]
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest() if info.st_size < 64 * MI else "large"
                entry += [info.st_size, info.st_mtime_ns, info.st_nlink, digest]
            elif stat.S_ISLNK(info.st_mode):
                entry.append(os.readlink(path))
            seen[os.path.relpath(path, folder)] = entry
    return seen


def leftovers(folder):
    """Names of argosy's own below a folder: temporary files and locks."""
    found = []
    for at, folders, files in os.walk(os.fsencode(folder)):
        found += [os.path.join(at, name) for name in folders + files if name.startswith(b".argosy")]
    return found


def goes_on(folder):
    """Only what a run leaves that was asked to stop, and that the next one goes on with: of large files, without locks."""
    return {os.path.splitext(path)[1] for path in leftovers(folder)} <= {b".part", b".get", b".journal"}


def free_bytes(path):
    info = os.statvfs(path)
    return info.f_bavail * info.f_frsize


def path_of(error):
    """The raw bytes of the path in a report's error."""
    if "path_base64" in error:
        return base64.b64decode(error["path_base64"])
    return error["path"].encode()


@contextlib.contextmanager
def mounted(target, *options):
    """A mount as root, taken away at the end whatever happens."""
    os.makedirs(target, exist_ok=True)
    subprocess.run(["mount", *options, str(target)], check=True, capture_output=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", "-l", str(target)], check=False, capture_output=True)


def can_mount():
    if os.geteuid() != 0:
        return False
    place = tempfile.mkdtemp()
    try:
        with mounted(place, "-t", "tmpfs", "-o", "size=64k", "argosy-test"):
            return True
    except subprocess.CalledProcessError:
        return False
    finally:
        shutil.rmtree(place, ignore_errors=True)
