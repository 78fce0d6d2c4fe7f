"""`townlet play`: one episode on a page, as one policy plays it or as two do, side by side."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from townlet.commands.arguments import HOME, AllowImport, Home, find_run

__all__ = ["play"]

if TYPE_CHECKING:
    from collections.abc import Callable

    from townlet.dto.recording import RecordedPair
    from townlet.imports import Imports
    from townlet.policy.training.episode_choice import ChosenEpisode

_MOST_POLICIES = 2
_REGISTRY = "registry:"


def play(
    *,
    policy: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            consume_multiple=False,
            help="teacher:NAME, NAME@ALIAS of a registry, a run, `latest`, a weights file, a bundle, or the beginning "
            "of a digest; give it twice to see two side by side.",
        ),
    ] = (),
    run: Annotated[
        str | None, Parameter(help="Show an episode of the evidence of this run, candidate beside baseline.")
    ] = None,
    episode: Annotated[
        str, Parameter(help="Number of the episode, from 0; with --run also gain or loss, the candidate's largest.")
    ] = "0",
    environment: Annotated[str | None, Parameter(help="Environment id; by default the policy's own.")] = None,
    scenario: Annotated[str | None, Parameter(help="Scenario to play; by default the policy's own.")] = None,
    days: Annotated[
        int | None, Parameter(help="Length of the episode; by default that of the policy's evidence, else 14.")
    ] = None,
    max_steps: Annotated[
        int | None, Parameter(help="Decisions after which an episode of an environment without days is cut.")
    ] = None,
    seed: Annotated[int | None, Parameter(help="Seed of the episodes, as townlet evaluate counts them; 0.")] = None,
    actions: Annotated[
        Literal["greedy", "stochastic"] | None, Parameter(help="How learned policies choose; greedy.")
    ] = None,
    every: Annotated[
        int | None, Parameter(help="Decisions between two pictures of an environment that draws itself.")
    ] = None,
    out: Annotated[
        Path, Parameter(help="File to write; one that ends with .gif gets the pictures that the environment draws.")
    ] = Path("play.html"),
    force: Annotated[bool, Parameter(negative="", help="Replace the file where it exists.")] = False,
    allow_import: AllowImport = (),
    home: Home = HOME,
) -> int:
    """Write a page that plays one episode: of one policy, or of two side by side from the same beginning."""
    from townlet.env.libraries import needed
    from townlet.errors import BadInputError
    from townlet.imports import Imports
    from townlet.machine.audit.run_data import RunData
    from townlet.numerals import size
    from townlet.policy.training.episode_choice import episode_of_run
    from townlet.policy.training.episode_pair import record_pair
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal
    from townlet.store.files import write_atomic
    from townlet.store.outputs import require_output_file

    with needed("jinja2", "markupsafe", extra="report"):
        from townlet.report.html.viewer import viewer_page, viewer_sentences
    require_output_file(out, "--out")
    if out.exists() and not force:
        raise BadInputError(f"{out} exists already; name another file with --out, or add --force")
    imports = Imports(tuple(allow_import))
    if run is not None:
        stated = {
            "policy": policy, "environment": environment, "days": days, "max-steps": max_steps,
            "seed": seed, "actions": actions,
        }  # fmt: skip
        beside = [f"--{name}" for name, value in stated.items() if value not in (None, ())]
        if beside:
            raise BadInputError(f"--run says what is played; leave out {' and '.join(beside)}, or --run")
        own, directory = find_run(home, run)
        chosen = episode_of_run(
            RunData.read(directory, own, catalogue()), imports=imports, episode=episode, scenario=scenario
        )
    else:
        chosen = _of_policies(policy, home, imports, environment, scenario, max_steps)(
            seed=seed or 0, episode=episode, days=days, actions=actions or "greedy"
        )
    pair = record_pair(chosen, every=every)
    if every is not None and pair.episodes[0].film is None:
        terminal.warn("--every changes nothing here: it is for environments that draw pictures of themselves")
    is_gif = out.suffix.lower() == ".gif"
    content = _gif(pair) if is_gif else viewer_page(pair).encode()
    write_atomic(out, content)
    hint = "" if is_gif else "; open it in a browser"
    terminal.show("\n".join((*viewer_sentences(pair), f"wrote {out} ({size(len(content))}){hint}")))
    return 0


def _gif(pair: "RecordedPair") -> bytes:
    from townlet.env.libraries import needed

    with needed("PIL", extra="report"):
        from townlet.report.film_gif import film_gif
    return film_gif(pair)


def _of_policies(
    words: tuple[str, ...],
    home: Path,
    imports: "Imports",
    environment: str | None,
    scenario: str | None,
    max_steps: int | None,
) -> "Callable[..., ChosenEpisode]":
    """Return what chooses an episode for the policies that these words name; BadInputError for none, and for three."""
    from attrs import evolve

    from townlet.dto.schedule import EnvironmentSpec
    from townlet.errors import BadInputError
    from townlet.policy.model.weights import BUNDLE_WEIGHTS
    from townlet.policy.training.episode_choice import episode_of_seed
    from townlet.policy.training.policy_references import resolve
    from townlet.policy.training.strategies.base import catalogue

    if not 1 <= len(words) <= _MOST_POLICIES:
        raise BadInputError(
            f"{len(words)} policies are named; expected --policy once or twice, such as --policy latest --policy "
            "teacher:scripted, or --run RUN for an episode of a run's evidence"
        )
    found = []
    for word in words:
        bundled = Path(word) / BUNDLE_WEIGHTS
        found.append(resolve(str(bundled) if bundled.is_file() else word.removeprefix(_REGISTRY), home, catalogue()))
    # The first learned policy says where it is at home, as with `townlet evaluate`.
    spec = next((each.environment for each in found if each.environment), None)
    spec = spec or EnvironmentSpec(id="town", scenario="small_town")
    spec = spec if environment is None else EnvironmentSpec(id=environment)
    spec = spec if scenario is None else evolve(spec, scenario=scenario)
    spec = spec if max_steps is None else evolve(spec, max_steps=max_steps)
    return partial(episode_of_seed, tuple(found), environment=spec, imports=imports)
