"""PettingZoo's own tests over every form of observations, and its conversion to turns."""

import sys

from pettingzoo.test import api_test, parallel_api_test
from pettingzoo.utils import parallel_to_aec

from townlet.env import parallel_env
from townlet.env.parallel import FORMATS


def main() -> None:
    """Run the tests."""
    for form in FORMATS:
        for black_death in (False, True):
            parallel_api_test(parallel_env(days=1, observation_format=form, black_death=black_death), 500)
    api_test(parallel_to_aec(parallel_env(days=1)), 500)
    sys.stdout.write("parallel_api_test and api_test passed\n")


if __name__ == "__main__":
    main()
