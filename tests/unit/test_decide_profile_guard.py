"""A profile is guarded, or is not; each line that guards it was taken away and put wrong (R-D18, D08)."""

from __future__ import annotations

import pytest
from profile_examples import GUARDED, LAST, changed

from ipa_tpi.decide.profile_guard import check_guard, policies

PROGRAM = f"{LAST}.constraint.params.executable"
TIMEOUT = f"{LAST}.constraint.params.timeout"
ENV = f"{LAST}.constraint.params.env"
SECOND = {
    key.replace("set1", "set2"): value for key, value in GUARDED.items() if key.startswith("policyset.set1.")
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {TIMEOUT: "60"},
        {f"{ENV}.IPA_SUBJECT": "auth_token.PRINCIPAL.IPA_SUBJECT"},
        {f"{LAST}.default.name": None, f"{LAST}.constraint.name": "anything"},
        {"renewal": "false", "updater.list": ""},
        {"policyset.set1.1.default.params.name": "CN=$request.req_subject_name.cn$,O=TPI.TEST"},
        {"authz.acl": 'group="cn=a,dc=b"', "visible": "true"},
        {"policyset.list": "set1,set2", **SECOND},
        {"policyset.set1.list": "1,3,2", "policyset.set1.3.constraint.class_id": "noConstraintImpl"},
        {"policyset.unused.list": "1"},
    ],
)
def test_r_d18_what_is_guarded_is_accepted(changes: dict[str, str | None]) -> None:
    assert check_guard(changed(changes)) is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        # Who asks
        ({"auth.instance_id": None}, "SessionAuthentication"),
        ({"auth.instance_id": ""}, "SessionAuthentication"),
        ({"auth.instance_id": "raCertAuth"}, "SessionAuthentication"),
        ({"auth.instance_id": "sessionauthentication"}, "SessionAuthentication"),
        # The constraint: there, last, in every set, once
        ({f"{LAST}.constraint.class_id": "noConstraintImpl"}, "and not externalProcess"),
        ({f"{LAST}.constraint.class_id": None}, "and not externalProcess"),
        ({f"{LAST}.constraint.class_id": "ExternalProcessConstraintImpl"}, "and not externalProcess"),
        ({"policyset.set1.list": "2,1"}, "set1"),
        ({"policyset.set1.list": "1"}, "set1"),
        ({"policyset.set1.list": ""}, "no list of policies"),
        ({"policyset.set1.list": None}, "no list of policies"),
        ({"policyset.set1.list": "1,2,"}, "no list of policies"),
        ({"policyset.set1.list": "1, 2"}, "no list of policies"),
        ({"policyset.set1.list": "1,2,2"}, "no list of policies"),
        ({"policyset.set1.list": "1,2,3"}, "set1"),
        ({"policyset.list": None}, "no list of policy sets"),
        ({"policyset.list": ""}, "no list of policy sets"),
        ({"policyset.list": "set1,set1"}, "no list of policy sets"),
        ({"policyset.list": "set1,open"}, "open"),
        ({"policyset.list": "open"}, "open"),
        ({"policyset.set1.1.constraint.class_id": "externalProcessConstraintImpl"}, "stands in 2 places"),
        ({"policyset.old.2.constraint.class_id": "EXTERNALPROCESSCONSTRAINTIMPL"}, "stands in 2 places"),
        # The program
        ({PROGRAM: None}, "executable"),
        ({PROGRAM: "/bin/true"}, "executable"),
        ({PROGRAM: "/usr/libexec/ipa/../ipa/ipa-pki-validate-cert-request"}, "executable"),
        ({TIMEOUT: None}, "timeout"),
        ({TIMEOUT: "9"}, "timeout"),
        ({TIMEOUT: "61"}, "timeout"),
        ({TIMEOUT: "010"}, "timeout"),
        ({TIMEOUT: "+10"}, "timeout"),
        ({TIMEOUT: "10s"}, "timeout"),
        ({TIMEOUT: "1000"}, "timeout"),
        # What it is told
        ({f"{ENV}.KRB5CCNAME": None}, "KRB5CCNAME"),
        ({f"{ENV}.KRB5CCNAME": "requestor_name"}, "KRB5CCNAME"),
        ({f"{ENV}.IPA_REQUEST_TYPE": None}, "IPA_REQUEST_TYPE"),
        ({f"{ENV}.IPA_AUTH_MANAGER": "requestor_name"}, "IPA_AUTH_MANAGER"),
        ({f"{ENV}.IPA_SUBJECT": "requestor_name"}, "IPA_SUBJECT is more"),
        ({f"{ENV}.DOGTAG_USER": "requestor_name"}, "DOGTAG_USER is more"),
        ({f"{ENV}.LD_PRELOAD": "requestor_name"}, "LD_PRELOAD is more"),
        ({f"{LAST}.constraint.params.env": "x"}, "is more"),
        ({f"{LAST}.default.class_id": "userExtensionDefaultImpl"}, "default.class_id"),
        ({f"{LAST}.default.params.x": "y"}, "is more"),
        # What a person gives
        ({"input.list": None}, "no list of inputs"),
        ({"input.list": "i2"}, "no certReqInputImpl"),
        ({"input.list": "i1,i2,i3", "input.i3.class_id": "certReqInputImpl"}, "or several"),
        ({"input.i2.class_id": "subjectNameInputImpl"}, "gives more than a request"),
        ({"input.i2.class_id": "serverKeygenInputImpl"}, "gives more than a request"),
        ({"input.i2.class_id": None}, "gives more than a request"),
        *(
            ({"policyset.set1.1.default.params.name": f"CN={value}"}, "another thing")
            for value in (
                "$request.requestor_name$",
                "$request.Requestor_Name$",
                "$request.profileRemoteHost$",
                "$request.req_subject_name.o$",
                "$request.req_subject_name.cn$request.requestor_name$",
            )
        ),
        # Other ways to a certificate, or to more
        ({"renewal": "true"}, "renews"),
        ({"renewal": "yes"}, "renews"),
        ({"updater.list": "u1"}, "updaters"),
    ],
)
def test_r_d18_a_profile_that_is_open_is_refused(changes: dict[str, str | None], complaint: str) -> None:
    refusal = check_guard(changed(changes))
    assert refusal is not None
    assert refusal.code == "profile-unguarded"
    assert complaint in refusal.message
    assert "docs/validation-contract.md" in refusal.message


def test_an_empty_profile_says_what_is_missing_first_and_how_much_more() -> None:
    refusal = check_guard({})
    assert refusal is not None
    assert "SessionAuthentication, input.list is no list of inputs, policyset.list" in refusal.message
    assert " more;" not in refusal.message
    refusal = check_guard({"policyset.list": "a", "policyset.a.list": "1"})
    assert refusal is not None
    assert ", and 1 more; see" in refusal.message


def test_what_each_policy_demands_is_listed_in_dogtags_order() -> None:
    first = {
        "policy": "set1.1",
        "default": "userSubjectNameDefaultImpl",
        "constraint": "noConstraintImpl",
    }
    last = {
        "policy": "set1.2",
        "default": "noDefaultImpl",
        "constraint": "externalProcessConstraintImpl",
    }
    assert policies(GUARDED) == [first, last]
    assert policies(changed({"policyset.set1.list": "2,1"})) == [last, first]
    assert policies({}) == []
    assert policies({"policyset.list": "a", "policyset.a.list": "1,1"}) == []
    assert policies({"policyset.list": "a", "policyset.a.list": "1"}) == [
        {"policy": "a.1", "default": "", "constraint": ""}
    ]
