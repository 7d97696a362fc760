"""The configuration files that ipa-tpi's programs read, as an installer would write them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from lab.files import make_folder, write
from lab.layout import Layout

FLOOR_HEAD = """\
version = 1
person_attribute = "employeeNumber"
clock_skew_seconds = 5
pending_per_person = 10
pending_per_operation = 3
"""
_FLOOR = f"""\
{FLOOR_HEAD}
[operations."dirsrv.restart"]
required_approvals = 1
proof = true
instances = ["DS01", "TPI-TEST"]

[operations."dirsrv.status"]
instances = ["DS01", "TPI-TEST"]

[operations."systemd.unit.start"]
units = ["sample.service"]

[operations."systemd.unit.stop"]
units = ["sample.service"]

[operations."systemd.unit.restart"]
units = ["sample.service", "slow@1.service", "slow@2.service", "slow@3.service"]

[operations."systemd.unit.reload"]
units = ["sample.service"]

[operations."systemd.unit.status"]
units = ["sample.service", "dbus.service", "ipa-tpi-executor.service"]
"""


def write_settings(layout: Layout) -> None:
    """Write default.conf, web.toml, executor.toml and floor.toml."""
    product = layout.product
    make_folder(product.journal.parent, owner=product.executor_user, mode=0o700)
    make_folder(product.web_toml.parent)
    write(product.default_conf, default_conf(layout))
    write(product.web_toml, web_toml(layout))
    write(product.executor_toml, executor_toml(layout))
    write(product.floor_toml, _FLOOR)


def default_conf(layout: Layout) -> str:
    """Return FreeIPA's configuration of clients, as far as we read it, and where our server is."""
    domain = layout.realm.lower()
    return f"""\
[global]
realm = {layout.realm}
basedn = {layout.suffix}
domain = {domain}
server = {layout.origin.removeprefix("https://")}
host = {layout.host}
ldap_uri = {layout.ldapi_uri}
xmlrpc_uri = {layout.origin}/ipa/xml
tpi_uri = {layout.url}
tls_ca_cert = {layout.product.ca_file}
"""


def web_toml(layout: Layout) -> str:
    """Return the web service's configuration."""
    product = layout.product
    return toml(
        {
            "realm": layout.realm,
            "suffix": layout.suffix,
            "host": layout.host,
            "origin": layout.origin,
            "ldap_uri": layout.ldapi_uri,
            "ldap_host": layout.host,
            "floor": str(product.floor_toml),
            "executor_socket": str(product.executor_socket),
            "audit": product.web_audit,
        }
    )


def executor_toml(layout: Layout, ldap_uri: str = "", host: str = "") -> str:
    """Return the executor's configuration.

    Args:
        layout: The realm.
        ldap_uri: Where it finds the directory; default: on its own host.
        host: Where it stands; default: on the directory's host.
    """
    product = layout.product
    return toml(
        {
            "realm": layout.realm,
            "suffix": layout.suffix,
            "host": host or layout.host,
            "ldap_uri": ldap_uri or layout.ldapi_uri,
            "ldap_host": layout.host,
            "keytab": str(product.tpi_keytab),
            "journal": str(product.journal),
            "socket": str(product.executor_socket),
            "nudge_user": product.web_user,
            "health_user": product.health_user,
            "floor": str(product.floor_toml),
            "audit": product.executor_audit,
            "poll_seconds": 2,
            "socket_audit_seconds": 2,
        }
    )


def toml(values: Mapping[str, str | int]) -> str:
    """Return values as TOML."""
    # A JSON string of printable characters is a basic string of TOML.
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
