"""Models on the Hugging Face hub, through the package ``huggingface-hub``, which is asked for nothing unasked.

What is fetched lies in the cache folder, and is verified by its manifest like any saved model. ``HF_ENDPOINT`` names
another hub, and ``HF_TOKEN`` says who asks, as that package has it.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inrkit.errors import DataError, UsageError
from inrkit.storage.cache import cache_folder
from inrkit.storage.modelfolder import FILES, is_model

_ADDRESS = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?")


def parse(address: str) -> tuple[str, str | None]:
    """Of "owner/name@revision", the name of the repository, and the revision if one is given."""
    if found := _ADDRESS.fullmatch(address):
        return found[1], found[2]
    raise UsageError(f"expected hf://owner/name or hf://owner/name@revision, found 'hf://{address}'")


def fetch(address: str) -> Path:
    """The folder of "owner/name" or "owner/name@revision" in the cache; what is there already is not fetched again."""
    name, revision = parse(address)
    package = _package("hf://")
    place = re.sub(r"[^\w.-]", "--", f"{name}@{revision}" if revision else name)
    folder = cache_folder() / "hub" / place
    with _told(f"hf://{address}"):
        package.snapshot_download(
            name,
            revision=revision,
            local_dir=folder,
            allow_patterns=list(FILES),
            endpoint=os.environ.get("HF_ENDPOINT"),
        )
    if not is_model(folder):
        raise DataError(f"hf://{address}: expected a model that inrkit saved, found another; ask its owner")
    return folder


def push(folder: Path, address: str, *, private: bool) -> str:
    """Upload a saved model as a repository of its own, made if need be; its address on the web."""
    name, revision = parse(address)
    api = _package("push").HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    with _told(f"hf://{address}"):
        api.create_repo(name, private=private, exist_ok=True)
        said = api.upload_folder(
            repo_id=name,
            folder_path=folder,
            revision=revision,
            allow_patterns=list(FILES),
            commit_message="inrkit model",
        )
    return str(said)


def _package(what: str) -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        command = 'pip install "inrkit[hub]"'
        raise UsageError(f"'{what}' needs huggingface-hub, which is not installed; run: {command}") from error
    return huggingface_hub


@contextmanager
def _told(address: str) -> Iterator[None]:
    """Whatever the hub or the network say, in one line."""
    from huggingface_hub import errors

    try:
        yield
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise DataError(
            f"{address}: expected a model on the hub, found none of that name, or one that HF_TOKEN may not read; "
            "check owner, name and revision"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise DataError(f"{address}: expected to reach the hub, found no connection; check the network") from error
    except Exception as error:
        if not (isinstance(error, OSError) or _of_network(error)):
            raise
        text = " ".join(str(error).split())[:160]
        raise DataError(f"{address}: the hub or the network refused: {text}; check the network and HF_TOKEN") from error


def _of_network(error: Exception) -> bool:
    """The errors of the package and of what it sends requests by."""
    # One name for each that it used: httpx2 is the newest.
    return type(error).__module__.startswith(("huggingface_hub", "httpx", "httpcore", "requests", "urllib3", "hf_xet"))
