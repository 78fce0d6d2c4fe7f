"""The metadata of a model card, which the Hub reads: YAML above the text, dumped and never written by hand."""

import io
from typing import Any

from ruamel.yaml import YAML

from townlet.dto.model_card import CardOptions, CardPolicy, CardRun
from townlet.escapes import one_line

__all__ = ["front_matter", "place", "policy_name"]

_OBJECTIVES = {"return_per_episode": "mean_reward"}
"""KPIs that the Hub knows under another name."""


def front_matter(policy: CardPolicy, run: CardRun | None, options: CardOptions) -> str:
    """Return the metadata of the Hub as YAML."""
    data: dict[str, Any] = {
        "library_name": "townlet",
        "license": options.license,
        "pipeline_tag": "reinforcement-learning",
        "tags": ["reinforcement-learning", "townlet", *([] if run is None else [_bare(run.environment)])],
    }
    if options.base_model:
        data["base_model"] = options.base_model
    if run is not None and not run.rehearsal and (metrics := _metrics(run)):
        result = {
            "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
            "dataset": {"type": _bare(run.environment), "name": _bare(place(run))},
            "metrics": metrics,
        }
        data["model-index"] = [{"name": one_line(policy_name(policy, run)), "results": [result]}]
    yaml, stream = YAML(), io.StringIO()
    yaml.default_flow_style, yaml.width, yaml.allow_unicode = False, 2**20, True
    yaml.dump(data, stream)
    return stream.getvalue()


def _bare(environment: str) -> str:
    """Return an environment's id without the library it comes from: the Hub knows ``CartPole-v1``."""
    return one_line(environment.rpartition(":")[2] or environment)


def _metrics(run: CardRun) -> list[dict[str, Any]]:
    return [
        {
            "type": _OBJECTIVES.get(each.metric, one_line(each.metric)),
            "value": each.value,
            "name": one_line(f"{each.metric} ({each.unit}), {each.scenario}, {each.episodes} episodes, {each.actions}"),
            "verified": False,
        }
        for each in run.measurements
        if each.value is not None
    ]


def policy_name(policy: CardPolicy, run: CardRun | None) -> str:
    """Return the policy's name: that of the registry, else of the schedule, else the beginning of its digest."""
    if run is None:
        return f"policy {policy.digest[:12]}"
    return run.schedule if run.promotion is None else f"{run.promotion.name} {run.promotion.version}"


def place(run: CardRun) -> str:
    """Return the environment, with the scenario where it is more than the default."""
    return run.environment if run.scenario in ("", "default") else f"{run.environment}/{run.scenario}"
