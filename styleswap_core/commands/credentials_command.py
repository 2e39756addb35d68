"""`styleswap credentials`: makes a certificate for Content Credentials, and reads and verifies those of files."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StyleSwapError
from .arguments import add_json_argument, whole_number
from .console import EXIT_BAD_INPUT, print_error, print_lines, print_note

if TYPE_CHECKING:
    from ..credentials.file_statements import FileStatements
    from ..credentials.reading import ContentCredentials, Ingredient

_MAX_DAYS = 3650
_STATES = {
    "valid": "valid: the file is as it was signed. The signer is unknown here: anyone can make a certificate with any"
    " name (--trust names issuers that you know)",
    "trusted": "valid: the file is as it was signed, and the signer's issuer is one that you trust",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap credentials`."""
    forms = parser.add_subparsers(dest="form", metavar="WHAT", required=True)
    create = forms.add_parser(
        "create",
        help="make a self-issued certificate and its private key",
        description="Make a self-issued certificate and its private key. Readers call its signatures valid and their"
        " signer unknown, since nobody has checked the name.",
    )
    create.add_argument("folder", type=Path, metavar="DIR", help="folder for certificate.pem and key.pem")
    create.add_argument(
        "--name", required=True, metavar="TEXT", help="whom the certificate names; everyone can read it"
    )
    create.add_argument(
        "--days",
        type=whole_number(1, _MAX_DAYS),
        default=365,
        metavar="N",
        help="validity in days (default: %(default)s)",
    )
    add_json_argument(create)
    show = forms.add_parser(
        "show",
        help="read and verify the credentials of files",
        description="Read and verify the Content Credentials of files, of any origin, without asking any server; also"
        " the text entry of swaps, and statements against training. The exit code is 2 if any are not valid.",
    )
    show.add_argument("files", type=Path, nargs="+", metavar="FILE", help="pictures or videos")
    show.add_argument(
        "--trust",
        type=Path,
        metavar="FILE.pem",
        help="certificates of issuers that you trust (default: none, so that every signer is unknown)",
    )
    add_json_argument(show)


def run(args: argparse.Namespace) -> int:
    """Make a certificate or show credentials; returns 0, or 2 if the credentials of a file are not valid."""
    return _create(args) if args.form == "create" else _show(args)


def _create(args: argparse.Namespace) -> int:
    from ..credentials.own_chain import create_chain
    from ..credentials.signing_key import CERTIFICATE_VARIABLE, KEY_VARIABLE

    made = create_chain(args.folder, args.name, args.days)
    if args.json:
        rows = {"certificate": str(made.certificate), "key": str(made.key), "expires": made.expires.isoformat()}
        print(json.dumps(rows, indent=1))
    else:
        print_lines(
            f"certificate: {made.certificate}, valid until {made.expires:%Y-%m-%d}",
            f"private key: {made.key}; keep it to yourself",
            f"to sign results: --certificate and --key, or {CERTIFICATE_VARIABLE} and {KEY_VARIABLE} with these paths",
        )
    print_note(
        "nobody has checked this name: readers of Content Credentials will call the signer unknown. For a known one,"
        " use a certificate of an authority on the C2PA trust list"
    )
    return 0


def _show(args: argparse.Namespace) -> int:
    from ..credentials.file_statements import read_statements

    code, rows = 0, []
    for path in args.files:
        try:
            found = read_statements(path, args.trust)
        except StyleSwapError as error:
            if len(args.files) == 1:
                raise
            print_error(str(error))
            rows.append({"file": str(path), "state": "unreadable", "error": str(error)})
            code = EXIT_BAD_INPUT
            continue
        rows.append(found.as_json())
        if found.credentials is not None and found.credentials.state == "invalid":
            code = EXIT_BAD_INPUT
        if not args.json:
            print_lines(*_lines(found))
    if args.json:
        print(json.dumps({"files": rows}, indent=1))
    return code


def _lines(found: "FileStatements") -> Iterator[str]:
    yield f"{found.path}:"
    if found.credentials is None:
        yield "  no Content Credentials"
    else:
        yield from _describe(found.credentials)
    if found.mark:
        yield f"  text entry, which anyone can change: {found.mark}"
    if found.training_ban:
        yield f"  training: {found.training_ban}"


def _describe(credentials: "ContentCredentials") -> Iterator[str]:
    state = _STATES.get(credentials.state) or f"NOT VALID: {'; '.join(credentials.problems) or 'reason unknown'}"
    yield f"  {state}"
    organization = f" ({credentials.issuer})" if credentials.issuer not in ("", credentials.signer) else ""
    time = f", on {credentials.time}" if credentials.time else ", at an unknown time (no timestamp)"
    yield f"  signed by: {credentials.signer or 'no name'}{organization}, with {credentials.generator}{time}"
    for action in credentials.actions:
        agent = f" by {action.agent}" if action.agent else ""
        kind = f" [{action.source_type}]" if action.source_type else ""
        description = f": {action.description}" if action.description else ""
        yield f"  action: {action.action}{agent}{kind}{description}"
        for name, value in sorted(action.parameters.items()):
            yield f"    {name}: {_short(value)}"
    for ingredient in credentials.ingredients:
        yield f"  made from: {_describe_ingredient(ingredient)}"


def _describe_ingredient(ingredient: "Ingredient") -> str:
    parts = [f"{ingredient.title or 'untitled'} ({ingredient.relationship})"]
    if ingredient.instance_id.startswith("styleswap:"):
        parts.append(ingredient.instance_id)
    if ingredient.signer:
        parts.append(f"with credentials signed by {ingredient.signer}")
    if ingredient.problems:
        parts.append(f"which were NOT VALID: {'; '.join(ingredient.problems)}")
    return ", ".join(parts)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
