"""PettingZoo's own tests over every form of observations and its conversion to turns, then a day under the masks."""

from counting import CountingTown, report, restart
from pettingzoo.test import api_test, parallel_api_test
from pettingzoo.utils import parallel_to_aec

from townlet.env.parallel import FORMATS


def main() -> None:
    """Test each form; play a day of each with PettingZoo's own sampling under masks."""
    forms = [(form, black_death) for form in FORMATS for black_death in (False, True)]
    for form, black_death in forms:
        parallel_api_test(CountingTown(days=1, observation_format=form, black_death=black_death), 500)
    api_test(parallel_to_aec(CountingTown(days=1)), 500)
    restart()
    for form, black_death in forms:
        play_a_day(CountingTown(days=1, observation_format=form, black_death=black_death))
    report(checker=f"parallel_api_test ({len(forms)} forms) and api_test passed", updates="has no learner")


def play_a_day(town: CountingTown) -> None:
    """Play one episode with actions that PettingZoo's action spaces draw under the masks that were shown."""
    shown, infos = town.reset(seed=1)
    while town.agents:
        masks = {agent: {**infos[agent], **(shown[agent] if isinstance(shown[agent], dict) else {})} for agent in shown}
        shown, _, _, _, infos = town.step(
            {agent: town.action_space(agent).sample(masks[agent]["action_mask"]) for agent in town.agents}
        )


if __name__ == "__main__":
    main()
