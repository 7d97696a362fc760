"""The configuration files of a CA host as a site has them: SSSD, Apache, Dogtag's, its ACLs for people of the realm, and ours.

Settings and traps: facts/dogtag-observed.md, "External authentication" and "S4U2Proxy into the validator".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ipa_tpi.executor.operations import OPERATIONS
from ipa_tpi_upgrade.delegation import delegation
from lab import settings
from lab.ca_spawn import AJP_SECRET
from lab.httpd_conf import SHIPPED
from lab.layout import REPOSITORY, Layout

CCACHES = "/run/ipa-tpi-ca"
HTTP_KEYTAB = "/etc/ipa/tpi/http.keytab"
CERTIFICATE = "/var/lib/ipa/certs/httpd.crt"
KEY = "/var/lib/ipa/private/httpd.key"
# Who uses up approved requests: the certificate validator.
CONSUMER = "ipatpi-certval"
CERTVAL = Path("/etc/ipa/tpi/certval.toml")
SITE = Path("/etc/apache2/conf-enabled/ipa-tpi-ca.conf")
LOCATION = Path("/usr/share/ipa-tpi/ca-location.conf")
LEGACY = Path("/usr/share/ipa-tpi/ca-legacy-location.conf")
# As FreeIPA names it; Dogtag's own chain, which is not the authority of the laboratory's TLS.
AGENT = "CN=IPA RA,O=TPI.TEST"
AGENT_ISSUER = "CN=Certificate Authority,O=TPI.TEST"
AUTHORITY = "/etc/ipa/tpi/dogtag-ca.crt"
APACHE_MODULES = (
    "auth_gssapi",
    "authz_user",
    "headers",
    "lookup_identity",
    "lua",
    "proxy",
    "proxy_ajp",
    "ssl",
)
SUBSYSTEMS = ("ca", "kra")
# What stands before the connectors that pkispawn leaves in a comment.
CONNECTORS_COMMENT = "<!-- Define an AJP 1.3 Connector on port 8009 -->\n    <!--"
# What SSSD has to give, as it ships.
DECLARATION = REPOSITORY / "sssd" / "ipa-tpi.conf"
# The branch of Dogtag's own directory with the ACLs for the realm; not cn=aclResources, which the main ones are.
ACL_BRANCH = "cn=tpi-acls"
# What takes two persons on this host; the others' resources are open to who holds the permission.
CONTROLLED = ("dogtag.cert.revoke", "dogtag.cert.hold", "dogtag.cert.release")


def sssd_conf(layout: Layout) -> str:
    """Return sssd.conf as a site has it: people and groups of the realm, over TLS, for this host.

    What Apache needs of it the product's own step adds (`ipa_tpi_upgrade.sssd`).
    """
    accounts = f"cn=accounts,{layout.suffix}"
    return f"""\
[sssd]
config_file_version = 2
services = nss
domains = {layout.realm.lower()}

[domain/{layout.realm.lower()}]
id_provider = ldap
auth_provider = none
access_provider = permit
ldap_uri = ldaps://{layout.host}
ldap_tls_reqcert = demand
ldap_tls_cacert = {layout.product.ca_file}
ldap_sasl_mech = GSSAPI
ldap_sasl_authid = host/{layout.ca_host}
ldap_sasl_maxssf = 0
ldap_krb5_keytab = /etc/krb5.keytab
krb5_server = {layout.host}
krb5_realm = {layout.realm}
ldap_schema = rfc2307bis
ldap_search_base = {accounts}
ldap_user_search_base = cn=users,{accounts}
ldap_group_search_base = cn=groups,{accounts}
ldap_user_extra_attrs = mail
cache_credentials = false
entry_cache_timeout = 5

