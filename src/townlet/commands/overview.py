"""What `townlet --help` shows of all commands: their groups and the exit codes; and the page made from both."""

from collections.abc import Iterator

from cyclopts import App, Group

from townlet.errors import EXIT_CODES

__all__ = ["ANSWERING", "LOOKING", "OTHERS", "PLANNING", "RUNNING", "commands_in", "exit_codes_text", "reference"]

PLANNING = Group("Before a run", sort_key=1)
RUNNING = Group("A run", sort_key=2)
ANSWERING = Group("Commands to a run", sort_key=3)
LOOKING = Group("After a run", sort_key=4)
OTHERS = Group("Other commands", sort_key=5)
_GROUPS = (PLANNING, RUNNING, ANSWERING, LOOKING, OTHERS)


def exit_codes_text() -> str:
    """Return the exit codes as the last lines of the help."""
    lines = (f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())
    return "\n".join(("Exit codes:", *lines))


def commands_in(app: App, group: Group) -> Iterator[tuple[str, str]]:
    """Yield each command of a group, those below it as well, with the first sentence of its help."""
    for name in app:
        command = app[name]
        if not name.startswith("-") and command.group in (group, (group,)):
            yield name, _first_sentence(command.help)
            yield from (
                (f"{name} {each}", _first_sentence(command[each].help)) for each in command if not each.startswith("-")
            )


def reference(app: App) -> str:
    """Return docs/reference/commands.md."""
    lines = [
        "# The command line",
        "",
        "`townlet COMMAND --help` names the arguments of a command; `python -m townlet` is the same program. Results "
        "go to stdout, progress and messages to stderr. This page is generated from `townlet.cli`.",
        "",
    ]
    for group in _GROUPS:
        lines += [f"## {group.name}", "", "| command | |", "|---|---|"]
        lines += [f"| `townlet {name}` | {sentence} |" for name, sentence in commands_in(app, group)]
        lines.append("")
    lines += ["## Exit codes", "", "| code | |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join([*lines, "", *_NOTES]) + "\n"


_NOTES = (
    "## Completion",
    "",
    "The shell completes commands, options and their values after one of these:",
    "",
    "```sh",
    "townlet completion bash > ~/.local/share/bash-completion/completions/townlet",
    "townlet completion zsh > ~/.zsh/completions/_townlet  # a directory of zsh's fpath",
    "townlet completion fish > ~/.config/fish/completions/townlet.fish",
    "```",
    "",
    "## Names of runs",
    "",
    "RUN is a run directory, the beginning of a run id that no other has, `latest` (the youngest run that is no "
    "rehearsal) or `latest-rehearsal`. `townlet runs` lists them all.",
)


def _first_sentence(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split()).rstrip(".")
