"""Metadata of an exported .c file: a JSON object in the comment at its beginning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from aum_edge.errors import ExportError
from aum_edge.runtimes.onnx_metadata import FileMetadata, read_metadata

OPENING = "/* aum-edge model\n"
CLOSING = "\n*/\n"
PROOF = "proof"
VERIFIED, UNVERIFIED = "verified", "unverified"
MOST_CHARACTERS = 1 << 20


def comment(props: Mapping[str, str]) -> str:
    """The block for the values of ``describe_model`` and whatever else the program states.

    A file begins as unverified: the proof says otherwise, see :func:`marked`.
    """
    values = {PROOF: UNVERIFIED, **props}
    # No value may end the comment or begin another, and none may be read as a trigraph.
    text = json.dumps(values, indent=1, sort_keys=True)
    for word, written in (("/*", "\\u002f*"), ("*/", "*\\u002f"), ("??", "?\\u003f")):
        text = text.replace(word, written)
    return f"{OPENING}{text}{CLOSING}"


def marked(source: str, proof: str) -> str:
    """A file's text that says whether it was verified.

    Raises:
        ExportError: If the text does not begin with a block.
    """
    props = _props(source, "The file")
    end = source.index(CLOSING) + len(CLOSING)
    return comment({**props, PROOF: proof}) + source[end:]


def read_c_metadata(path: Path) -> FileMetadata:
    """Labels, front end and the rest of an exported .c file.

    Raises:
        ExportError: If the file is missing, not one of ours, or its block is damaged.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS)
    except OSError as error:
        raise ExportError(f"Cannot read {path} ({error.strerror}): give a .c file.") from error
    except UnicodeDecodeError as error:
        raise ExportError(f"{path} is no text: give a .c file that aum-edge wrote.") from error
    return read_metadata(_props(text, str(path)), str(path))


def _props(text: str, name: str) -> dict[str, str]:
    if not text.startswith(OPENING):
        raise ExportError(
            f"{name} does not begin with the comment that aum-edge writes (labels, front end): "
            "export the model with `aum-edge export MODEL NAME.c`."
        )
    body, found, _ = text[len(OPENING) :].partition(CLOSING)
    try:
        values = json.loads(body)
    except ValueError:
        values = None
    if not found or not isinstance(values, dict):
        raise ExportError(f"{name} has a damaged comment at its beginning: export it again.")
    wrong = [key for key, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise ExportError(
            f"{name} has a damaged comment ({', '.join(wrong)} is no text): export it again."
        )
    return values