[nss]
"""


def product_files(layout: Layout) -> dict[Path, str]:
    """Return what our programs on a CA host read, and what tells libldap who may have signed for the directory."""
    product, uri = layout.product, f"ldaps://{layout.host}"
    certval = {
        "realm": layout.realm,
        "domain": layout.realm.lower(),
        "suffix": layout.suffix,
        "host": layout.ca_host,
        "ldap_uri": uri,
        "ldap_host": layout.host,
        "asker": "pkiuser",
        "executor_socket": str(product.executor_socket),
    }
    return {
        product.executor_toml: settings.executor_toml(layout, uri, layout.ca_host)
        + f'consume_user = "{CONSUMER}"\n\n[dogtag]\n',
        product.floor_toml: floor_toml(),
        CERTVAL: settings.toml(certval),
        Path("/etc/ldap/ldap.conf"): f"TLS_CACERT {product.ca_file}\n",
    }


def floor_toml() -> str:
    """Return a floor that opens all that the executor can do at a CA, and nothing else."""
    names = (name for name in OPERATIONS if name.startswith("dogtag."))
    return settings.FLOOR_HEAD + "".join(f'\n[operations."{name}"]\n' for name in names)


def apache_files(layout: Layout) -> dict[Path, str]:
    """Return the files that configure Apache: what ships, what a site sets for it, and a virtual host with TLS."""
    defines = {
        "TPI_CA_HOST": layout.ca_host,
        "TPI_CA_SECRET": AJP_SECRET,
        "TPI_CA_CERTIFICATE": CERTIFICATE,
        "TPI_CA_KEY": KEY,
        "TPI_CA_KEYTAB": HTTP_KEYTAB,
        "TPI_CA_DELEGATION": delegation(f"HTTP/{layout.ca_host}", layout.principal("tpi", layout.ca_host)),
        "TPI_CA_SERVICE_CCACHE": f"{CCACHES}/own/ccache",
        "TPI_CA_AGENT": AGENT,
        "TPI_CA_AGENT_ISSUER": AGENT_ISSUER,
        "TPI_CA_AUTHORITY": AUTHORITY,
        "TPI_CA_OCSP": f"http://{layout.ca_host}:8080/ca/ocsp",
    }
    text = "".join(f'Define {name} "{value}"\n' for name, value in defines.items())
    return {
        Path("/etc/ipa/tpi/ca-httpd.conf"): text,
        LOCATION.with_name("ca-body.lua"): (SHIPPED / "ca-body.lua").read_text(encoding="utf-8"),
        SITE: (SHIPPED / "ipa-tpi-ca.conf").read_text(encoding="utf-8"),
        LOCATION: (SHIPPED / "ca-location.conf").read_text(encoding="utf-8"),
        LEGACY: (SHIPPED / "ca-legacy-location.conf").read_text(encoding="utf-8"),
        Path("/etc/apache2/sites-enabled/ipa-lab.conf"): f"""\
ServerName {layout.ca_host}
<VirtualHost *:443>
    SSLEngine on
    SSLCertificateFile {CERTIFICATE}
    SSLCertificateKeyFile {KEY}
</VirtualHost>
""",
    }


def parameters(subsystem: str) -> dict[str, str]:
    """Return what CS.cfg says on a site, before anything of ours.

    Where its directory is (pkispawn writes the host's own name for localhost), and no nonces, as FreeIPA's installer
    has it.
    """
    return {"internaldb.ldapconn.host": "localhost", f"{subsystem}.enableNonces": "false"}


def acl_commands(layout: Layout, ldapi: str) -> Iterator[list[str]]:
    """Yield the commands by which each subsystem gets the ACLs for people of the realm: our own, as an administrator's.

    Args:
        layout: the realm.
        ldapi: of Dogtag's directory.
    """
    for subsystem in SUBSYSTEMS:
        command = ["/usr/bin/ipa-tpi", "dogtag", "acls", "apply", "--subsystem", subsystem]
        where = ["--ldap-uri", ldapi, "--suffix", layout.suffix]
        yield [*command, *where, "--controlled", ",".join(CONTROLLED)]
