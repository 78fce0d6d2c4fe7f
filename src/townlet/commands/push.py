"""`townlet push`: bring a bundle where it is needed, a folder or a repository of the Hugging Face Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from townlet.commands.arguments import HOME, AllowImport, Home, License

__all__ = ["push"]

_CARD = "README.md"
_SPEC = "spec.json"


def push(
    policy: Annotated[
        str, Parameter(help="The folder of a bundle, as `townlet export` writes it, or a policy to make one of.")
    ],
    destination: Annotated[str, Parameter(help="A folder, or hf://USER/NAME for a repository of the Hub.")],
    *,
    force: Annotated[bool, Parameter(negative="", help="Replace another bundle in the folder.")] = False,
    private: Annotated[bool, Parameter(negative="", help="Create the repository as a private one.")] = False,
    yes: Annotated[
        bool, Parameter(negative="", help="Upload; without it, only what would be uploaded is shown.")
    ] = False,
    license: License = "unknown",  # noqa: A002  (the Hub's word)
    allow_import: AllowImport = (),
    home: Home = HOME,
) -> int:
    """Copy a bundle to a folder, or upload it to a repository of the Hugging Face Hub."""
    from townlet.commands.hub import repository_of, upload
    from townlet.dto.model_card import BUNDLE_FILES
    from townlet.errors import BadInputError
    from townlet.numerals import size
    from townlet.policy.model.weights import BUNDLE_WEIGHTS
    from townlet.report import terminal
    from townlet.store.folders import write_folder

    repository = repository_of(destination)
    files, digest = _bundle(policy, home, license, allow_import)
    listed = "\n".join(f"  {name} ({size(len(data))})" for name, data in files.items())
    if repository is None:
        changed = write_folder(Path(destination), files, known=BUNDLE_FILES, mark=BUNDLE_WEIGHTS, force=force)
        terminal.show(f"{'wrote' if changed else 'unchanged:'} {destination}, policy {digest[:12]}:\n{listed}")
        return 0
    whole = f"{'private ' if private else ''}model repository hf://{repository}, policy {digest[:12]}:\n{listed}"
    if not yes:
        terminal.show(f"to be uploaded to the {whole}")
        raise BadInputError("nothing was uploaded; whoever may see the repository will see these files: add --yes")
    terminal.say(f"uploading to the {whole}")
    address, changed = upload(
        repository, files, known=BUNDLE_FILES, private=private, message=f"Townlet policy {digest[:12]}"
    )
    terminal.show(f"uploaded {len(files)} files to {address}" if changed else f"unchanged: {address}")
    return 0


def _bundle(policy: str, home: Path, license: str, allow_import: tuple[str, ...]) -> tuple[Mapping[str, bytes], str]:  # noqa: A002
    """Return the files of a bundle and the digest of its weights, which must act as they did when they were stored."""
    from hashlib import sha256

    from townlet.commands.export import bundle_of
    from townlet.errors import BadInputError
    from townlet.policy.export.bundle import fits
    from townlet.policy.model.weights import BUNDLE_WEIGHTS, read_weights
    from townlet.store.folders import read_folder
    from townlet.store.untrusted import is_file, parse_json

    folder = Path(policy)
    if not is_file(folder / BUNDLE_WEIGHTS):
        made = bundle_of(policy, home, license=license, allow_import=allow_import)
        return made, sha256(made[BUNDLE_WEIGHTS]).hexdigest()
    files = read_folder(folder)
    if _CARD not in files:
        raise BadInputError(
            f"{folder}: holds no {_CARD}, the model card; write the bundle again: townlet export POLICY"
        )
    weights = read_weights(files[BUNDLE_WEIGHTS], str(folder / BUNDLE_WEIGHTS))
    if _SPEC in files and not fits(parse_json(files[_SPEC], folder / _SPEC), weights):
        raise BadInputError(
            f"{folder / _SPEC}: says something else of inputs and outputs than {BUNDLE_WEIGHTS}; write the bundle "
            "again: townlet export POLICY"
        )
    return files, sha256(files[BUNDLE_WEIGHTS]).hexdigest()
