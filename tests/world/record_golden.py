"""What each scenario must always play, to the bit.

Run ``python tests/world/record_golden.py`` after a deliberate change of rules or constants, then say so in CHANGELOG.md
beside the digest that it tells; the tests refuse one without the other.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path

from townlet.dto.scenarios import SCENARIOS, scenario
from townlet.world.batch import TownBatch
from townlet.world.features import RULES_VERSION
from townlet.world.teachers import RandomTeacher, ScriptedTeacher

GOLDEN = Path(__file__).parent / "golden"
SEED, WORLDS, DECISIONS = 20, 2, 480


def played(name: str, *, threads: int = 1) -> dict[str, object]:
    """Return the digests of states and observations of two days, the script and chance taking turns."""
    batch = TownBatch(scenario(name), worlds=WORLDS, seed=SEED, days=2, threads=threads)
    seen, teachers, states, looks = batch.reset(), (ScriptedTeacher(), RandomTeacher()), [], sha256()
    for decision in range(DECISIONS):
        seen = batch.step(teachers[decision // 30 % 2].act(seen)).observations
        looks.update(seen.observations.tobytes())
        if decision % 120 == 119:
            states.append(batch.state_hash())
    return {"rules": RULES_VERSION, "states": states, "observations": looks.hexdigest()}


def digest() -> str:
    """Return the digest of all golden files together."""
    files = sorted(GOLDEN.glob("*.json"))
    return sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()[:12]


def record() -> None:
    """Write the files anew."""
    for name in SCENARIOS:
        (GOLDEN / f"{name}.json").write_text(json.dumps(played(name), indent=2) + "\n")
    sys.stdout.write(f"golden hashes {digest()}\n")


if __name__ == "__main__":
    record()
