"""The model card: what the gate found stands in it, what nobody knows too, and no text from outside becomes markup."""

import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from corridor import CorridorProvider
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

import townlet
from townlet.cli import run_command
from townlet.dto.model_card import CardOptions, CardPolicy, CardRun, CardSection
from townlet.errors import BadInputError
from townlet.machine.audit.card_facts import card_facts
from townlet.machine.audit.run_data import RunData
from townlet.policy.model.weights import read_weights
from townlet.policy.training.card_sources import card_policy, run_of_policy
from townlet.policy.training.strategies.base import catalogue
from townlet.report.model_card import model_card

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
EVIL = "<script>alert(1)</script>| **x** [a](http://e.vil)\n# --- `y` {{z}} $$w$$ 'q\": - !!python"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """A run of an earlier version that promoted its policy."""
    return townlet.open_run("latest", home=shutil.copytree(GOLDEN, tmp_path_factory.mktemp("golden") / "home"))


@pytest.fixture(scope="module")
def digest(run: RunData) -> str:
    """The promoted weights."""
    assert run.state.candidate is not None
    return run.state.candidate


@pytest.fixture(scope="module")
def policy(run: RunData, digest: str) -> CardPolicy:
    """Their form."""
    return card_policy(read_weights(run.blobs.get(digest), "weights"), digest)


@pytest.fixture(scope="module")
def facts(run: RunData, digest: str) -> CardRun:
    """What the run says of them."""
    return card_facts(run, digest, lambda spec: CorridorProvider().describe(spec.scenario))


def metadata(card: str) -> Any:
    """Return the front matter as the Hub reads it."""
    assert card.startswith("---\n")
    return YAML(typ="safe").load(io.StringIO(card.split("\n---\n", maxsplit=1)[0]))


def test_the_card_of_a_promoted_policy_holds_what_the_gate_found(
    policy: CardPolicy, facts: CardRun, digest: str
) -> None:
    """Difference, interval, pairs, looks, each verdict with its sentence, seeds, signature, versions, provenance."""
    card = model_card(policy, facts, options=CardOptions(license="mit"))
    assert "# corridor 1\n" in card
    assert "It was promoted to `corridor@champion`, version 1, instead of the script `teacher:lazy`, at 20" in card
    assert "20 paired episodes of `full`, look 1 of 1" in card or "look 1 of 2" in card
    (row,) = [line for line in card.splitlines() if line.startswith("| `return_per_agent_day` | `champion (")]
    assert "| 22.06 | 21.3 | 0.7625 |" in row
    assert row.endswith("| 20 |")
    assert "| `better` | pass | evaluate.return_per_agent_day 22.06 is better than champion" in card
    assert "| `worse` | fail |" in card
    assert f"seeds digest `{facts.seeds_sha256}`" in card
    assert f"- environment signature: `{policy.signature}`" in card
    assert "## What could not be seen\n\nWhat this run could not see, from 20 of " in card
    assert "- better passes with a chance of 80%" in card
    assert f"- weights: `{digest}`" in card
    assert "Base model: `lazy` (the scripted teacher)" in card
    assert [visit.state for visit in facts.training] == ["capture", "bc", "ppo"]


def test_the_card_says_which_weights_a_later_version_takes_the_place_of(policy: CardPolicy, facts: CardRun) -> None:
    """The first version takes the place of the script, each later one of the weights before it."""
    assert facts.promotion is not None
    later = evolve(facts, promotion=evolve(facts.promotion, version=2, replaced="beef" * 16))

    assert "version 2, instead of the weights `beefbeefbeef`, at" in model_card(policy, later, options=CardOptions())


def test_its_metadata_is_what_the_hub_asks_for(policy: CardPolicy, facts: CardRun) -> None:
    """Read by the Hub's own library where that is installed; a result for each KPI, none of them verified."""
    card = model_card(policy, facts, options=CardOptions(license="mit", base_model="me/teacher"))
    data = metadata(card)
    assert ("townlet", "mit", "reinforcement-learning", "me/teacher") == tuple(
        data[name] for name in ("library_name", "license", "pipeline_tag", "base_model")
    )
    assert ["reinforcement-learning", "townlet", "corridor"] == data["tags"]
    (result,) = data["model-index"][0]["results"]
    assert {"type": "corridor", "name": "corridor/plain"} == result["dataset"]
    assert ["return_per_agent_day", "queue_intensity", "deaths"] == [each["type"] for each in result["metrics"]]
    assert 22.0625 == result["metrics"][0]["value"]
    assert not any(each["verified"] for each in result["metrics"])


