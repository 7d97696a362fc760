"""The lines of Apache's configuration in front of Dogtag, and for each that protects something an attack that it stops."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from apache import Changes
from ca_attacks import (
    Attack,
    a_body_without_an_end,
    a_group_by_the_sites_own_line,
    a_huge_body,
    a_mirror,
    a_revoked_agent,
    another_method,
    another_user_of_dogtags,
    by_password,
    by_tls_1_1,
    dogtags_own_password,
    nobody,
    on_somebody_elses_connection,
    operator_from_the_network,
    operator_on_the_public_port,
    out_of_the_interface_as_agent,
    pretended_agent,
    the_installers_steps,
    tickets_left_behind,
    with_a_ticket_for_the_host,
    without_tls,
)

from lab.ca_settings import HTTP_KEYTAB, LEGACY, LOCATION, SITE

# The lines.
ONLY_TLS = "Require expr \"%{HTTPS} == 'on' && %{SSL_PROTOCOL} =~ /^TLSv1\\.[23]$/\""
NO_CERTIFICATE = "Require expr \"%{SSL_CLIENT_VERIFY} == 'NONE'\""
CERTIFICATE = "Require expr \"%{SSL_CLIENT_VERIFY} == 'SUCCESS'\""
WHOSE = "Require expr \"%{SSL_CLIENT_S_DN} == '${TPI_CA_AGENT}' && %{SSL_CLIENT_I_DN} == '${TPI_CA_AGENT_ISSUER}'\""
WITHOUT_CERTIFICATE = {"SSLVerifyClient require": "", CERTIFICATE: "", WHOSE: ""}
UNSIGNED = {"SSLVerifyClient require": "SSLVerifyClient optional_no_ca"}
NOT_ASKED = {"SSLOCSPEnable leaf": ""}
ONCE = "Require expr \"%{HTTP:Authorization} == ''\""
PLAIN_PATH = 'Require expr "%{REQUEST_URI} !~ /;/ && %{THE_REQUEST} !~ /%3b/i"'
SIZE = (
    "Require expr \"%{HTTP:Transfer-Encoding} == '' && "
    "(%{HTTP:Content-Length} == '' || %{HTTP:Content-Length} -le 1048576)\""
)
METHOD = "Require method GET HEAD POST PUT DELETE"
VERSIONS = "SSLProtocol -all +TLSv1.2 +TLSv1.3"
OLD_VERSIONS = "SSLProtocol all -SSLv3\nSSLCipherSuite ALL:@SECLEVEL=0"
LISTEN, HOST = "Listen 127.0.0.1:${TPI_CA_PORT} https", "<VirtualHost 127.0.0.1:${TPI_CA_PORT}>"
TRACE = "TraceEnable off"
DEBIANS = Path("/etc/apache2/conf-enabled/security.conf")
ROLES = "LookupUserAttrIter roles AJP_REMOTE_USER_GROUP"
FROM_HEADER = "SetEnvIf X-Group (.+) AJP_REMOTE_USER_GROUP_1=$1 AJP_REMOTE_USER_GROUP_N=1"
BOTH_KEYS = Path(HTTP_KEYTAB).with_name("both.keytab")


@dataclass(frozen=True)
class Row:
    """Lines, and what an attack brings with them and without.

    Attributes:
        name: What is protected.
        out: The lines that are taken out, or what stands in their place.
        attack: Returns what the attacker sees.
        refused: That with the lines.
        succeeds: That without.
        given: What is changed in both cases: the circumstance in which the line counts.
    """

    name: str
    out: Changes
    attack: Attack
    refused: object
    succeeds: object
    given: Changes = field(default_factory=dict)


ROWS = (
    Row(
        "TLS alone",
        {LOCATION: {"GssapiSSLonly On": ""}, SITE: {ONLY_TLS: "", NO_CERTIFICATE: ""}},
        without_tls,
        403,
        200,
    ),
    Row("TLS 1.2", {SITE: {VERSIONS: OLD_VERSIONS, ONLY_TLS: ""}}, by_tls_1_1, 0, 200),
    Row("no passwords", {LOCATION: {"GssapiBasicAuth Off": "GssapiBasicAuth On"}}, by_password, 401, 200),
    Row(
        "a ticket with each request",
        {LOCATION: {"GssapiConnectionBound Off": "GssapiConnectionBound On"}},
        on_somebody_elses_connection,
        401,
        200,
    ),
    Row(
        "a ticket for HTTP",
        {LOCATION: {"GssapiAcceptorName HTTP@${TPI_CA_HOST}": ""}},
        with_a_ticket_for_the_host,
        401,
        200,
        given={SITE: {"# R-E07": f"UnDefine TPI_CA_KEYTAB\nDefine TPI_CA_KEYTAB {BOTH_KEYS}"}},
    ),
    Row(
        "no ticket outlives its request",
        {LOCATION: {"GssapiDelegCcacheUnique On": ""}},
        tickets_left_behind,
        [],
        ["alice@TPI.TEST"],
    ),
    Row("methods", {SITE: {METHOD: ""}}, another_method, 403, 200),
    Row("size", {SITE: {SIZE: ""}}, a_huge_body, 403, 400),
    Row("size without a length", {SITE: {SIZE: ""}}, a_body_without_an_end, 403, 200),
    Row(
        "no installer, in CA and KRA",
        {SITE: {"Require all denied": "Require valid-user"}},
        the_installers_steps,
        {403},
        {400},
    ),
    Row(
        "no mirror",
        {SITE: {TRACE: "TraceEnable on"}, DEBIANS: {"TraceEnable Off": "TraceEnable on"}},
        a_mirror,
        False,  # noqa: FBT003
        True,  # noqa: FBT003
    ),
    Row(
        "loopback",
        {SITE: {LISTEN: LISTEN.replace("127.0.0.1:", ""), HOST: HOST.replace("127.0.0.1", "*")}},
        operator_from_the_network,
        0,
        200,
    ),
    Row(
        "a virtual host of its own",
        {SITE: {HOST: "", "</VirtualHost>": "", "SSLEngine on": ""}},
        operator_on_the_public_port,
        404,
        200,
    ),
    Row(
        "groups from the directory alone",
        {SITE: {ROLES: ROLES.replace("AJP", "+AJP")}},
        a_group_by_the_sites_own_line,
        403,
        200,
        given={LOCATION: {'AuthName "ipa-tpi"': f'AuthName "ipa-tpi"\n{FROM_HEADER}'}},
    ),
    Row(
        "the agent's certificate",
        {LEGACY: WITHOUT_CERTIFICATE},
        nobody,
        0,
        200,
    ),
    Row(
        "who signed the agent's certificate",
        {LEGACY: {**UNSIGNED, CERTIFICATE: ""}, SITE: NOT_ASKED},
        pretended_agent,
        0,
        200,
    ),
    Row("whether it was revoked", {SITE: NOT_ASKED}, a_revoked_agent, 0, 200),
    Row("whose certificate", {LEGACY: {WHOSE: ""}}, another_user_of_dogtags, (403, False), (200, True)),
    Row(
        "no passwords at the agent's paths",
        {LEGACY: {ONCE: "", **WITHOUT_CERTIFICATE}},
        dogtags_own_password,
        (0, False),
        (200, True),
    ),
    Row(
        "the agent's paths",
        {LEGACY: {PLAIN_PATH: ""}},
        out_of_the_interface_as_agent,
        False,  # noqa: FBT003
        True,  # noqa: FBT003
    ),
)
# Shown in another file.
_BEYOND = "(?:ca|kra)/rest/(?:installer(?:/|$)|agent/certs/[^/]+/revoke-ca|authorities/[^/]+/renew)"
ELSEWHERE = {
    **dict.fromkeys(
        (
            "LuaInputFilter tpi-only-enrolment /usr/share/ipa-tpi/ca-body.lua only_enrolment",
            '<LocationMatch "^/tpi/ca/rest/certrequests">',
            "SetInputFilter tpi-only-enrolment",
        ),
        "test_attacks_requests.py::test_r_d10_nobody_renews_past_the_validator",
    ),
    f'<LocationMatch "^/tpi/{_BEYOND}">': (
        "test_acls_channel.py::test_r_d17_what_goes_beyond_freeipas_commands_does_not_reach_dogtag"
    ),
    f'<LocationMatch "^/tpi-dispatch/{_BEYOND}">': (
        "test_acls_channel.py::test_r_d16_what_goes_beyond_the_operations_is_not_even_the_executors"
    ),
    "Require all denied": (
        "test_acls_channel.py::test_r_d17_what_goes_beyond_freeipas_commands_does_not_reach_dogtag"
    ),
    "AuthType GSSAPI": "test_location.py::test_only_with_a_ticket",
    "Require valid-user": "test_location.py::test_only_with_a_ticket",
    "<RequireAll>": "test_location.py::test_only_with_a_ticket",
    "RequestHeader unset Cookie": (
        "test_location.py::test_a_session_planted_by_somebody_else_does_not_become_the_callers"
    ),
    "Header always unset Set-Cookie": (
        "test_location.py::test_no_session_comes_back_that_could_be_used_without_the_ticket"
    ),
    "Header onsuccess unset Set-Cookie": (
        "test_location.py::test_no_session_comes_back_that_could_be_used_without_the_ticket"
    ),
    "Require expr \"%{REMOTE_USER} != '' && %{reqenv:TPI_DELEGATION} == '${TPI_CA_DELEGATION}'\"": (
        "test_operator_location.py::test_with_a_ticket_of_ones_own_nobody_gets_through"
    ),
    "GssapiDelegCcachePerms mode:0640 gid:${TPI_CA_GROUP}": (
        "test_directives.py::test_r_e09_callers_tickets_are_for_apache_and_dogtag_alone"
    ),
}
# Without these nothing works, or nothing but a message is different.
WORKS = (
    "AuthName ",
    "Define ",
    "Error ",
    "GssapiAllowedMech ",
    "GssapiCredStore ",
    "GssapiDelegCcacheDir ",
    "GssapiDelegCcacheEnvVar ",
    "GssapiLocalName ",
    "GssapiNameAttributes ",
    "GssapiUseS4U2Proxy ",
    "<IfDefine ",
    "Include ",
    "IncludeOptional ",
    "<Location ",
    "<LocationMatch ",
    "LookupUserAttrIter roles +AJP_REMOTE_USER_GROUP",
    "ProxyIOBufferSize ",
    "ProxyPass ",
    "ProxyPassReverse ",
    "SSLCACertificateFile ",
    "SSLOCSPDefaultResponder ",
    "SSLCertificateFile ",
    "SSLCertificateKeyFile ",
    "SSLRenegBufferSize ",
    "SSLVerifyDepth ",
    "ServerName ",
    "SetEnv AJP_REMOTE_USER_GROUP_",
)
