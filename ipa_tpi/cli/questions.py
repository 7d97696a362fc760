"""The verbs that only ask: lists, who could approve, what can be asked for and where, and who one is."""

import argparse
import sys
from collections.abc import Iterable

import msgspec

from ipa_tpi.cli.catalogue import hosts_sheet, operations_sheet
from ipa_tpi.cli.ids import resolve
from ipa_tpi.cli.layout import columns_of, fields
from ipa_tpi.cli.people import approvers_sheet
from ipa_tpi.cli.render import json_document, local_time, safe
from ipa_tpi.cli.settings import Settings
from ipa_tpi.cli.sheets import requests_list
from ipa_tpi.client import Selection, TpiClient
from ipa_tpi.errors import EXIT_DENIED, EXIT_OK


def ask_list(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    """List requests; what there is beyond the limit is said beside the list."""
    page = client.page(
        Selection(
            state=options.state,
            mine=options.mine,
            approvable=options.approvable,
            before=resolve(client, options.before) if options.before else "",
            limit=options.limit,
            operation=options.operation,
            user=options.user,
            since=options.since,
            until=options.until,
            approver=options.approver,
            host=options.host,
            outcome=options.outcome,
        )
    )
    views = page.requests
    text = requests_list(views, columns_of(sys.stdout)) if views else "No requests.\n"
    put(options, page, (view.id for view in views), text)
    if page.more and views:
        sys.stdout.flush()
        sys.stderr.write(
            f"ipa-tpi: there are more, older ones; for those add: --before {safe(views[-1].id)}\n"
        )
    return EXIT_OK


def ask_approvers(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    """Tell who could still approve; the exit status tells whether that is enough (K16)."""
    view = client.approvers(resolve(client, options.id), options.user)
    able = (one.principal for one in view.candidates if one.chance == "can")
    put(options, view, able, approvers_sheet(view, columns_of(sys.stdout)))
    refused = options.user and any(one.chance == "cannot" for one in view.candidates)
    return EXIT_OK if view.enough and not refused else EXIT_DENIED


def ask_operations(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    """Show what can be asked for."""
    known = client.operations()
    names = (operation.name for operation in known.operations)
    put(options, known, names, operations_sheet(known, columns_of(sys.stdout)))
    return EXIT_OK


def ask_hosts(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    """List the hosts that an operation can run on."""
    known = client.operations()
    put(options, {"host": known.host, "hosts": known.hosts}, known.hosts, hosts_sheet(known))
    return EXIT_OK


def ask_whoami(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    """Say whose tickets there are; the server is not asked."""
    principal, expires = client.tickets.principal(), client.tickets.expires()
    pairs = [("principal", principal), ("ticket until", local_time(expires)), ("server", client.url)]
    document = {"principal": principal, "expires": expires.isoformat(), "server": client.url}
    put(options, document, [principal], fields(pairs, columns_of(sys.stdout), ""))
    return EXIT_OK


def put(options: argparse.Namespace, document: object, names: Iterable[str], text: str) -> None:
    """Write an answer in the form that was asked for.

    Args:
        options: Tell the form.
        document: For programs.
        names: What ``-o name`` prints.
        text: For people.
    """
    if options.output == "json":
        sys.stdout.write(json_document(msgspec.to_builtins(document)))
    elif options.output == "name":
        sys.stdout.write("".join(f"{safe(name)}\n" for name in names))
    else:
        sys.stdout.write(text)
