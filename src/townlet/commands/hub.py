"""Upload files to a repository of the Hugging Face Hub; the one file that imports its library."""

import re
from collections.abc import Collection, Mapping

from townlet.env.libraries import needed
from townlet.errors import BadInputError, ResourceFaultError

__all__ = ["repository_of", "upload"]

_SERVER_ERRORS = 500
"""Least status of an answer that says that the server failed."""


def upload(
    repository: str, files: Mapping[str, bytes], *, known: Collection[str], private: bool, message: str
) -> tuple[str, bool]:
    """Commit files to a model repository in one commit; return its address, and whether anything changed.

    The repository is created where there is none. A file that has a name of `known` and is not in `files` is removed:
    it would belong to another bundle. Other files stay, as do earlier commits. The token is the one of the library's
    own login. BadInputError without one, where the Hub refuses, and, with `private`, for a repository that others may
    see; ResourceFaultError where the Hub cannot be reached.
    """
    with needed("huggingface_hub", extra="hub"):
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
        from huggingface_hub.utils import disable_progress_bars, logging
    disable_progress_bars()
    logging.set_verbosity_error()
    if get_token() is None:
        raise BadInputError(f"hf://{repository}: you are not logged in to the Hub, and nothing was sent: hf auth login")
    api = HfApi(library_name="townlet")
    try:
        made = api.create_repo(repository, private=private or None, exist_ok=True)
        before = api.model_info(repository)
        if private and not before.private:
            raise BadInputError(
                f"hf://{repository}: exists and everybody may see it; nothing was uploaded: make it private on the "
                "Hub, or name another"
            )
        stale = {each.rfilename for each in before.siblings or ()} & set(known) - set(files)
        added = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=data) for name, data in files.items()]
        removed = [CommitOperationDelete(path_in_repo=name) for name in sorted(stale)]
        commit = api.create_commit(repository, [*added, *removed], commit_message=message)
    except (HTTPError, OSError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code < _SERVER_ERRORS:
            raise _refusal(repository, error) from error
        raise ResourceFaultError(f"hf://{repository}: {api.endpoint} cannot be reached: {_line(error)}") from error
    except (HFValidationError, ValueError, KeyError, TypeError) as error:  # also an answer that is not the Hub's
        raise _refusal(repository, error) from error
    return str(made), commit.oid != before.sha


def _refusal(repository: str, error: Exception) -> BadInputError:
    return BadInputError(
        f"hf://{repository}: refused: {_line(error)}; where the token is an old one, or may not write: hf auth login"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def repository_of(destination: str) -> str | None:
    """Return the repository that ``hf://USER/NAME`` names; None for a folder. BadInputError for another ``hf://``."""
    if not destination.startswith("hf://"):
        return None
    repository = destination.removeprefix("hf://")
    if re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", repository, re.ASCII) is None:
        raise BadInputError(f"{destination!r} names no repository; expected hf://USER/NAME")
    return repository
