"""The realm's KDC, with the directory as its database and no password anywhere: it comes in over LDAPI."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import quote

import ldap

from lab import otp, pkinit
from lab.delegation import translate
from lab.directory import connect
from lab.entries import add_values
from lab.files import give_to, make_folder, write
from lab.layout import CA_FOLDER, Layout
from lab.people import PEOPLE, host_dn, service_dn, services, unique_id

KADMIN = "/usr/sbin/kadmin.local"
KDB_UTIL = "/usr/sbin/kdb5_ldap_util"
_MASTER_PASSWORD = "laboratory"
_SERVICE_CLASSES = ("ipaObject", "ipaService", "pkiUser")


def write_configuration(layout: Layout) -> None:
    """Write krb5.conf and kdc.conf."""
    make_folder(layout.kdc.kdc_conf.parent, mode=0o700)
    write(layout.kdc.krb5_conf, krb5_conf(layout))
    write(layout.kdc.kdc_conf, kdc_conf(layout), mode=0o600)


def krb5_conf(layout: Layout) -> str:
    """Return the Kerberos configuration of every client and server of the realm."""
    kdc = (
        f"127.0.0.1:{layout.ports.kdc}" if layout.host == "localhost" else f"{layout.host}:{layout.ports.kdc}"
    )
    domain = "" if layout.host == "localhost" else f"  .{layout.host.partition('.')[2]} = {layout.realm}\n"
    return f"""\
[libdefaults]
  default_realm = {layout.realm}
  dns_lookup_realm = false
  dns_lookup_kdc = false
  dns_canonicalize_hostname = false
  rdns = false
  qualify_shortname = ""
  forwardable = true
  ticket_lifetime = 24h
  udp_preference_limit = 0
  default_ccache_name = FILE:/tmp/krb5cc_%{{uid}}

[realms]
  {layout.realm} = {{
    kdc = {kdc}
    master_kdc = {kdc}
    pkinit_anchors = FILE:{layout.product.ca_file}
  }}

[domain_realm]
  {layout.host} = {layout.realm}
  other.tpi.test = {layout.realm}
{domain}"""


def kdc_conf(layout: Layout) -> str:
    """Return the KDC's own configuration: what each way to log in says of itself is as in FreeIPA."""
    listen = f"127.0.0.1:{layout.ports.kdc}" if layout.host == "localhost" else str(layout.ports.kdc)
    certificate, key = pkinit.kdc_identity(layout)
    return f"""\
[libdefaults]
  spake_preauth_groups = edwards25519

[kdcdefaults]
  kdc_listen = {listen}
  kdc_tcp_listen = {listen}

[realms]
  {layout.realm} = {{
    database_module = directory
    key_stash_file = {layout.kdc.stash}
    master_key_type = aes256-cts-hmac-sha1-96
    supported_enctypes = aes256-cts-hmac-sha1-96:normal
    max_life = 24h
    max_renewable_life = 7d
    default_principal_flags = +preauth
    spake_preauth_indicator = hardened
    encrypted_challenge_indicator = hardened
    pkinit_identity = FILE:{certificate},{key}
    pkinit_anchors = FILE:{layout.product.ca_file}
    pkinit_indicator = pkinit
  }}

[otp]
  DEFAULT = {{
    server = {otp.socket_path(layout)}
    strip_realm = true
    indicator = otp
  }}

[dbmodules]
  directory = {{
    db_library = kldap
    ldap_kerberos_container_dn = cn=kerberos,{layout.suffix}
    ldap_servers = ldapi://{quote(str(layout.directory.socket), safe="")}
    ldap_kdc_sasl_mech = EXTERNAL
    ldap_kadmind_sasl_mech = EXTERNAL
    disable_last_success = true
    disable_lockout = true
  }}

[logging]
  kdc = {layout.kdc.log}
  admin_server = {layout.kdc.log}
  default = {layout.kdc.log}
"""


def environment(layout: Layout) -> dict[str, str]:
    """Return the environment of the KDC and its tools."""
    return {
        **os.environ,
        "KRB5_CONFIG": str(layout.kdc.krb5_conf),
        "KRB5_KDC_PROFILE": str(layout.kdc.kdc_conf),
        "LC_ALL": "C.UTF-8",
    }


def command(layout: Layout) -> list[str]:
    """Return the command line that runs the KDC in the foreground."""
    return ["/usr/sbin/krb5kdc", "-n", "-P", str(layout.kdc.pid_file)]