def test_the_hubs_library_reads_the_metadata(policy: CardPolicy, facts: CardRun) -> None:
    """Task, environment and KPIs arrive as evaluation results."""
    hub = pytest.importorskip("huggingface_hub")
    read = hub.ModelCard(model_card(policy, facts, options=CardOptions()))
    results = {each.metric_type: each.metric_value for each in read.data.eval_results}
    assert 22.0625 == results["return_per_agent_day"]
    assert "corridor 1" == read.data.model_name


def test_the_same_run_gives_the_same_bytes(run: RunData, policy: CardPolicy, facts: CardRun, digest: str) -> None:
    """Read anew from its directory."""
    again = card_facts(townlet.open_run(run.path), digest, lambda spec: CorridorProvider().describe(spec.scenario))
    assert model_card(policy, facts, options=CardOptions()) == model_card(policy, again, options=CardOptions())


@pytest.mark.parametrize(
    ("change", "first"),
    [
        (
            {"promotion": None, "statement": None, "ended": "hold: too weak"},
            "# corridor: a candidate that was not promoted",
        ),
        ({"rehearsal": True}, "# corridor 1: a rehearsal, not for use"),
    ],
)
def test_what_was_not_promoted_says_so_first(
    policy: CardPolicy, facts: CardRun, change: dict[str, Any], first: str
) -> None:
    """A rehearsal's numbers are no result of the Hub."""
    card = model_card(policy, evolve(facts, **change), options=CardOptions())
    assert first == card.split("\n---\n")[1].strip().splitlines()[0]
    assert ("rehearsal" in change) is not ("model-index" in metadata(card))


def test_weights_without_a_run_say_what_is_unknown(policy: CardPolicy) -> None:
    """Neither a teacher nor an evaluation is made up."""
    card = model_card(policy, None, options=CardOptions())
    assert "of unknown origin" in card
    assert "Not known: no run compared these weights with anything." in card
    assert {"library_name", "license", "pipeline_tag", "tags"} == set(metadata(card))
    assert "unknown" == metadata(card)["license"]


def test_no_text_from_outside_becomes_markup_or_metadata(policy: CardPolicy, facts: CardRun) -> None:
    """Names of environments, features, guards and reasons, sentences of guards, titles of sections."""
    guards = tuple(evolve(each, guard=EVIL, sentence=EVIL) for each in facts.guards)
    evil = evolve(
        facts,
        environment=EVIL,
        scenario=EVIL,
        schedule=EVIL,
        teacher=EVIL,
        ended=EVIL,
        guards=guards,
        edge=EVIL,
        promotion=None,
        reservations=(EVIL,),
        versions={EVIL: EVIL},
    )
    form = evolve(policy, features=(EVIL,), outputs=(EVIL,), signature=EVIL)
    card = model_card(form, evil, options=CardOptions(), sections=[CardSection(title=EVIL, lines=(EVIL,))])
    data = metadata(card)
    assert EVIL.replace("\n", r"\n").endswith(data["tags"][2])
    assert {"library_name", "license", "pipeline_tag", "tags", "model-index"} == set(data)
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table"]).parse(card.split("\n---\n", 1)[1])
    inline = [token for each in tokens for token in each.children or ()]
    kinds = {token.type for token in (*tokens, *inline)}
    assert set() == kinds & {"link_open", "image", "html_inline", "html_block", "em_open", "strong_open", "hr"}
    texts = "".join(token.content for token in inline if token.type == "text")
    assert EVIL.replace("\n", r"\n") in texts  # it is shown as it is
    headings = [tokens[index + 1].content for index, token in enumerate(tokens) if token.type == "heading_open"]
    assert ["Intended use", "How to use", "Form", "Training", "Evaluation"] == headings[1:6]
    assert 9 == len(headings)
    source = "".join(each.content for each in tokens if each.type == "inline")
    assert "$$" not in re.sub(r"(`+).*?(?<!`)\1(?!`)", "", source, flags=re.DOTALL)
    assert "http://" not in re.sub(r"(`+).*?(?<!`)\1(?!`)", "", source, flags=re.DOTALL)
    width = 0
    for token in tokens:
        width = width * (token.type != "tr_open") + (token.type in ("td_open", "th_open"))
        assert token.type != "tr_close" or width in (3, 4, 7)


