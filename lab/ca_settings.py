"""The configuration files of a CA host: SSSD, Apache, Dogtag's connector and its ACLs for people of the realm.

Settings and traps: facts/dogtag-observed.md, "External authentication" and "S4U2Proxy into the validator".
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.ca_spawn import AJP_SECRET
from lab.entries import Entry, entry
from lab.layout import Layout

# Members may read the callers' proxy tickets while a request runs: Apache, and Dogtag for its validator.
TICKET_GROUP = "ipatpi-cc"
CCACHES = "/run/ipa-tpi-ca"
HTTP_KEYTAB = "/etc/ipa/tpi/http.keytab"
CERTIFICATE = "/var/lib/ipa/certs/httpd.crt"
KEY = "/var/lib/ipa/private/httpd.key"
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
# Where each subsystem keeps its own, and what operators may do there.
_ACLS = {
    "ca": (
        "o=ipaca",
        (
            "certServer.profile.configuration:read,modify",
            "certServer.ca.profile:approve",
            "certServer.ca.certs:execute",
            "certServer.ca.certrequests:execute",
        ),
    ),
    "kra": ("o=kra,o=ipaca", ("certServer.kra.keys:execute", "certServer.kra.keyrequests:execute")),
}
SYSUSERS = f"g {TICKET_GROUP} -\nm www-data {TICKET_GROUP}\nm pkiuser {TICKET_GROUP}\n"
TMPFILES = f"""\
d {CCACHES} 0755 root root -
d {CCACHES}/callers 2750 www-data {TICKET_GROUP} -
d {CCACHES}/own 0700 www-data www-data -
"""


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


def apache_conf(layout: Layout) -> str:
    """Return the site: a location for each subsystem, in which the caller's own ticket decides what he may do."""
    locations = "\n".join(_location(layout, subsystem) for subsystem in SUBSYSTEMS)
    return f"""\
ServerName {layout.ca_host}
SSLProtocol -all +TLSv1.2 +TLSv1.3
TraceEnable off
<VirtualHost *:443>
    SSLEngine on
    SSLCertificateFile {CERTIFICATE}
    SSLCertificateKeyFile {KEY}
    # Memberships of people in very many groups; the connector's packetSize is the same.
    ProxyIOBufferSize 65536

{locations}</VirtualHost>
"""


def _location(layout: Layout, subsystem: str) -> str:
    return f"""\
    <Location /{subsystem}/rest>
        AuthType GSSAPI
        AuthName "CA"
        GssapiSSLonly On
        GssapiAllowedMech krb5
        GssapiAcceptorName HTTP@{layout.ca_host}
        GssapiBasicAuth Off
        GssapiConnectionBound Off
        GssapiLocalName Off
        GssapiCredStore keytab:{HTTP_KEYTAB}
        GssapiCredStore client_keytab:{HTTP_KEYTAB}
        GssapiCredStore ccache:FILE:{CCACHES}/own/ccache
        GssapiUseS4U2Proxy On
        GssapiDelegCcacheDir {CCACHES}/callers
        GssapiDelegCcacheUnique On
        GssapiDelegCcachePerms mode:0640 gid:{TICKET_GROUP}
        GssapiDelegCcacheEnvVar AJP_KRB5CCNAME
        Require valid-user

        LookupUserGroupsIter AJP_REMOTE_USER_GROUP
        LookupUserAttrIter roles +AJP_REMOTE_USER_GROUP

        # Dogtag's session is as good as a ticket; nobody gets one from here, and nobody's is taken.
        RequestHeader unset Cookie
        Header always unset Set-Cookie
        Header unset Set-Cookie

        ProxyPass ajp://127.0.0.1:8009/{subsystem}/rest secret={AJP_SECRET}
        ProxyPassReverse ajp://127.0.0.1:8009/{subsystem}/rest
    </Location>
"""


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
                *(
                    f'{right}:allow ({right.partition(":")[2]}) group="ca-operators":operators'
                    for right in rights
                ),
            ],
        )
