"""Trees for tests: one with every type and attribute, random ones, and a comparer that shares nothing with argosy.

Everything goes by descriptors of folders, so that paths may be longer than the kernel takes in one piece."""

import contextlib
import os
import random
import socket
import stat
import struct

KI, MI = 1024, 1024 * 1024

# What nobody expects in a name.
ODD_NAMES = [
    b"with space", b"new\nline", b"tab\t", b"\xff\xfe not utf-8", "ümläut 漢字".encode(), b"-rf", b"--help", b"*", b"[a]",
    b"..." , b". .", b"'quote\"", b"back\\slash", b"\x01\x1b[31m", b"~", b"#hash#", b".hidden", b"x" * 255, b"%r%h%%",
]  # fmt: skip


class At:
    """An open folder."""

    def __init__(self, fd):
        self.fd = fd

    def folder(self, name, mode=0o755):
        os.mkdir(name, mode, dir_fd=self.fd)
        os.chmod(name, mode, dir_fd=self.fd)
        return self.enter(name)

    def enter(self, name):
        return At(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self.fd))

    def file(self, name, data=b"", mode=0o644):
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self.fd)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)

    def open(self, name, flags=os.O_RDWR):
        return os.open(name, flags, dir_fd=self.fd)

    def path(self, name):
        return f"/proc/self/fd/{self.fd}/".encode() + os.fsencode(name)

    def time(self, name, ns):
        os.utime(name, ns=(ns, ns), dir_fd=self.fd, follow_symlinks=False)

    def close(self):
        os.close(self.fd)


def has_attributes(folder):
    """What this file system takes: user attributes, ACLs."""
    probe = os.path.join(os.fspath(folder), "probe")
    with open(probe, "w"):
        pass
    try:
        os.setxattr(probe, b"user.a", b"1")
        return True
    except OSError:
        return False
    finally:
        os.unlink(probe)


def acl(*entries):
    """A POSIX ACL as the kernel has it: (tag, permissions, id) each."""
    undefined = 0xFFFFFFFF
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, permissions, undefined if number is None else number) for tag, permissions, number in entries
    )


# user::rw- user:1234:r-- group::r-- mask::rw- other::---
AN_ACL = acl((1, 6, None), (2, 4, 1234), (4, 4, None), (16, 6, None), (32, 0, None))


def put_sparse(at, name):
    """1 GiB and a few bytes of data: at the start, in the middle, and a hole at the end."""
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o640, dir_fd=at.fd)
    os.ftruncate(fd, 1 << 30)
    os.pwrite(fd, b"start", 0)
    os.pwrite(fd, b"middle" * 1000, (1 << 29) + 12345)
    os.close(fd)


def nasty(root, attributes=None, deep=300, many=10_000):
    """Every type and attribute there is, below the folder `root`, which is made."""
    is_root = os.geteuid() == 0
    os.mkdir(root)
    attributes = has_attributes(root) if attributes is None else attributes
    at = At(os.open(root, os.O_RDONLY | os.O_DIRECTORY))
    with contextlib.closing(at):
        at.file("plain", b"plain" * 100)
        at.file("empty")
        at.file("big", bytes(random.Random(1).randbytes(3 * MI + 17)))
        for mode in (0o400, 0o000, 0o777, 0o4755, 0o2755, 0o1644):
            at.file(f"mode {mode:o}", b"m", mode if is_root or mode else 0o400)
        put_sparse(at, "sparse")
        fd = os.open("all hole", os.O_RDWR | os.O_CREAT, dir_fd=at.fd)
        os.ftruncate(fd, 5 * MI + 1)
        os.close(fd)
        for name in ODD_NAMES:
            at.file(name, name)
        odd = at.folder("odd")
        for name in ODD_NAMES:
            odd.folder(name).close()
        odd.close()
        at.folder("empty folder").close()
        for target, name in ((b"plain", "link"), (b"nowhere", "dangling"), (b"/etc", "absolute"), (b"..", "up"), (b"link", "chain")):
            os.symlink(target, name, dir_fd=at.fd)
        at.time("link", 1_234_567_890_123_456_789)
        names = at.folder("names of one file")
        at.file("first name", b"one" * 1000)
        os.link("first name", "second name", src_dir_fd=at.fd, dst_dir_fd=names.fd)
        os.link("first name", "third name", src_dir_fd=at.fd, dst_dir_fd=at.fd)
        names.close()
        os.mkfifo(at.path("fifo"))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(at.path("socket"))
        if is_root:
            with contextlib.suppress(PermissionError):
                os.mknod(at.path("char"), stat.S_IFCHR | 0o620, os.makedev(1, 3))
                os.mknod(at.path("block"), stat.S_IFBLK | 0o600, os.makedev(7, 200))
            at.file("owned", b"owned")
            os.chown("owned", 1234, 4321, dir_fd=at.fd)
            at.file("owned and set-id", b"owned")
            os.chown("owned and set-id", 1234, 4321, dir_fd=at.fd)
            os.chmod("owned and set-id", 0o6755, dir_fd=at.fd)
            os.symlink("plain", "owned link", dir_fd=at.fd)
            os.chown("owned link", 77, 78, dir_fd=at.fd, follow_symlinks=False)
        if attributes:
            at.file("attributed", b"a")
            os.setxattr(at.path("attributed"), b"user.one", b"1\0\xff")
            os.setxattr(at.path("attributed"), b"user.large", b"v" * 2000)
            os.setxattr(at.path("empty folder"), b"user.folder", b"f")
        at.file("acl", b"acl")
        with contextlib.suppress(OSError):
            os.setxattr(at.path("acl"), b"system.posix_acl_access", AN_ACL)
            at.folder("default acl").close()
            os.setxattr(at.path("default acl"), b"system.posix_acl_default", AN_ACL)
            inherits = at.enter("default acl")
            inherits.file("inherits", b"i")
            inherits.folder("inherits too").close()
            inherits.close()
        closed = at.folder("read-only")
        closed.file("in it", b"x", 0o444)
        closed.folder("below").close()
        os.fchmod(closed.fd, 0o555)
        closed.close()
        put_deep(at, deep)
        crowd = at.folder("crowd")
        for number in range(many):
            crowd.file(f"{number:05}", str(number).encode() * (number % 50))
        crowd.close()
        for number, name in enumerate(("plain", "empty", "big", "empty folder", "fifo", "read-only", "crowd", "odd")):
            at.time(name, 10**18 + number * 10**9 + number)
        at.time("sparse", -1)
    os.utime(root, ns=(10**18, 10**18 + 1))


