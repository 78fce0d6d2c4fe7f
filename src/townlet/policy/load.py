"""Load a policy: from a file, a bundle, a run or the registry."""

from hashlib import sha256
from pathlib import Path

from townlet.dto.problems import short_repr
from townlet.errors import BadInputError
from townlet.policy.model.policy import Policy
from townlet.policy.model.weights import BUNDLE_WEIGHTS, LIMIT, read_weights
from townlet.store.untrusted import is_file, read_regular

__all__ = ["load_policy"]

_REGISTRY = "registry:"


def load_policy(source: Path | str, *, home: Path | str = ".townlet") -> Policy:
    """Return the policy that `source` names; it acts with numpy alone.

    A weights file, a bundle's folder, ``registry:NAME@ALIAS``, or what `townlet evaluate` takes for a policy: a run
    (its directory, the beginning of its id, ``latest``), ``NAME@ALIAS``, the first digits of a digest. `home` holds
    runs and registry. The file is untrusted: it is checked, and its probe batch is recomputed. BadInputError where
    there is no such policy, and for a file that is none.
    """
    for name, value in (("source", source), ("home", home)):
        if not isinstance(value, str | Path):
            raise BadInputError(f"load_policy: {name} is {short_repr(value)}; expected a path or a text")
    word = str(source)
    if not word.startswith(_REGISTRY):
        path = next((path for path in (Path(word, BUNDLE_WEIGHTS), Path(word)) if is_file(path)), None)
        if path is not None:
            return _read(read_regular(path, LIMIT), word)
    from townlet.policy.training.policy_references import resolve
    from townlet.policy.training.strategies.base import catalogue

    reference = resolve(word.removeprefix(_REGISTRY), Path(home), catalogue())
    if reference.teacher is not None:
        raise BadInputError(f"{word!r} is a script; load_policy loads learned weights")
    return _read(reference.weights, reference.source)


def _read(data: bytes, source: str) -> Policy:
    return Policy(weights=read_weights(data, source), digest=sha256(data).hexdigest(), source=source)