def create_database(layout: Layout) -> None:
    """Make the realm's container in the running directory, then principals and keytabs.

    Principals lie below cn=accounts only: with the suffix as subtree, whoever may add an entry anywhere could add a
    principal.

    Args:
        layout: the realm; its directory runs and is populated.

    Raises:
        RuntimeError: one of the KDC's tools failed.
    """
    accounts = f"cn=accounts,{layout.suffix}"
    create = [KDB_UTIL, "create", "-subtrees", accounts, "-sscope", "sub", "-r", layout.realm]
    _run(layout, [*create, "-P", _MASTER_PASSWORD, "-s"])
    keytabs = _keytabs(layout)
    for path, _, _ in keytabs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    _run(
        layout, [KADMIN, "-r", layout.realm], "\n".join([*_additions(layout), *_extractions(keytabs)]) + "\n"
    )
    for principal, (path, owner, mode) in keytabs.items():
        if not path.exists():
            raise RuntimeError(f"kadmin.local wrote no keytab for {principal}; see {layout.kdc.log}")
        path.chmod(mode)
        give_to(path, owner)
    _complete_entries(layout)


def _additions(layout: Layout) -> list[str]:
    """Return kadmin's commands that add every principal."""
    people = [
        f"addprinc -x dn={person.dn(layout.suffix)} -pw {person.password} {person.uid}" for person in PEOPLE
    ]
    container = f"cn=services,cn=accounts,{layout.suffix}"
    ours = [f"addprinc -randkey -x containerdn={container} {name}/{host}" for name, host in services(layout)]
    hosts = [f"addprinc -randkey -x dn={host_dn(layout, name)} host/{name}" for name in _hosts(layout)]
    return [*people, *ours, *hosts]


def _extractions(keytabs: dict[str, tuple[Path, str, int]]) -> list[str]:
    """Return kadmin's commands that write every keytab, keys unchanged."""
    return [f"ktadd -norandkey -k {path} {principal}" for principal, (path, _, _) in keytabs.items()]


def _keytabs(layout: Layout) -> dict[str, tuple[Path, str, int]]:
    """Return path, owner and mode of each service's keytab."""
    httpd = layout.httpd
    return {
        layout.principal("ldap"): (layout.directory.keytab, layout.directory.user, 0o600),
        layout.principal("HTTP"): (httpd.keytab, httpd.user, 0o600),
        layout.principal("tpi"): (layout.product.tpi_keytab, layout.product.executor_user, 0o600),
        layout.principal("host"): (layout.host_keytab, "root", 0o600),
        layout.principal("tpi", "other.tpi.test"): (layout.other_keytab, "root", 0o600),
        **{
            layout.principal(service, layout.ca_host): (ca_keytab(service), "root", 0o600)
            for service in ("host", "HTTP", "tpi")
            if layout.ca_host
        },
    }


def ca_keytab(service: str) -> Path:
    """Return where the keytab of a service of the CA host is kept, until that host gets it."""
    return CA_FOLDER / f"{service}.keytab"


def _hosts(layout: Layout) -> tuple[str, ...]:
    """Return the hosts that have keys."""
    return (layout.host, layout.ca_host) if layout.ca_host else (layout.host,)


def _complete_entries(layout: Layout) -> None:
    """Give the principals' entries what FreeIPA gives them and kadmin does not."""
    connection = connect(layout)
    try:
        for person in PEOPLE:
            names = [f"{name}@{layout.realm}" for name in person.aliases]
            _name(connection, person.dn(layout.suffix), person.principal(layout.realm), names)
        for host in _hosts(layout):
            _name(connection, host_dn(layout, host), layout.principal("host", host), [])
        for service, host in services(layout):
            dn = service_dn(layout, service, host)
            add_values(
                connection,
                dn,
                {
                    "objectClass": _SERVICE_CLASSES,
                    "ipaUniqueID": [unique_id(dn)],
                    "managedBy": [host_dn(layout, host)],
                },
            )
            _name(connection, dn, layout.principal(service, host), [])
        translate(connection, layout)
    finally:
        connection.unbind_s()


def _name(connection: ldap.ldapobject.LDAPObject, dn: str, canonical: str, aliases: list[str]) -> None:
    add_values(connection, dn, {"krbCanonicalName": [canonical], "krbPrincipalName": aliases})


def _run(layout: Layout, arguments: list[str], script: str = "") -> None:
    """Run one of the KDC's tools.

    Its exit status says little: kadmin.local ends with 0 after a failed command, so its messages are read, too.
    """
    done = subprocess.run(
        arguments,
        input=script,
        env=environment(layout),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    failed = [line for line in done.stderr.splitlines() if " while " in line or "Unable" in line]
    if done.returncode != 0 or failed:
        raise RuntimeError(f"{Path(arguments[0]).name} failed: {' '.join(failed) or done.stderr.strip()}")
