"""Upload files to a repository of the Hugging Face Hub; the one file that imports its library."""

import re
from collections.abc import Mapping

from townlet.env.libraries import needed
from townlet.errors import BadInputError, ResourceFaultError

__all__ = ["repository_of", "upload"]


def upload(repository: str, files: Mapping[str, bytes], *, private: bool, message: str) -> str:
    """Create a model repository where there is none, commit the files to it in one commit, and return its address.

    Other files of the repository stay, as do earlier commits. The token is the one of the library's own login.
    BadInputError where the Hub refuses, ResourceFaultError where it cannot be reached.
    """
    with needed("huggingface_hub", extra="hub"):
        from huggingface_hub import CommitOperationAdd, HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
        from huggingface_hub.utils import disable_progress_bars
    disable_progress_bars()
    api = HfApi(library_name="townlet")
    try:
        made = api.create_repo(repository, private=private or None, exist_ok=True)
        additions = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=data) for name, data in files.items()]
        api.create_commit(repository, additions, commit_message=message)
    except (HfHubHTTPError, HFValidationError, ValueError) as error:
        raise BadInputError(
            f"hf://{repository}: refused: {' '.join(str(error).split())}; where you are not logged in: hf auth login"
        ) from error
    except (HTTPError, OSError) as error:
        raise ResourceFaultError(f"hf://{repository}: {api.endpoint} cannot be reached: {error}") from error
    return str(made)


def repository_of(destination: str) -> str | None:
    """Return the repository that ``hf://USER/NAME`` names; None for a folder. BadInputError for another ``hf://``."""
    if not destination.startswith("hf://"):
        return None
    repository = destination.removeprefix("hf://")
    if re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", repository, re.ASCII) is None:
        raise BadInputError(f"{destination!r} names no repository; expected hf://USER/NAME")
    return repository
