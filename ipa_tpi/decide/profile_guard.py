"""Whether a certificate profile is guarded: nobody gets by it what the validator refuses (R-D18, D08).

Rules, each of which keeps Dogtag from issuing what the validator does not see or is not asked about:

1. Who enrols has a session of his own (``SessionAuthentication``).
2. There are policy sets, and in each of those that are listed, the last policy asks our program, `PROGRAM`,
   and says exactly what docs/validation-contract.md has: with any variable more, a caller could say in it who
   he is.  The program is asked nowhere else, and no other program is: it would run as Dogtag's user.  Which of
   several sets applies is decided by a request's number, so each of them is a way in.
3. The program has at least `LEAST_SECONDS` to answer in, and Dogtag waits for it `MOST_SECONDS` at most.
4. What a person gives is the request and his address; of what Dogtag keeps of these, a policy puts into a certificate
   the request's common name alone (`_CHECKED`), which the validator checks, and never the address.
5. It does not renew: then Dogtag takes the request from an earlier enrolment.
6. It has no updater: these give rights to users of Dogtag's own.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from ipa_tpi.model import Json, Refuse

PROGRAM: Final = "/usr/libexec/ipa/ipa-pki-validate-cert-request"
LEAST_SECONDS: Final = 10
MOST_SECONDS: Final = 60
CONSTRAINT: Final = "externalProcessConstraintImpl"
_VARIABLES: Final = {
    "KRB5CCNAME": "auth_token.PRINCIPAL.KRB5CCNAME",
    "IPA_REQUEST_TYPE": "cert_request_type",
    "IPA_AUTH_MANAGER": "auth_token.authMgrInstName",
}
_OPTIONAL: Final = {"IPA_SUBJECT": "auth_token.PRINCIPAL.IPA_SUBJECT"}
_INPUTS: Final = frozenset({"certReqInputImpl", "submitterInfoInputImpl"})
_CHECKED: Final = (
    "$request.req_subject_name.cn$"  # of all that a certificate could bear, the validator has seen this
)
_MOST_TOLD: Final = 3
_LIST: Final = re.compile(r"[A-Za-z0-9_-]+(,[A-Za-z0-9_-]+)*")
_WORDS_ALONE: Final = frozenset({"constraint.name", "default.name"})

Pairs = Mapping[str, str]


def check_guard(pairs: Pairs) -> Refuse | None:
    """Refuse a profile that would issue past the validator.

    Args:
        pairs: Its configuration.

    Returns:
        None, or a refusal ``profile-unguarded`` that says what is missing.
    """
    complaints = list(_complaints(pairs))
    if not complaints:
        return None
    told = complaints[:_MOST_TOLD]
    more = len(complaints) - len(told)
    return Refuse(
        "profile-unguarded",
        f"the profile would issue certificates past the validator: {', '.join(told)}"
        f"{f', and {more} more' if more else ''}; see 'What a profile says' in docs/validation-contract.md",
    )


def policies(pairs: Pairs) -> list[Json]:
    """List what a profile demands, for people who decide about it.

    Args:
        pairs: Its configuration.

    Returns:
        In Dogtag's order, for each policy: its place (``SET.ID``), what gives the value, what it has to keep to.
    """
    found: list[Json] = []
    for each in _listed(pairs, "policyset.list") or ():
        for one in _listed(pairs, f"policyset.{each}.list") or ():
            base = f"policyset.{each}.{one}"
            default, constraint = (
                pairs.get(f"{base}.{part}.class_id", "") for part in ("default", "constraint")
            )
            found.append({"policy": f"{each}.{one}", "default": default, "constraint": constraint})
    return found


def _complaints(pairs: Pairs) -> Iterator[str]:
    if pairs.get("auth.instance_id") != "SessionAuthentication":
        yield "auth.instance_id is not SessionAuthentication"
    yield from _inputs(pairs)
    # Dogtag knows such a name in any letter case, and has among them whatever the caller wrote as his address.
    if any("$request." in value.replace(_CHECKED, "$").lower() for value in pairs.values()):
        yield f"it puts into the certificate another thing of the request's than {_CHECKED}"
    if pairs.get("renewal", "false").lower() != "false":
        yield "it renews certificates"
    if pairs.get("updater.list", ""):
        yield "it has updaters"
    sets = _listed(pairs, "policyset.list")
    if not sets:
        yield "policyset.list is no list of policy sets"
        return
    for each in sets:
        yield from _set(pairs, each)
    classes = [value.lower() for key, value in pairs.items() if key.endswith(".class_id")]
    asked = classes.count(CONSTRAINT.lower())
    if asked != len(sets):
        yield f"{CONSTRAINT} stands in {asked} places and not once in each of {len(sets)} policy sets"


def _inputs(pairs: Pairs) -> Iterator[str]:
    listed = _listed(pairs, "input.list")
    if not listed:
        yield "input.list is no list of inputs"
        return
    classes = [pairs.get(f"input.{each}.class_id", "") for each in listed]
    others = sorted(set(classes) - _INPUTS)
    if others:
        yield f"its input {others[0]!a} gives more than a request"
    if classes.count("certReqInputImpl") != 1:
        yield "it takes no certReqInputImpl, or several"


def _set(pairs: Pairs, name: str) -> Iterator[str]:
    ids = _listed(pairs, f"policyset.{name}.list")
    if not ids:
        yield f"policyset.{name}.list is no list of policies"
        return
    base = f"policyset.{name}.{ids[-1]}."
    said = {key.removeprefix(base): value for key, value in pairs.items() if key.startswith(base)}
    asked = said.pop("constraint.class_id", "")
    if asked != CONSTRAINT:  # then it is another policy, of which nothing else would fit either
        yield f"the last policy of the set {name} demands {asked!a} and not {CONSTRAINT}"
        return
    expected = {
        "default.class_id": "noDefaultImpl",
        "constraint.params.executable": PROGRAM,
        **{f"constraint.params.env.{each}": value for each, value in _VARIABLES.items()},
    }
    optional = {f"constraint.params.env.{each}": value for each, value in _OPTIONAL.items()}
    for key, value in expected.items():
        if said.get(key) != value:
            yield f"the last policy of the set {name} has {said.get(key, '')!a} and not {value} as {key}"
    seconds = said.get("constraint.params.timeout", "")
    if re.fullmatch(r"[1-9][0-9]", seconds) is None or not LEAST_SECONDS <= int(seconds) <= MOST_SECONDS:
        yield f"{base}constraint.params.timeout is not from {LEAST_SECONDS} to {MOST_SECONDS}"
    for key in sorted(said.keys() - expected.keys() - _WORDS_ALONE - {"constraint.params.timeout"}):
        if optional.get(key) != said[key]:
            yield f"{base}{key} is more than the last policy may say"


def _listed(pairs: Pairs, key: str) -> list[str] | None:
    """Give the members of a list as Dogtag takes it apart; None where it is empty, or names one twice."""
    text = pairs.get(key, "")
    if _LIST.fullmatch(text) is None:
        return None
    members = text.split(",")
    return members if len(set(members)) == len(members) else None
