"""What a run has to do at least after each of its states, for the time left that progress shows."""

from collections.abc import Mapping
from heapq import heappop, heappush

from townlet.dto.schedule import Plan
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.schedule.check_plan import visit_costs
from townlet.ports import EnvironmentDescription

__all__ = ["least_steps_after"]


def least_steps_after(
    plan: Plan,
    catalogue: StrategyCatalogue,
    environment: EnvironmentDescription,
    suites: Mapping[str, EnvironmentDescription],
) -> Mapping[str, int]:
    """Return the fewest agent-steps between a visit to each state and `done` (Dijkstra 1959, from the end).

    The guards may choose a longer way. A state from which no edge leads to `done` is left out.
    """
    costs = {name: cost.least_agent_steps for name, cost in visit_costs(plan, catalogue, environment, suites).items()}
    pending, after = [(0, "done")], dict[str, int]()
    while pending:
        steps, target = heappop(pending)
        for name, state in plan.schedule.states.items():
            if name not in after and any(edge.to == target for edge in state.next):
                after[name] = steps
                heappush(pending, (steps + costs[name], name))
    return after
