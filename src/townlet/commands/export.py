"""`townlet export`: a policy as files that act without Townlet."""

from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from townlet.commands.arguments import HOME, AllowImport, Home, License, PolicyWord

if TYPE_CHECKING:
    from townlet.dto.model_card import CardSection
    from townlet.dto.schedule import EnvironmentSpec
    from townlet.machine.audit.run_data import RunData
    from townlet.policy.data.dataset import Dataset
    from townlet.policy.model.weights import Weights

__all__ = ["bundle_of", "export"]


def export(
    policy: PolicyWord,
    *,
    bundle: Annotated[Path, Parameter(help="Folder to write.")],
    zip: Annotated[bool, Parameter(negative="", help="Write the bundle as one file, FOLDER.zip, instead.")] = False,  # noqa: A002
    onnx: Annotated[
        bool, Parameter(negative="", help="Add an ONNX graph that was compared with the policy; needs townlet[onnx].")
    ] = False,
    force: Annotated[bool, Parameter(negative="", help="Replace another bundle in the folder.")] = False,
    license: License = "unknown",  # noqa: A002  (the Hub's word)
    allow_import: AllowImport = (),
    home: Home = HOME,
) -> int:
    """Write a policy as a bundle: weights, model card, provenance, recorded actions, and programs that act alone."""
    from townlet.dto.model_card import BUNDLE_FILES
    from townlet.errors import BadInputError
    from townlet.numerals import size
    from townlet.policy.export.bundle import zip_bytes
    from townlet.policy.model.weights import BUNDLE_WEIGHTS
    from townlet.report import terminal
    from townlet.store.archives import write_archive
    from townlet.store.folders import write_folder

    if bundle.name in ("", ".."):
        raise BadInputError(f"--bundle {bundle}: names no folder of its own; expected one that can be made or replaced")
    target = bundle.with_name(f"{bundle.name}.zip") if zip and bundle.suffix != ".zip" else bundle
    files = bundle_of(policy, home, license=license, onnx=onnx, allow_import=allow_import)
    if zip:
        changed = write_archive(target, zip_bytes(files), known=BUNDLE_FILES, mark=BUNDLE_WEIGHTS, force=force)
    else:
        changed = write_folder(target, files, known=BUNDLE_FILES, mark=BUNDLE_WEIGHTS, force=force)
    listed = "\n".join(f"  {name} ({size(len(data))})" for name, data in files.items())
    terminal.show(f"{'wrote' if changed else 'unchanged:'} {target}:\n{listed}")
    if not zip:
        terminal.say(f"verify it where numpy is: {join(['python', str(bundle.absolute() / 'act.py'), '--verify'])}")
    return 0


def bundle_of(
    policy: str,
    home: Path,
    *,
    license: str = "unknown",  # noqa: A002
    onnx: bool = False,
    allow_import: tuple[str, ...] = (),
) -> dict[str, bytes]:
    """Return the files of a bundle; BadInputError for a script, and where no run recorded enough to verify it on."""
    from townlet.canonical import canonical_json
    from townlet.commands.card import card_text
    from townlet.dto.model_card import BUNDLE_FILES, CardOptions
    from townlet.errors import BadInputError
    from townlet.machine.audit.card_facts import provenance_of
    from townlet.policy.export.bundle import BundleSpec, bundle_files, recorded_decisions
    from townlet.policy.training.card_sources import find_learned
    from townlet.policy.training.strategies.base import catalogue

    source = find_learned(policy, home, catalogue())
    run, weights = source.run, source.weights
    if run is None:
        raise BadInputError(
            f"{policy!r}: no run of the home {home.absolute()} made these weights, so there are no recorded "
            "observations to verify a bundle on; name the home of their run with --home; without a run the weights "
            "file itself is what can be passed on: townlet.load_policy acts with it"
        )
    environment, statement = run.schedule.environment, provenance_of(run, source.digest)
    provenance = None if statement is None else canonical_json(statement.layout()) + b"\n"
    spec = BundleSpec(
        environment=f"{environment.id}/{environment.scenario}", decisions_per_day=_clock(environment, allow_import)
    )
    probe = recorded_decisions(_dataset(run))
    model, sections = _graph(weights, probe) if onnx else (None, ())
    absent = {"provenance.json" * (provenance is None), "model.onnx" * (model is None)}
    names = [name for name in BUNDLE_FILES if name not in absent]
    options = CardOptions(license=license)
    card = card_text(source, options, allow_import=allow_import, files=names, sections=sections)
    return bundle_files(source.data, weights, spec, probe, card=card, provenance=provenance, model=model)


def _graph(weights: "Weights", probe: "tuple[Any, Any]") -> "tuple[bytes, tuple[CardSection, ...]]":
    """Return an ONNX graph that acts as the policy on recorded observations, and what the card says of it."""
    from townlet.dto.model_card import CardSection
    from townlet.policy.export.onnx_certificate import TOLERANCE, certify
    from townlet.policy.export.onnx_graph import onnx_model

    model = onnx_model(weights)
    proof = certify(model, weights, *probe)
    lines = (
        f"model.onnx has the sha256 {proof.sha256} and operators of version {proof.opset}",
        f"compared with the policy in numpy on {proof.rows:,} recorded observations, in batches of "
        f"{', '.join(map(str, proof.batches))}, by onnxruntime {proof.runtime} on the CPU",
        f"largest difference of an output {proof.difference:.2g}, where the largest output is {proof.largest:.3g}; "
        f"as a share of its row's largest output, or of 1 where that is larger, {proof.share:.2g}; allowed is "
        f"{TOLERANCE:g}",
        f"{proof.ties} actions differ, all of them at ties" if proof.ties else "no action differs",
    )
    return model, (CardSection(title="ONNX", lines=lines),)


def _clock(environment: "EnvironmentSpec", allow_import: tuple[str, ...]) -> int | None:
    """Return the decisions of one day; None where the environment has no days, or cannot be asked here."""
    from townlet.errors import BadInputError
    from townlet.imports import Imports
    from townlet.ports import provider

    try:
        return provider(environment, Imports(allow_import)).describe(environment.scenario).decisions_per_day
    except BadInputError:
        return None


def _dataset(run: "RunData") -> "Dataset":
    """Return the last recording of a run; BadInputError where it made none, or where it is gone."""
    from townlet.errors import BadInputError
    from townlet.policy.data.dataset import read_dataset

    digests = [visit.result.blobs.get("dataset", "") for visit in run.visits if visit.result is not None]
    digest = next((each for each in reversed(digests) if each), None)
    if digest is None:
        raise BadInputError(
            f"run {run.id} recorded nothing that a bundle could be verified on; expected a schedule that captures"
        )
    return read_dataset(run.blobs.get(digest), f"data set {digest[:12]} of run {run.id}")