def put_deep(at, levels):
    """Folders in folders, of long names, so that the path is several times PATH_MAX."""
    here = at.folder("deep")
    for level in range(levels):
        below = here.folder(b"%03d" % level + b"d" * 60)
        if level % 50 == 0:
            below.file("at this level", b"%d" % level)
        here.close()
        here = below
    here.file("at the bottom", b"bottom")
    here.close()


def random_tree(root, seed, files=60, largest=600 * KI):
    """A tree that is different for each seed, quick to make."""
    rng = random.Random(seed)
    os.mkdir(root)
    folders = [os.fsencode(root)]
    made = []
    for number in range(files):
        folder = rng.choice(folders)
        name = rng.choice(ODD_NAMES)[:40] + b"%d" % number if rng.random() < 0.2 else b"f%d" % number
        path = os.path.join(folder, name)
        kind = rng.random()
        if kind < 0.2:
            os.mkdir(path)
            folders.append(path)
        elif kind < 0.28:
            os.symlink(rng.choice([b"x", b"../y", b"/z"]), path)
        elif kind < 0.33 and made:
            os.link(rng.choice(made), path)
        elif kind < 0.35:
            os.mkfifo(path, 0o600)
        else:
            size = rng.choice([0, 1, rng.randrange(5000), rng.randrange(largest), 256 * KI, 1 << 20, (1 << 20) - 1])
            with open(path, "wb") as file:
                if rng.random() < 0.1:
                    file.seek(rng.randrange(4 * MI))
                file.write(rng.randbytes(size))
                file.truncate()
            os.chmod(path, rng.choice([0o644, 0o600, 0o755, 0o444]))
            made.append(path)
        os.utime(path, ns=(0, rng.randrange(2**60)), follow_symlinks=False)
    for folder in folders:
        os.utime(folder, ns=(0, rng.randrange(2**60)))


