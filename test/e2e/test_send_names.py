"""Names are bytes, and never lead out of DIR."""

import os

import pytest
from harness import DESTINATION, KI, MI, SELF_NETWORK, SOURCE, USAGE, data_of, path_of, snapshot

NAMES = [
    b"with space", b" leading and trailing ", b"new\nline", b"\n", b"\xff\xfe\x80", b"a" * 255, b"\xe9" * 255, "ü€😀".encode(),
    b"-dash", b"--json", b"*?[a-z]", b"tab\there", b"quote'\"`", b"$HOME $(id)", b"back\\slash", b"100%h%r%%", b".hidden",
    b"...", b"..a", b"a:b", b"a=b", b"\x1b[31mred", b"\x01\x7f", b"#", b"~", b"{}", b"a,b;c&d|e>f<g", b":",
]  # fmt: skip


def test_all_kinds_of_names(place, send, launch):
    paths = [place.file(name, data=b"content of " + name) for name in NAMES]
    result = send("--", *paths, place.out, launch=launch)
    assert result.code == 0, result
    assert {name: (open(os.fsencode(place.out) + b"/" + name, "rb").read()) for name in os.listdir(os.fsencode(place.out))} == {
        name: b"content of " + name for name in NAMES
    }


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe\x80", b"\xe9" * 255, b"-dash", b"%h"], ids=repr)
def test_a_single_odd_name(place, send, name):
    path = place.file(name, data=b"content")
    result = send("--", path, place.out, launch=SELF_NETWORK)
    assert result.code == 0, result
    assert os.listdir(os.fsencode(place.out)) == [name]


@pytest.mark.parametrize("name", [b"-dash", b"--to", b"-"])
def test_leading_dash_relative(place, send, name):
    place.file(name, data=b"content")
    result = send(b"./" + name, b"out", cwd=place.src)
    assert result.code == 0, result
    assert os.listdir(os.fsencode(place.src / "out")) == [name]


@pytest.mark.parametrize("folder", [b"with space", b"new\nline", b"\xff\xfe", b"-dash", b"--", b"\xe9" * 200], ids=repr)
def test_odd_folders(place, send, folder, launch):
    path = place.file(size=100)
    target = os.fsencode(place.root) + b"/" + folder
    result = send("--", path, target, launch=launch)
    assert result.code == 0, result
    assert os.listdir(target) == [b"big.bin"]


def test_odd_starting_folder(place, send):
    """Ranks start where argosy was started, whatever that folder is called."""
    here = os.fsencode(place.root) + b"/\xff odd\nfolder"
    os.mkdir(here)
    with open(here + b"/a", "wb") as file:
        file.write(b"content")
    result = send("a", "sub/out", cwd=here)
    assert result.code == 0, result
    assert os.listdir(here + b"/sub/out") == [b"a"]


@pytest.mark.parametrize("name", ["plain", "with space", "new\nline", "x" * 255, "-dash", "--", "%h", ".hidden"], ids=repr)
def test_as(place, send, name):
    path = place.file(size=2 * MI)
    result = send(path, f"--as={name}", place.out)
    assert result.code == 0, result
    assert os.listdir(place.out) == [name]
    assert (place.out / name).read_bytes() == data_of(2 * MI)


def test_as_not_utf8(place, send):
    result = send(place.file(size=10), b"--as=\xff\xfe", place.out)
    assert result.code == 0, result
    assert os.listdir(os.fsencode(place.out)) == [b"\xff\xfe"]


@pytest.mark.parametrize("name", ["", ".", "..", "../escaped", "/tmp/argosy-escaped", "a/b", "a/", "a/../../escaped", "./a"])
def test_as_never_leads_out(place, argosy, name, launch):
    path = place.file(size=10)
    before = snapshot(place.root)
    result = argosy("send", path, f"--as={name}", "out", launch=launch)
    assert result.code == USAGE, result
    assert snapshot(place.root) == before
    assert not os.path.exists("/tmp/argosy-escaped")


def test_as_too_long(place, argosy):
    assert argosy("send", place.file(size=10), "--as", "x" * 256, "out").code in (USAGE, DESTINATION)


def test_as_with_several_sources(place, argosy, launch):
    result = argosy("send", place.file("a", size=1), place.file("b", size=1), "--as", "c", "out", launch=launch)
    assert result.code == USAGE, result
    assert snapshot(place.out) is None


@pytest.mark.parametrize("source", ["..", ".", "/", "src/..", "src/."])
def test_folders_without_a_name_of_their_own(place, send, source, launch):
    place.file(size=10)
    result = send(source, place.out, launch=launch)
    assert result.code == USAGE, result
    assert snapshot(place.out) in (None, {})


