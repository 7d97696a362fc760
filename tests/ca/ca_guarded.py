"""The text of a profile that has the constraint as docs/validation-contract.md has it, as people would write it."""

from __future__ import annotations

from pathlib import Path

from ca_profile import profile_text

PROGRAM = Path("/usr/libexec/ipa/ipa-pki-validate-cert-request")


def guarded_text(name: str, *, days: int = 30) -> str:
    """Return a profile that asks the validator, and that Dogtag shows to nobody else, as FreeIPA's are.

    Args:
        name: its id.
        days: how long its certificates are good.
    """
    text = profile_text(name, PROGRAM)
    changes = {
        "env.REQUEST_TYPE=": "env.IPA_REQUEST_TYPE=",
        "env.AUTH_MANAGER=": "env.IPA_AUTH_MANAGER=",
        "visible=true": "visible=false",
        "params.range=30": f"params.range={days}",
    }
    for old, new in changes.items():
        text = text.replace(old, new)
    return text
