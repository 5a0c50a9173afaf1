"""All stages, in the order in which they are run."""

from soak.arguments import Arguments
from soak.damage import Damage
from soak.disk import Disk, Full
from soak.hostile import Hostile
from soak.interrupting import Signals, Workers, Writers
from soak.killing import Killing
from soak.numbers import Endurance, Numbers
from soak.stage import Stage

STAGES: dict[str, type[Stage]] = {
    stage.name: stage
    for stage in (Hostile, Killing, Disk, Full, Damage, Signals, Writers, Workers, Numbers, Arguments, Endurance)
}
