"""send and bcast, killed at random points: every visible name is whole, and the next run goes on."""

import random

import pytest
import trees
from harness import NETWORK, kill_when

pytestmark = [pytest.mark.usefixtures("fault_library"), pytest.mark.allow_leftovers]


COMMANDS = {
    "send": (["send"], {}, "out"),
    "send-network": (["send"], NETWORK, "out"),
    "bcast": (["bcast", "-n", "3"], NETWORK, "out/%r"),
    "bcast-fsync": (["bcast", "-n", "2", "--fsync"], NETWORK, "out/%r"),
    "bcast-node": (["bcast", "-n", "3"], {}, "out/%r"),
}


def targets(place, out):
    return [place.out / "tree"] if "%r" not in out else [folder / "tree" for folder in sorted(place.out.iterdir()) if folder.is_dir()]


def kill_at(place, start, command, nth, victim):
    """A run that is held at a write of a destination, and then loses a process to SIGKILL."""
    words, env, out = COMMANDS[command]
    mark, go = place / f"mark{nth}", place / f"go{nth}"
    job = start(*words, "src/tree", out, "--chunk-size", "256Ki", env=env,
                fault=f"op=write,rank=1,path=/out/,nth={nth},mark={mark},wait={go}")  # fmt: skip
    kill_when(job, mark, go, victim)


KILLS = [(command, seed) for command in COMMANDS for seed in range(10)]


@pytest.mark.parametrize("command, seed", KILLS)
def test_killed_and_gone_on(place, start, argosy, command, seed):
    rng = random.Random(f"{command}{seed}")
    source = trees.make_source(place, seed % 3)
    victim = rng.choice([0, 1, "all", "supervisor"])
    kill_at(place, start, command, rng.randrange(1, 110), victim)
    words, env, out = COMMANDS[command]
    for target in targets(place, out):
        trees.all_visible_are_right(source, target)
    if out == "out/%r" and rng.random() < 0.5:
        words = [*words[:2], str(rng.choice([2, 4])), *words[3:]]
    result = argosy(*words, "--json", "--progress", "none", "src/tree", out, env=env)
    assert result.code == 0, result
    found = targets(place, out)
    for target in found if words[0] == "send" else found[: int(words[2])]:
        differences = trees.differences(source, target)
        assert not differences, differences[:10]
