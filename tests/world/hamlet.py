"""A town to try rules on: one world, everybody fed, placed by hand."""

import attrs
import numpy as np

from townlet.compiled import entry_kernel
from townlet.dto.scenarios import scenario
from townlet.world.batch import TownBatch
from townlet.world.queues import head
from townlet.world.rivalry import rival_in_queue
from townlet.world.rules import Rules
from townlet.world.state import Town


@entry_kernel
def _head(town: Town, rules: Rules, o: int) -> int:
    return head(town, rules, o)


@entry_kernel
def _avoided(town: Town, rules: Rules, i: int, o: int) -> int:
    return rival_in_queue(town, rules, i, o)


class Hamlet:
    """One world of a scenario, opened to the hand; played tick by tick through the real order of play.

    Nothing is upset unless asked for, so that hand-worked numbers hold.
    """

    def __init__(self, name: str = "queue_conflict", *, ticks: int = 1, **changes: object) -> None:
        calm = {"perturbations": {}, "ticks_per_decision": ticks}
        self.spec = attrs.evolve(scenario(name), **{**calm, **changes})
        self.batch = TownBatch(self.spec, worlds=1, seed=3, days=9)
        self.batch.reset()
        self.rules = self.batch._rules
        self.town = Town(*(block[0] for block in self.batch._state))
        self.terms = np.zeros((len(self.batch._buffers.terms), self.spec.agents), np.float32)
        self.ended = np.zeros(self.spec.agents, np.bool_)

    def stand_at(self, o: int, *agents: int, need: float = 0.3) -> None:
        """Put agents beside an object, in need of it, and let them choose it."""
        item = self.town.objects[o]
        for i in agents:
            agent = self.town.agents[i]
            agent.x, agent.y = item.x, item.y
            agent.hygiene = need
            agent.intent = 6 + o

    def scatter(self) -> None:
        """Put everybody on a tile of its own with nothing to do, fed and rested, just past midnight."""
        self.set_time(1)
        for i, agent in enumerate(self.town.agents):
            agent.x, agent.y, agent.intent = 3 * i, 3 * i, 0
            agent.hunger = agent.hygiene = agent.energy = 0.9

    def set_time(self, minute: int) -> None:
        """Make it this minute of the day at tick 0."""
        self.town.clock.start, self.town.clock.tick = minute, 0

    def first(self, o: int) -> int:
        """Return who waits first for an object."""
        return int(_head(self.town, self.rules, o))

    def rival_in_queue(self, i: int, o: int) -> int:
        """Return for whose sake an agent would not join a queue."""
        return int(_avoided(self.town, self.rules, i, o))

    def play(self, decisions: int = 1) -> None:
        """Play decisions (of one tick, unless built otherwise) with the intents as they stand; terms add up."""
        for _ in range(decisions):
            self.batch._buffers.action_mask[:] = True
            intents = self.town.agents["intent"].astype(np.int64)[None]
            self.batch.play_actions([intents], observed=True)
            self.terms += self.batch._buffers.terms[:, 0]
            self.ended |= self.batch._buffers.terminations[0]