def make_source(place, seed=1, big=24 * MI):
    """A random tree with two large files in src/tree."""
    tree = place.src / "tree"
    random_tree(tree, seed, files=60)
    (tree / "big").write_bytes(random.Random(seed).randbytes(big))
    os.utime(tree / "big", ns=(0, 10**18 + seed))
    (tree / "big2").write_bytes(random.Random(seed + 1).randbytes(big // 2))
    return tree


def _blocks(info):
    return info.st_blocks * 512


def _look(at, name, info, owner, attributes):
    seen = {"type": stat.S_IFMT(info.st_mode)}
    if not stat.S_ISLNK(info.st_mode):
        seen["mode"] = stat.S_IMODE(info.st_mode)
    if owner:
        seen["owner"] = (info.st_uid, info.st_gid)
    seen["mtime"] = info.st_mtime_ns
    if stat.S_ISLNK(info.st_mode):
        seen["target"] = os.readlink(name, dir_fd=at.fd)
    if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        seen["device"] = info.st_rdev
    if attributes and not stat.S_ISLNK(info.st_mode):
        with contextlib.suppress(OSError):
            path = at.path(name)
            seen["attributes"] = {a: os.getxattr(path, a, follow_symlinks=False) for a in os.listxattr(path, follow_symlinks=False)}
    return seen


def _same_data(a, b, size):
    fds = []
    try:
        for at, name in (a, b):
            fds.append(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=at.fd))
        at = 0
        while at < size:
            # Holes of both are passed over; what is data in either is read of both.
            nexts = []
            for fd in fds:
                try:
                    nexts.append(os.lseek(fd, at, os.SEEK_DATA))
                except OSError:
                    nexts.append(size)
            at = min(nexts)
            if at >= size:
                break
            one, two = (os.pread(fd, MI, at) for fd in fds)
            if one != two or not one:
                return False
            at += len(one)
        return True
    finally:
        for fd in fds:
            os.close(fd)


def differences(a, b, owner=None, attributes=True, folder_times=True, ignore=()):
    """What tells the folders `a` and `b` apart, a line each; empty: nothing. Independent of the program under test."""
    owner = os.geteuid() == 0 if owner is None else owner
    found = []
    links = {}, {}

    def one(at_a, at_b, name, path):
        info_a, info_b = (os.stat(name, dir_fd=at.fd, follow_symlinks=False) for at in (at_a, at_b))
        seen_a = _look(at_a, name, info_a, owner, attributes)
        seen_b = _look(at_b, name, info_b, owner, attributes)
        if stat.S_ISDIR(info_a.st_mode) and not folder_times:
            seen_a["mtime"] = seen_b["mtime"] = 0
        for key in sorted(set(seen_a) | set(seen_b)):
            if seen_a.get(key) != seen_b.get(key):
                found.append(f"{path!r}: {key} is {seen_a.get(key)!r} and {seen_b.get(key)!r}")
        if seen_a["type"] != seen_b["type"]:
            return
        if not stat.S_ISDIR(info_a.st_mode):
            first = [links[i].setdefault((info.st_dev, info.st_ino), path) for i, info in enumerate((info_a, info_b))]
            if first[0] != first[1]:
                found.append(f"{path!r}: another name of {first[0]!r} and of {first[1]!r}")
        if stat.S_ISREG(info_a.st_mode):
            if info_a.st_size != info_b.st_size:
                found.append(f"{path!r}: {info_a.st_size} and {info_b.st_size} bytes")
            elif not _same_data((at_a, name), (at_b, name), info_a.st_size):
                found.append(f"{path!r}: the contents differ")
            elif _blocks(info_a) < info_a.st_size and _blocks(info_b) > _blocks(info_a) + 128 * KI:
                found.append(f"{path!r}: takes {_blocks(info_a)} and {_blocks(info_b)} bytes of disk")
        if stat.S_ISDIR(info_a.st_mode):
            below = at_a.enter(name), at_b.enter(name)
            walk(*below, path + b"/")
            for at in below:
                at.close()

    def walk(at_a, at_b, path):
        names_a, names_b = (set(map(os.fsencode, os.listdir(at.fd))) - set(ignore) for at in (at_a, at_b))
        found.extend(f"{path + name!r}: only in the first" for name in sorted(names_a - names_b))
        found.extend(f"{path + name!r}: only in the second" for name in sorted(names_b - names_a))
        for name in sorted(names_a & names_b):
            one(at_a, at_b, name, path + name)

    tops = [At(os.open(os.path.dirname(os.path.abspath(x)) or "/", os.O_RDONLY | os.O_DIRECTORY)) for x in (a, b)]
    names = [os.fsencode(os.path.basename(os.path.abspath(x))) for x in (a, b)]
    infos = [os.stat(x) for x in (a, b)]
    for key in ("st_mode", "st_mtime_ns") if folder_times else ("st_mode",):
        if getattr(infos[0], key) != getattr(infos[1], key):
            found.append(f"the folder itself: {key} is {getattr(infos[0], key)!r} and {getattr(infos[1], key)!r}")
    inner = [top.enter(name) for top, name in zip(tops, names)]
    walk(*inner, b"")
    for at in tops + inner:
        at.close()
    return found


def all_visible_are_right(source, target):
    """Each name that is there holds what the source holds."""
    for at, folders, files in os.walk(os.fsencode(target)):
        folders[:] = [name for name in folders if not name.startswith(b".argosy-")]
        for name in files:
            if name.startswith(b".argosy-"):
                continue
            path = os.path.join(at, name)
            right = os.path.join(os.fsencode(source), os.path.relpath(path, os.fsencode(target)))
            if os.path.islink(path):
                assert os.readlink(path) == os.readlink(right)
            elif os.path.isfile(path):
                with open(path, "rb") as one, open(right, "rb") as two:
                    assert one.read() == two.read(), path


def remove(root):
    """rm -rf that also gets at deep and closed folders."""
    import subprocess

    subprocess.run(["chmod", "-R", "u+rwx", "--", os.fspath(root)], check=False, capture_output=True)
    subprocess.run(["rm", "-rf", "--", os.fspath(root)], check=True)