def test_final_name_is_a_symlink_to_outside(place, send):
    """It is replaced; what it points to is not touched."""
    path = place.file(size=300 * KI)
    (place / "outside").write_text("precious")
    place.out.mkdir()
    (place.out / "big.bin").symlink_to("../outside")
    result = send(path, place.out)
    assert (place / "outside").read_text() == "precious"
    assert result.code == 0, result
    assert not (place.out / "big.bin").is_symlink()
    assert (place.out / "big.bin").read_bytes() == data_of(300 * KI)


@pytest.mark.parametrize("to", ["../nowhere", "big.bin", "/"])
def test_final_name_is_another_symlink(place, send, to):
    path = place.file(size=10)
    place.out.mkdir()
    (place.out / "big.bin").symlink_to(to)
    result = send(path, place.out)
    assert result.code == 0, result
    assert (place.out / "big.bin").read_bytes() == data_of(10) and not (place.out / "big.bin").is_symlink()
    assert not os.path.lexists(place / "nowhere")


@pytest.mark.allow_leftovers
def test_temporary_names_are_symlinks_to_outside(place, start, send):
    """Somebody who may write into DIR plants links under every name that an earlier run used there."""
    path = place.file(size=2 * MI)
    place.out.mkdir()
    go, reached = place / "go", place / "reached"
    job = start("send", path, place.out,
                fault={"op": "write", "path": "/out/", "min": 4096, "mark": reached, "wait": go})  # fmt: skip
    from harness import until

    until(reached.exists, what="the first write")
    names = [name for name in os.listdir(place.out)]
    go.touch()
    assert job.wait().code == 0
    os.unlink(place.out / "big.bin")
    victim = place / "victim"
    victim.write_text("precious")
    for name in names:
        if not os.path.lexists(place.out / name):
            (place.out / name).symlink_to(victim)
    result = send(path, place.out)
    assert victim.read_text() == "precious", result
    assert result.code in (0, DESTINATION), result
    if result.code == 0:
        assert (place.out / "big.bin").read_bytes() == data_of(2 * MI)


def test_symlinked_folder_as_destination(place, send):
    """DIR itself is the user's word: a link to a folder is that folder."""
    (place / "real").mkdir()
    place.out.symlink_to("real")
    result = send(place.file(size=10), place.out)
    assert result.code == 0, result
    assert os.listdir(place / "real") == ["big.bin"]


def test_message_escapes_control_characters(place, argosy, launch):
    name = b"evil\x1b[2J\nname\xff"
    result = argosy("send", "--progress", "none", os.fsencode(place.src) + b"/" + name, "out", launch=launch)
    assert result.code == SOURCE, result
    assert b"\x1b" not in result.err and len(result.lines) == 1, result
    assert "evil" in result.text


def test_report_carries_bytes_that_are_not_utf8(place, send):
    name = b"gone\xff\xfe"
    raw = os.fsencode(place.src) + b"/" + name
    result = send(raw, place.out)
    assert result.code == SOURCE, result
    error = result.errors[0]
    assert "\ufffd" in error["path"]
    assert path_of(error).endswith(name), error
    result = send(place.src / "gone", place.out)
    assert "path_base64" not in result.errors[0]


@pytest.mark.parametrize(
    "template, expected",
    [("%r", "1"), ("%h", None), ("a%%b", "a%b"), ("%%h", "%h"), ("%%%%", "%%"), ("x/%h/%r/%%", None), ("%r%r", "11")],
)
def test_templates_in_the_destination(place, send, template, expected):
    from harness import SHORT_HOST

    result = send(place.file(size=10), f"{place.out}/{template}")
    assert result.code == 0, result
    if expected is None:
        expected = template.replace("%%", "%").replace("%h", SHORT_HOST).replace("%r", "1")
    assert (place.out / expected / "big.bin").read_bytes() == data_of(10)


def test_template_names_the_writing_rank(place, send):
    result = send("--from", "1", "--to", "0", place.file(size=10), f"{place.out}/%r")
    assert result.code == 0, result
    assert os.listdir(place.out) == ["0"]


@pytest.mark.parametrize("template", ["%x", "a%", "%", "%%%", "% r"])
def test_unknown_templates(place, argosy, template, launch):
    result = argosy("send", place.file(size=10), f"{place.out}/{template}", launch=launch)
    assert result.code == USAGE, result
    assert snapshot(place.out) is None
