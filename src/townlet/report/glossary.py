"""Words that a report uses without saying what they mean, with the sentences of docs/reference/vocabulary.md."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["GLOSSARY"]

GLOSSARY: Mapping[str, str] = MappingProxyType(
    {
        "capture": "the strategy that records and labels the teacher's play as a data set",
        "bc": "behaviour cloning: the strategy that fits a network to the teacher's recorded actions",
        "ppo": "proximal policy optimisation: the strategy that improves weights by the reward of their own play",
        "evaluate": "the strategy that plays candidate and baselines in the same episodes, and learns nothing",
        "state": "a node of the machine; it names one strategy",
        "edge": "a way from one state to another, with the conditions under which it is taken",
        "visit": "one execution of a state's strategy, counted per state from 1",
        "attempt": "one start of a visit; a crash or a retry begins the next with the same seeds",
        "hold": "the run waits for a person and says why",
        "guard": "a condition on a metric or on visits, written in the schedule; each kind is a subclass",
        "verdict": "the result of a guard: PASS, FAIL, UNDECIDED, UNKNOWN or SKIPPED",
        "evidence": "paired episodes of candidate and baselines on seeds that selected nobody",
        "look": "one of the moments, declared beforehand, at which the evidence is evaluated",
        "bound": "one end of an interval; one of 99.25% lies beyond the true value in 0.75 of 100 repetitions at most",
        "interval": "what lies between two bounds; one of 95% misses the true value in 5 of 100 repetitions at most",
        "p": "how likely a difference as large as this would be if what the guard asserts were not so",
        "baseline": "what a candidate is compared with; its digest is fixed when the visit begins",
        "teacher": "a scripted policy that gives its action for any observation",
        "clone": "the weights that bc fitted to the teacher's actions",
        "candidate": "the weights under test",
        "champion": "the weights in force: what the registry's alias names",
        "accepted": "weights of this run that were evaluated, differ from their parent and were not rolled back",
        "alias": "a name in the registry that points to one version, with its whole history",
        "promote": "move the alias to the candidate by compare-and-set",
        "rollback": "as a state: name the weights to go on from and verify them; as a command: move the alias back",
        "record": "one line of the journal, written before what it tells of is done",
        "greedy": "of actions: the one that the policy holds for most likely, each time; stochastic ones are drawn",
        "agent-day": "one day of one agent slot, dead time included, so that dying is never cheap",
    }
)
"""Meaning of each word: strategies first, then the path, the decision, policies, records and amounts."""