def test_other_parts_add_sections(policy: CardPolicy, facts: CardRun) -> None:
    """Such as the certificate of an ONNX graph; files of the bundle are named where they are there."""
    section = CardSection(title="ONNX", lines=("largest difference 3e-7 on 1,000 observations",))
    card = model_card(policy, facts, options=CardOptions(), files=("act.py", "README.md"), sections=[section])
    assert "## ONNX\n\n- largest difference 3e-7 on 1,000 observations\n" in card
    assert "`python act.py --verify`" in card
    assert "model.onnx" not in card


def test_the_run_of_a_policy_is_found_by_its_digest(run: RunData, digest: str, tmp_path: Path) -> None:
    """And weights that no run had have none."""
    home = run.directory.home(run.home)
    found = run_of_policy("corridor@champion", digest, home, catalogue())
    assert found is not None
    assert run.id == found.id
    assert run_of_policy("latest", "0" * 64, home, catalogue()) is None
    assert run_of_policy("latest", digest, tmp_path, catalogue()) is None
    with pytest.raises(BadInputError, match="never had the weights 000000000000"):
        card_facts(run, "0" * 64, lambda spec: CorridorProvider().describe(spec.scenario))


@pytest.mark.parametrize("words", [{"license": "My own!"}, {"base_model": "teacher:balance"}])
def test_what_the_hub_would_refuse_is_refused_here(words: dict[str, str]) -> None:
    """Before anything is uploaded."""
    with pytest.raises(BadInputError):
        CardOptions(**words)


def test_the_command_prints_it(run: RunData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An environment that is not installed here is a reservation, not an error; a file that exists is kept."""
    home, out = str(run.directory.home(run.home)), tmp_path / "README.md"
    assert 0 == run_command(["card", "latest", "--home", home, "--license", "apache-2.0", "--out", str(out)])
    assert "apache-2.0" == metadata(out.read_text())["license"]
    assert "the environment cannot be asked for directions and scenarios" in out.read_text()
    assert 2 == run_command(["card", "latest", "--home", home, "--out", str(out)])
    assert 2 == run_command(["card", "teacher:lazy", "--home", home])
    assert "is a script" in capsys.readouterr().err


def test_a_weights_file_of_somebody_is_of_unknown_origin(
    run: RunData, digest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A home that never had it says so; the home of its run says what it knows."""
    file = tmp_path / "w.safetensors"
    file.write_bytes(run.blobs.get(digest))
    assert 0 == run_command(["card", str(file), "--home", str(tmp_path / "none")])
    assert "of unknown origin" in capsys.readouterr().out
    assert 0 == run_command(["card", str(file), "--home", str(run.directory.home(run.home))])
    assert "It was promoted to" in capsys.readouterr().out


def test_a_card_names_no_path_of_the_machine_that_made_it(run: RunData, digest: str, tmp_path: Path) -> None:
    """Where the evidence is lost, the card says that it is, and not where it was looked for."""
    home = Path(shutil.copytree(run.directory.home(run.home), tmp_path / "home"))
    lost = townlet.open_run("latest", home=home)
    facts = card_facts(lost, digest, lambda spec: CorridorProvider().describe(spec.scenario))
    assert facts.evidence is not None
    lost.blobs.path(facts.evidence.digest).unlink()
    weights = read_weights(lost.blobs.get(digest), "weights")
    again = card_facts(
        townlet.open_run("latest", home=home), digest, lambda spec: CorridorProvider().describe(spec.scenario)
    )
    card = model_card(card_policy(weights, digest), again, options=CardOptions())
    assert "- the paired episodes could not be read where this card was made" in card
    assert "| `better` | pass |" in card
    assert str(tmp_path) not in card
