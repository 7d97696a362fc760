"""Dogtag's variables, each hostile, made into one question (D09).

Rules:

1. The request is PKCS #10: its type is told, and it is ``pkcs10`` (Dogtag's inputs take CRMF, CMC and SPKAC too).
2. Whoever asks was authenticated outside Dogtag, and is one principal of our realm, in plain form.
3. The profile is a plain name, and none of the CA's own, whose certificates this realm's people never get.
4. The authority is absent, which is the host's own CA, or a UUID.
5. The subject is absent, or one principal of our realm; where two variables tell it they tell the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ipa_tpi_validator.principals import Principal, PrincipalError, read
from ipa_tpi_validator.refusal import Refusal, access, invalid, missing, shown

REQUEST: Final = "DOGTAG_CERT_REQUEST"
USER: Final = "DOGTAG_USER"
PROFILE: Final = "DOGTAG_PROFILE_ID"
AUTHORITY: Final = "DOGTAG_AUTHORITY_ID"
# Dogtag documents this one, and never sets it.
USER_DATA: Final = "DOGTAG_USER_DATA"
# By params.env of the profile:
SUBJECT: Final = "IPA_SUBJECT"  # auth_token.PRINCIPAL.IPA_SUBJECT
TYPE: Final = "IPA_REQUEST_TYPE"  # cert_request_type
MANAGER: Final = "IPA_AUTH_MANAGER"  # auth_token.authMgrInstName
CCACHE: Final = "KRB5CCNAME"  # auth_token.PRINCIPAL.KRB5CCNAME
VARIABLES: Final = frozenset({REQUEST, USER, PROFILE, AUTHORITY, USER_DATA, SUBJECT, TYPE, MANAGER})

SYSTEM_PROFILES: Final = frozenset(
    {
        "caOCSPCert",
        "caSubsystemCert",
        "caSignedLogCert",
        "caCACert",
        "caServerCert",
        "caAuditSigningCert",
        "caStorageCert",
        "caTransportCert",
    }
)
_PROFILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_AUTHORITY: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        text: The request, unchanged.
        user: Who asks.
        profile: By which profile.
        authority: Of which CA, as a UUID in lower case; empty for the host's own.
        subject: For whom; None where it follows from the request.
    """

    text: str
    user: Principal
    profile: str
    authority: str
    subject: Principal | None


def read_question(variables: Mapping[str, bytes], realm: str) -> Question | Refusal:
    """Read Dogtag's variables.

    Args:
        variables: Those of `VARIABLES` that are set.
        realm: Our realm.

    Returns:
        The question, or why there is none.
    """
    try:
        texts = {name: value.decode("ascii") for name, value in variables.items()}
    except UnicodeDecodeError:
        return invalid("a variable is not ASCII; send PEM and plain names", "not-ascii")
    if texts.keys() - VARIABLES:
        return invalid("there are other variables than agreed; correct the profile", "variables")
    if texts.get(TYPE) != "pkcs10":
        return invalid("only PKCS #10 is taken here; send that, as cert_request_type pkcs10", "type")
    if texts.get(MANAGER) != "external":  # R-D09: a user of the CA's own, with a session of the CA's own
        return access("only who logs in with Kerberos may request certificates here", "not-external")
    return _read(texts, realm)


def _read(texts: Mapping[str, str], realm: str) -> Question | Refusal:
    if _PROFILE.fullmatch(texts.get(PROFILE, "")) is None:
        return missing("there is no such certificate profile", "profile")
    if texts[PROFILE] in SYSTEM_PROFILES:
        return missing(
            f"the profile '{texts[PROFILE]}' is for the CA's own certificates; use another", "system-profile"
        )
    authority = texts.get(AUTHORITY, "")
    if AUTHORITY in texts and _AUTHORITY.fullmatch(authority) is None:
        return missing("there is no such certificate authority", "authority")
    if not texts.get(REQUEST):
        return invalid("there is no certificate request; send one", "no-request")
    try:
        user = read(texts.get(USER, ""), realm)
    except PrincipalError:
        return access(f"'{shown(texts.get(USER, ''))}' is no principal of {realm}", "user")
    told = {texts[name] for name in (SUBJECT, USER_DATA) if texts.get(name)}
    if len(told) > 1:
        return invalid("two subjects are named; name one", "two-subjects", "principal")
    try:
        subjects = [read(one, realm) for one in told]
    except PrincipalError:
        return missing("The principal for this request doesn't exist.", "subject")
    return Question(
        texts[REQUEST], user, texts[PROFILE], authority.lower(), subjects[0] if subjects else None
    )
