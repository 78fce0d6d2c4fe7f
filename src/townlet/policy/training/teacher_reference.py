"""Teachers that a schedule names by where they are: ``module:name``, ``sb3:FILE.zip``, ``policy:NAME``."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from attrs import frozen

from townlet.dto.schedule import PolicySpec
from townlet.errors import BadInputError
from townlet.imports import FLAG, Imports
from townlet.policy.model.weights import LIMIT, read_weights
from townlet.policy.training.argument_checks import as_teacher, teacher_maker
from townlet.ports import EnvironmentDescription, EnvironmentProvider, Script, Teacher
from townlet.store.blobs import BlobStore
from townlet.store.path_text import local_path
from townlet.store.untrusted import read_regular

__all__ = ["TeacherFinder", "policy_bytes"]

_SB3 = "stable_baselines3"


def policy_bytes(policy: PolicySpec, folder: Path, blobs: BlobStore) -> bytes:
    """Return the weights of a policy from outside: of its file, else of the home; BadInputError for another digest."""
    if policy.file is None:
        return blobs.get(policy.sha256)
    data = read_regular(folder / local_path(policy.file), LIMIT)
    if sha256(data).hexdigest() != policy.sha256:
        raise BadInputError(f"{policy.file}: changed while the schedule was checked; leave the file as it is")
    return data


@frozen(kw_only=True)
class TeacherFinder:
    """Finds the teacher of a reference for an environment."""

    environment: EnvironmentProvider
    """Whose scripts can teach."""
    description: EnvironmentDescription
    """Of the scenario that it plays."""
    policies: Mapping[str, PolicySpec]
    """Weights from outside, by name."""
    imports: Imports
    """The modules that may be imported."""
    folder: Path
    """Where paths are looked for."""
    blobs: BlobStore
    """Where weights are that have no file."""

    def maker_of(self, reference: str) -> Callable[[], Teacher]:
        """Return what makes the teacher; BadInputError where it is not there, does not fit, or is no teacher."""
        family, _, rest = reference.partition(":")
        if family == "policy":
            return self._policy(rest)
        if family == "sb3":
            return teacher_maker(self.environment, self._saved_model(self.folder / local_path(rest)))
        loaded = self.imports.load(reference, f"teacher {reference}")
        try:
            found = as_teacher(loaded)
        except BadInputError as error:
            raise BadInputError(f"teacher {reference}: {error}") from error
        if isinstance(found, str):
            raise BadInputError(f"teacher {reference} is the text {found!r}; expected a function or an object with act")
        return teacher_maker(self.environment, found)

    def _policy(self, name: str) -> Callable[[], Teacher]:
        source = f"teacher policy:{name}"
        if name not in self.policies:
            known = ", ".join(self.policies) or "none"
            raise BadInputError(
                f"{source}: there is no {name!r} under policies (there are {known}); write policies: "
                f"{{{name}: {{sha256: DIGEST}}}} with the digest of a registered version"
            )
        weights = read_weights(policy_bytes(self.policies[name], self.folder, self.blobs), source)
        weights.check_fits(self.description, source)
        return weights.policy

    def _saved_model(self, path: Path) -> Script:
        if not self.imports.allows(_SB3):
            raise BadInputError(
                f"teacher sb3:{path.name} would run code that the file holds; if you trust it, allow it: "
                f"{FLAG} {_SB3}, or in Python allow_imports=[{_SB3!r}]"
            )
        from townlet.env.sb3_teacher import load_script

        return load_script(path, self.description)
