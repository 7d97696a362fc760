"""The configuration files of a CA host: SSSD, Apache, Dogtag's connector and its ACLs for people of the realm, and ours.

Settings and traps: facts/dogtag-observed.md, "External authentication" and "S4U2Proxy into the validator".
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from pathlib import Path

from ipa_tpi.executor.operations import OPERATIONS
from lab import settings
from lab.ca_spawn import AJP_SECRET
from lab.entries import Entry, entry
from lab.httpd_conf import SHIPPED
from lab.layout import Layout

CCACHES = "/run/ipa-tpi-ca"
HTTP_KEYTAB = "/etc/ipa/tpi/http.keytab"
CERTIFICATE = "/var/lib/ipa/certs/httpd.crt"
KEY = "/var/lib/ipa/private/httpd.key"
# Who uses up approved requests: the certificate validator.
CONSUMER = "ipatpi-certval"
CERTVAL = Path("/etc/ipa/tpi/certval.toml")
SITE = Path("/etc/apache2/conf-enabled/ipa-tpi-ca.conf")
LOCATION = Path("/usr/share/ipa-tpi/ca-location.conf")
APACHE_MODULES = (
    "auth_gssapi",
    "authz_user",
    "headers",
    "lookup_identity",
    "proxy",
    "proxy_ajp",
    "ssl",
)
SUBSYSTEMS = ("ca", "kra")
# The branch of Dogtag's own directory with the ACLs for the realm; not cn=aclResources, which the main ones are.
ACL_BRANCH = "cn=tpi-acls"
# By what memberOf says, as the directory writes it.
OPERATORS = "cn=ca-operators,cn=groups,cn=accounts,dc=tpi,dc=test"
_GROUP = f'group="{OPERATORS}"'
_DISPATCHED = f'{_GROUP} && group="tpi-dispatch"'
# Where each subsystem keeps its own, and what operators may do there: by themselves, or through the executor.
_ACLS = {
    "ca": (
        "o=ipaca",
        (
            ("certServer.profile.configuration:read,modify", _GROUP),
            ("certServer.ca.profile:approve", _GROUP),
            ("certServer.ca.certs:execute", _DISPATCHED),
            ("certServer.ca.certrequests:execute", _DISPATCHED),
        ),
    ),
    "kra": (
        "o=kra,o=ipaca",
        (("certServer.kra.keys:execute", _GROUP), ("certServer.kra.keyrequests:execute", _GROUP)),
    ),
}


def sssd_conf(layout: Layout) -> str:
    """Return sssd.conf: people and groups of the realm, over TLS, for this host and for Apache (InfoPipe)."""
    accounts = f"cn=accounts,{layout.suffix}"
    return f"""\
[sssd]
config_file_version = 2
services = nss, ifp
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
ldap_user_extra_attrs = mail, roles:memberOf
cache_credentials = false
entry_cache_timeout = 5

[nss]

[ifp]
allowed_uids = root, www-data
user_attributes = +mail, +roles, +groups
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
    }
    text = "".join(f"Define {name} {value}\n" for name, value in defines.items())
    return {
        Path("/etc/ipa/tpi/ca-httpd.conf"): text,
        SITE: (SHIPPED / "ipa-tpi-ca.conf").read_text(encoding="utf-8"),
        LOCATION: (SHIPPED / "ca-location.conf").read_text(encoding="utf-8"),
        Path("/etc/apache2/sites-enabled/ipa-lab.conf"): f"""\
ServerName {layout.ca_host}
<VirtualHost *:443>
    SSLEngine on
    SSLCertificateFile {CERTIFICATE}
    SSLCertificateKeyFile {KEY}
</VirtualHost>
""",
    }


def delegation(target: str, via: str) -> str:
    """Return what a ticket bears that a service got on behalf of somebody, in base64.

    It is S4U_DELEGATION_INFO (MS-PAC section 2.9), as the KDC signs it.

    Args:
        target: the principal that the ticket is for, without the realm.
        via: the principal of the service that got it.
    """
    body = struct.pack("<I", 0x20000)
    body += _string_header(target, 0x20004) + struct.pack("<II", 1, 0x20008)
    body += _string_text(target) + struct.pack("<I", 1) + _string_header(via, 0x2000C) + _string_text(via)
    body += b"\0" * (-len(body) % 8)
    # RPC type serialization, version 1 (MS-RPCE section 2.2.6).
    head = struct.pack("<BBHIII", 1, 0x10, 8, 0xCCCCCCCC, len(body), 0)
    return base64.b64encode(head + body).decode()


def _string_header(text: str, referent: int) -> bytes:
    size = 2 * len(text)
    return struct.pack("<HHI", size, size + 2, referent)


def _string_text(text: str) -> bytes:
    encoded = text.encode("utf-16-le")
    counts = struct.pack("<III", len(text) + 1, 0, len(text))
    return counts + encoded + b"\0" * (-len(encoded) % 4)


def ajp_connector() -> str:
    """Return the connector by which Dogtag believes Apache, and nobody without the secret, who the caller is."""
    return f"""\
    <Connector port="8009" protocol="AJP/1.3" redirectPort="8443" address="127.0.0.1"
               secret="{AJP_SECRET}" secretRequired="true" packetSize="65536"
               tomcatAuthentication="false"
               allowedRequestAttributesPattern="REMOTE_USER_GROUP_(N|[0-9]+)|KRB5CCNAME"/>
"""


def parameters(layout: Layout, subsystem: str) -> dict[str, str]:
    """Return what CS.cfg is to say.

    Where its directory is (pkispawn writes the host's own name for localhost), who decides about principals of the
    realm, and no nonces, as in FreeIPA.
    """
    return {
        "internaldb.ldapconn.host": "localhost",
        "authz.instance.TPI.pluginName": "DirAclAuthz",
        "authz.instance.TPI.realm": layout.realm,
        "authz.instance.TPI.ldap": "internaldb",
        "authz.instance.TPI.searchBase": ACL_BRANCH,
        f"{subsystem}.enableNonces": "false",
    }


def acl_entries() -> Iterator[Entry]:
    """Yield the ACLs of each subsystem for people of the realm: enough for the laboratory's own tests."""
    for subsystem, (base, rights) in _ACLS.items():
        account = f"certServer.{subsystem}.account:login,logout:allow (login,logout)"
        yield entry(
            f"{ACL_BRANCH},{base}",
            "CertACLS",
            cn=ACL_BRANCH.partition("=")[2],
            resourceACLS=[
                f'{account} user="anybody":anybody may say who he is',
                *(f"{right}:allow ({right.partition(':')[2]}) {who}:operators" for right, who in rights),
            ],
        )
