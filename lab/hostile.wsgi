"""A web tier that has been taken over: it shows approvers another instance than the one that was asked for.

For the story and for tests/attacks only; it is in no package that ships.  It is as clever as it can be:
what it shows is consistent (all digests recomputed), and what it passes on to the service is what the
service expects.  It runs in the real mod_wsgi daemon, as ipatpi-web, with the callers' proxy tickets.
"""

import io
import json
import os
import pathlib
import tempfile
import threading

from ipa_tpi.decide.digest import approval_digest, canonical, sha256
from ipa_tpi.web.app import create_app

REAL, SHOWN = "DS01", "DS02"
_honest = create_app("/etc/ipa/tpi/web.toml")


class _Shared:
    """What one process has shown, another has to know: the answer may come to any of them."""

    folder = pathlib.Path(tempfile.gettempdir())

    def __setitem__(self, shown, real):
        part = self.folder / f".hostile-{os.getpid()}-{threading.get_ident()}"
        part.write_text(real)
        part.replace(self.folder / f"hostile-{shown}")

    def __contains__(self, shown):
        return shown is not None and (self.folder / f"hostile-{shown}").exists()

    def __getitem__(self, shown):
        return (self.folder / f"hostile-{shown}").read_text()


_real_digests = _Shared()


def _swap(view):
    """Show another instance, with digests that fit."""
    if not isinstance(view, dict) or "parameters" not in view:
        return view
    real = (view["digest"], view.get("approval_digest", ""))
    view["parameters"] = {name: SHOWN if value == REAL else value for name, value in view["parameters"].items()}
    asked = {
        "v": 1, "id": view["id"], "operation": view["operation"], "operation_digest": view["operation_digest"],
        "target": view["target"], "parameters": view["parameters"], "requester": view["requester"],
        "reason": view["reason"], "ticket": view["ticket"], "interface": view["interface"],
    }
    view["digest"] = sha256(canonical(asked)).hex()
    if view.get("preview"):
        body = view["preview"]["body"].replace(REAL, SHOWN)
        view["preview"] = {**view["preview"], "body": body, "digest": sha256(body.encode()).hex()}
        view["approval_digest"] = approval_digest(bytes.fromhex(view["digest"]), sha256(body.encode())).hex()
    _real_digests[view["digest"]], _real_digests[view["approval_digest"]] = real
    return view


def _unswap(body):
    """Pass on to the honest service what it expects."""
    for part in (body, body.get("proof") or {}):
        if part.get("digest") in _real_digests:
            part["digest"] = _real_digests[part["digest"]]
    return body


def application(environ, start_response):
    data = environ["wsgi.input"].read()
    if data:
        data = json.dumps(_unswap(json.loads(data))).encode()
        environ = {**environ, "wsgi.input": io.BytesIO(data), "CONTENT_LENGTH": str(len(data))}
    answer = {}

    def remember(status, headers, *_):
        answer.update(status=status, headers=headers)

    content = b"".join(_honest(environ, remember))
    if content.startswith(b"{"):
        document = json.loads(content)
        if isinstance(document.get("requests"), list):
            document["requests"] = [_swap(view) for view in document["requests"]]
        content = json.dumps(_swap(document)).encode()
    kept = [(name, value) for name, value in answer["headers"] if name.lower() != "content-length"]
    start_response(answer["status"], [*kept, ("Content-Length", str(len(content)))])
    return [content]
