"""A saved model of Stable-Baselines3 or sb3-contrib as a script: its policy answers for all worlds at once."""

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

from townlet.env.libraries import needed
from townlet.errors import BadInputError
from townlet.ports import EnvironmentDescription, batched

with needed("stable_baselines3", "torch", extra="sb3"):
    from stable_baselines3.common.save_util import load_from_zip_file

    from townlet.env.spaces import action_layout, observation_layout

__all__ = ["load_script"]


def load_script(path: Path, description: EnvironmentDescription) -> Callable[..., Any]:
    """Return the greedy policy of a saved model, on the CPU; BadInputError where it is none, or does not fit.

    Loading runs code that the file holds: whoever calls this has the person's permission.
    """
    where = f"teacher sb3:{path}"
    try:
        data, parameters, _ = load_from_zip_file(path, device="cpu")
        if data is None or "policy_class" not in data:
            raise ValueError("it holds no policy")
        options = dict(data.get("policy_kwargs") or {})
        if data.get("use_sde"):  # on-policy algorithms keep this word beside the others
            options["use_sde"] = True
        policy: Any = data["policy_class"](data["observation_space"], data["action_space"], lambda _: 0.0, **options)
        policy.load_state_dict(parameters["policy"])
    except Exception as error:  # the file and its code are foreign
        raise BadInputError(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error
    if hasattr(policy, "lstm_actor"):
        raise BadInputError(f"{where} is recurrent; expected a policy without a memory")
    _check_fits(policy, description, where)
    policy.set_training_mode(False)
    takes_masks = "action_masks" in signature(policy.predict).parameters

    def predict(observations: Any, mask: Any) -> Any:
        masks = {"action_masks": mask} if takes_masks else {}
        return policy.predict(observations, deterministic=True, **masks)[0]

    predict.__name__ = f"sb3:{path.name}"
    return batched(predict)


def _check_fits(policy: Any, description: EnvironmentDescription, where: str) -> None:
    features = observation_layout(policy.observation_space, where).names
    actions = action_layout(policy.action_space, where).spec
    if features != description.features or actions != description.actions:
        raise BadInputError(
            f"{where} was made for observations {policy.observation_space} and actions {policy.action_space}; the "
            f"environment {description.id} has {len(description.features)} features and {description.actions}"
        )
