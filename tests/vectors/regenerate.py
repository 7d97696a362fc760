"""Makes the vectors beside it: each digest of DESIGN section 6, computed with json and hashlib alone.

Nothing of the product is imported.  For values like these (ASCII keys, no floats, no characters
that need an escape) RFC 8785 is json.dumps with sorted keys and without spaces.

Run: python tests/vectors/regenerate.py
"""

import hashlib
import json
import pathlib
from typing import Any

REQUEST = {
    "v": 1,
    "id": "7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10",
    "operation": "dirsrv.restart",
    "operation_digest": "00" * 31 + "2a",
    "target": "ipa1.tpi.test",
    "parameters": {"instance": "DS01"},
    "requester": "alice@TPI.TEST",
    "reason": "Index beschädigt, Neustart nötig",
    "ticket": "",
    "interface": "cli",
}
OPERATION = {
    "objectClass": ["top", "ipaTpiOperation"],
    "cn": ["dirsrv.restart"],
    "description": ["Restart an instance of the directory server"],
    "ipaEnabledFlag": ["TRUE"],
    "ipaTpiParameterSchema": ['{"instance":{"pattern":"[A-Za-z0-9_-]{1,64}"}}'],
    "ipaTpiRequiredApprovals": ["1"],
    "ipaTpiApprovalSeconds": ["300"],
    "ipaTpiExecutionSeconds": ["300"],
    "ipaTpiTimeoutSeconds": ["60"],
    "ipaTpiInterface": ["web", "cli", "framework"],
}
PREVIEW = {
    "shown": {
        "unit": "dirsrv@DS01.service",
        "action": "restart",
        "main_pid": 4711,
        "lines": ["a", None, True],
    },
    "precondition": {},
}
PURPOSES = ("request", "approve", "deny", "withdraw", "cancel", "offline")


def vectors() -> dict[str, Any]:
    """Give the content of each file, by its name without .json."""
    lowered = {name.lower(): sorted(values) for name, values in OPERATION.items() if name != "description"}
    request, preview = _sha256(_canonical(REQUEST)), _sha256(_canonical(PREVIEW))
    approval = _sha256(bytes.fromhex(request) + bytes.fromhex(preview))
    return {
        "request": {"input": REQUEST, "canonical": _canonical(REQUEST).decode(), "sha256": request},
        "operation": {
            "input": OPERATION,
            "canonical": _canonical(lowered).decode(),
            "sha256": _sha256(_canonical(lowered)),
        },
        "preview": {"input": PREVIEW, "canonical": _canonical(PREVIEW).decode(), "sha256": preview},
        "approval": {"input": {"request": request, "preview": preview}, "sha256": approval},
        "mic": [
            {
                "purpose": purpose,
                "digest": request if purpose in {"request", "cancel"} else approval,
                "text": (
                    b"ipa-tpi/1 "
                    + purpose.encode()
                    + b"\x00"
                    + bytes.fromhex(request if purpose in {"request", "cancel"} else approval)
                ).hex(),
            }
            for purpose in PURPOSES
        ],
    }


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    for name, content in vectors().items():
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (pathlib.Path(__file__).parent / f"{name}.json").write_text(text, encoding="utf-8")
