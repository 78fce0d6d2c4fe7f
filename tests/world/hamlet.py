"""A town to try rules on: one world, everybody fed, placed by hand."""

import attrs
import numpy as np

from townlet.dto.town import TownSpec, scenario
from townlet.world.batch import TownBatch
from townlet.world.state import Town
from townlet.world.step import play_tick


class Hamlet:
    """One world of a scenario, opened to the hand; played tick by tick through the real order of play."""

    def __init__(self, name: str = "queue_conflict", **changes: object) -> None:
        self.spec: TownSpec = attrs.evolve(scenario(name), **changes)
        self.batch = TownBatch(self.spec, worlds=1, seed=3, days=2)
        self.batch.reset()
        self.rules = self.batch._rules
        self.town = Town(*(block[0] for block in self.batch._state))
        self.terms = np.zeros((7, self.spec.agents), np.float32)
        self.ended = np.zeros(self.spec.agents, np.bool_)

    def stand_at(self, o: int, *agents: int, need: float = 0.3) -> None:
        """Put agents beside an object, in need of it, and let them choose it."""
        thing = self.town.things[o]
        for i in agents:
            agent = self.town.agents[i]
            agent.x, agent.y = thing.x, thing.y
            agent.hygiene = need
            agent.intent = 6 + o

    def play(self, ticks: int = 1) -> None:
        """Play ticks with the intents as they stand; the terms of all of them add up in `terms`."""
        for _ in range(ticks):
            play_tick(self.town, self.rules, self.terms, self.ended)
