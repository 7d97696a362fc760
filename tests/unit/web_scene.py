"""The web application over a realm of fakes, asked as Apache would ask it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flow_scene import Scene
from werkzeug.test import Client, TestResponse

from ipa_tpi.errors import TpiError
from ipa_tpi.flow import Flow
from ipa_tpi.web.app import Parts, build_app
from ipa_tpi.web.callers import Caller
from ipa_tpi.wire import encode
from tests.fakes import REALM, FakeDirectory, new_id

ORIGIN = "https://localhost:8443"
PREFIX = "/tpi/v1"


@dataclass
class Web:
    """The application and what is around it."""

    ccache: Path
    scene: Scene = field(default_factory=Scene)
    opened: list[FakeDirectory] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)
    refusing: list[TpiError] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the application."""
        self.ccache.touch()
        self.app = build_app(Parts(ORIGIN, self.scene.audit, self._connect))
        self.client = Client(self.app)

    @contextmanager
    def _connect(self, caller: Caller) -> Iterator[Flow]:
        self.callers.append(caller)
        if self.refusing:
            raise self.refusing.pop()
        directory = self.scene.realm.bind(caller.principal)
        self.opened.append(directory)
        scene = self.scene
        with closing(directory):
            yield Flow(directory, scene.site, scene.clock, new_id, scene.audit, scene.nudger)

    def environ(self, uid: str | None) -> dict[str, Any]:
        """Give what Apache puts into the environment for a caller."""
        if uid is None:
            return {}
        name = f"{uid}@{REALM}"
        ccache = f"FILE:{self.ccache}"
        return {"REMOTE_USER": name, "GSS_NAME": name, "AUTH_TYPE": "Negotiate", "KRB5CCNAME": ccache}

    def get(self, path: str, uid: str | None = "alice", **arguments: Any) -> TestResponse:
        """Ask for something."""
        return self.ask("GET", path, uid, **arguments)

    def post(self, path: str, body: object, uid: str | None = "alice", **arguments: Any) -> TestResponse:
        """Send something."""
        data = body if isinstance(body, bytes) else encode(body)
        return self.ask("POST", path, uid, data=data, **({"content_type": "application/json"} | arguments))

    def ask(
        self,
        method: str,
        path: str,
        uid: str | None,
        *,
        environ: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> TestResponse:
        """Send a request."""
        overrides = self.environ(uid) | (environ or {})
        return self.client.open(PREFIX + path, method=method, environ_overrides=overrides, **arguments)


def problem(answer: TestResponse, code: str, status: int) -> dict[str, Any]:
    """Expect a problem document, and nothing in it beside what RFC 9457 and we define."""
    told: dict[str, Any] = json.loads(answer.data)
    assert (told.get("code"), answer.status_code) == (code, status), told
    assert answer.content_type == "application/problem+json"
    assert told.keys() <= {"type", "title", "status", "detail", "code", "instance"}
    assert told["status"] == status
    assert told["type"] == f"urn:ipa-tpi:problem:{code}"
    assert told["detail"]
    return told
