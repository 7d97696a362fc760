"""The text of a profile of Dogtag's, as its raw interface takes it."""

from __future__ import annotations

from pathlib import Path

_SET = "policyset.serverCertSet"
# Policies of the set: what gives the value, what it has to keep to, and their parameters.
_POLICIES: tuple[tuple[str, dict[str, str], str, dict[str, str]], ...] = (
    (
        "userSubjectNameDefaultImpl",
        {},
        "subjectNameConstraintImpl",
        {"pattern": "CN=.*", "accept": "true"},
    ),
    (
        "validityDefaultImpl",
        {"range": "30", "startTime": "0"},
        "validityConstraintImpl",
        {"range": "30", "notBeforeCheck": "false", "notAfterCheck": "false"},
    ),
    (
        "userKeyDefaultImpl",
        {},
        "keyConstraintImpl",
        {"keyType": "RSA", "keyParameters": "2048,3072,4096"},
    ),
    ("authorityKeyIdentifierExtDefaultImpl", {}, "noConstraintImpl", {}),
    (
        "signingAlgDefaultImpl",
        {"signingAlg": "-"},
        "signingAlgConstraintImpl",
        {"signingAlgsAllowed": "SHA256withRSA,SHA384withRSA,SHA512withRSA"},
    ),
)


def profile_text(name: str, program: Path, *, timeout_seconds: int = 10) -> str:
    """Return a profile that takes people with a session, and asks a program last.

    Args:
        name: its id.
        program: what it asks.
        timeout_seconds: how long it waits; Dogtag 10.10 has no default.
    """
    asks = {
        "executable": str(program),
        "timeout": str(timeout_seconds),
        "env.KRB5CCNAME": "auth_token.PRINCIPAL.KRB5CCNAME",
        "env.REQUEST_TYPE": "cert_request_type",
        "env.AUTH_MANAGER": "auth_token.authMgrInstName",
    }
    policies = (*_POLICIES, ("noDefaultImpl", {}, "externalProcessConstraintImpl", asks))
    lines = [
        f"profileId={name}",
        "classId=caEnrollImpl",
        f"name={name}",
        f"desc={name}",
        "visible=true",
        "enable=false",
        "auth.instance_id=SessionAuthentication",
        'authz.acl=group="cn=ca-operators,cn=groups,cn=accounts,dc=tpi,dc=test"',
        "input.list=i1,i2",
        "input.i1.class_id=certReqInputImpl",
        "input.i2.class_id=submitterInfoInputImpl",
        "output.list=o1",
        "output.o1.class_id=certOutputImpl",
        "policyset.list=serverCertSet",
        f"{_SET}.list={','.join(str(number) for number in range(1, len(policies) + 1))}",
    ]
    for number, (default, default_params, constraint, constraint_params) in enumerate(policies, start=1):
        lines.append(f"{_SET}.{number}.default.class_id={default}")
        lines.append(f"{_SET}.{number}.default.name={default}")
        lines += [f"{_SET}.{number}.default.params.{key}={value}" for key, value in default_params.items()]
        lines.append(f"{_SET}.{number}.constraint.class_id={constraint}")
        lines.append(f"{_SET}.{number}.constraint.name={constraint}")
        lines += [
            f"{_SET}.{number}.constraint.params.{key}={value}" for key, value in constraint_params.items()
        ]
    return "\n".join(lines) + "\n"
