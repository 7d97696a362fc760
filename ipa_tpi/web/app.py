"""The WSGI application: one path from an HTTP request to the flow and back.

`create_app` wires the real parts; `build_app` takes any.  There is no session, no cookie, and no
state between two requests beside the configuration: each request opens a connection to the
directory with its caller's own ticket and closes it at the end (K01, E24).
"""

import importlib.resources
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from ipa_tpi.adapters.audit import open_audit
from ipa_tpi.adapters.directory import approve_permission_dn, open_directory, request_permission_dn
from ipa_tpi.adapters.gss import caller_credentials
from ipa_tpi.adapters.nudge import open_nudger
from ipa_tpi.config import read_floor, read_web_config
from ipa_tpi.errors import HTTP_STATUS, AuditError, TooManyRequestsError, TpiError, UnavailableError
from ipa_tpi.flow import Event, Flow, Site
from ipa_tpi.ports import Audit
from ipa_tpi.web.callers import Caller, read_caller
from ipa_tpi.web.incoming import check_origin, check_query
from ipa_tpi.web.limits import CallerLimits
from ipa_tpi.web.problems import from_error, from_http, harden, internal
from ipa_tpi.web.views import PREFIX, VIEWS, View
from ipa_tpi.wire import MAX_BODY_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LDAP_TIMEOUT_SECONDS: Final = 10
_HEALTH: Final = "healthz"
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of.

    Attributes:
        origin: The one origin whose pages may use the service.
        audit: The trail.
        connect: Opens a flow as a caller and closes its connection at the end.
        limits: What one caller may ask of this process.
    """

    origin: str
    audit: Audit
    connect: Callable[[Caller], AbstractContextManager[Flow]]
    limits: CallerLimits = field(default_factory=CallerLimits)


def create_app(config_path: str) -> Flask:
    """Make the application from its configuration file.

    Args:
        config_path: ``web.toml``.

    Returns:
        The WSGI application.

    Raises:
        ConfigError: Configuration or floor is missing, malformed or unsafe.
    """
    config = read_web_config(config_path)
    site = Site(
        config.host,
        config.realm,
        config.suffix,
        read_floor(config.floor),
        approve_permission_dn(config.suffix),
        request_permission_dn(config.suffix),
    )
    audit = open_audit(config.audit, "web")
    nudger = open_nudger(config.executor_socket)

    @contextmanager
    def connect(caller: Caller) -> Iterator[Flow]:
        credentials = caller_credentials(caller.ccache, caller.principal)  # R-K01
        directory = open_directory(
            config.ldap_uri,
            config.ldap_host,
            config.suffix,
            credentials,
            site.floor.person_attribute,
            LDAP_TIMEOUT_SECONDS,
        )
        with closing(directory):
            yield Flow(directory, site, _now, _new_id, audit, nudger)

    return build_app(Parts(config.origin, audit, connect))


def build_app(parts: Parts) -> Flask:
    """Make the application from its parts.

    Args:
        parts: Them.

    Returns:
        The WSGI application; it may be mounted at ``/`` or at ``/tpi/v1``.
    """
    app = Flask("ipa_tpi.web", static_folder=None, template_folder=None)
    # R-E03: one more than is allowed, for of a body without a known length Werkzeug keeps only that much
    # and tells nobody; `wire.decode` then sees that it is too large.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    for view in VIEWS:
        _route(app, view.method, view.path, view.name, partial(_serve, parts, view))
    description = importlib.resources.files("ipa_tpi.web").joinpath("openapi.yaml").read_bytes()
    _route(app, "GET", "/openapi.yaml", "openapi", partial(_describe, parts, description))
    _route(app, "GET", "/healthz", _HEALTH, _say_ok)
    app.register_error_handler(TpiError, _answer_error)
    app.register_error_handler(HTTPException, partial(_answer_http, parts.audit))
    app.register_error_handler(Exception, partial(_answer_unforeseen, parts.audit))
    app.before_request(partial(_enter, parts))
    app.teardown_request(partial(_leave, parts.limits))
    app.after_request(harden)
    app.wsgi_app = _Whole(app.wsgi_app)  # type: ignore[method-assign]
    return app


def _enter(parts: Parts) -> None:
    """Before anything else, so that no refusal escapes the count either (R-E22)."""
    if request.endpoint == _HEALTH:
        return
    caller = _named()
    try:
        parts.limits.enter(caller)
    except TooManyRequestsError as error:
        if not error.repeated:  # else whoever asks too fast would fill the trail
            parts.audit.record(
                Event.REFUSED.value, caller=caller, path=request.path, method=request.method, code=error.code
            )
        raise
    g.entered = caller


def _leave(limits: CallerLimits, _: BaseException | None = None) -> None:
    caller = g.pop("entered", None)
    if caller is not None:
        limits.leave(caller)


def _serve(parts: Parts, view: View, request_id: str = "") -> Response:
    """The path of every request: origin, caller, form, connection as the caller, verb."""
    with ExitStack() as stack:
        with _recorded(parts.audit, view.name, request_id):
            check_origin(request, parts.origin)  # R-E22
            caller = read_caller(request.environ)  # R-K01
            act = view.read(request, request_id)  # R-E03
            flow = stack.enter_context(parts.connect(caller))
        return act(flow, caller.principal)


def _describe(parts: Parts, description: bytes) -> Response:
    with _recorded(parts.audit, "openapi", ""):
        check_origin(request, parts.origin)
        read_caller(request.environ)
        check_query(request, frozenset())
    return Response(description, content_type="application/yaml")  # RFC 9512


def _say_ok() -> Response:
    # Anybody may ask this, so it must cost nothing and reach nothing: it reads neither directory nor disk.
    return Response(b'{"status":"ok"}', content_type="application/json")


@contextmanager
def _recorded(audit: Audit, verb: str, request_id: str) -> Iterator[None]:
    """Leave one audit record of what is refused before the flow, which records its own (A08)."""
    try:
        yield
    except TpiError as error:
        event = Event.FAILED if isinstance(error, UnavailableError) else Event.REFUSED
        audit.record(
            event.value,
            caller=_named(),
            request=request_id,
            verb=verb,
            code=error.code,
            message=error.message,
        )
        raise


def _answer_error(error: TpiError) -> Response:
    if error.code not in HTTP_STATUS:
        _LOG.error("the code %r has no HTTP status", error.code)
    return from_error(error, request.path)


def _answer_http(audit: Audit, error: HTTPException) -> Response:
    code, answer = from_http(error, request.path)
    try:
        audit.record(
            Event.REFUSED.value, caller=_named(), path=request.path, method=request.method, code=code
        )
    except AuditError as failed:
        return from_error(failed, request.path)
    return answer


def _answer_unforeseen(audit: Audit, error: Exception) -> Response:
    """The outermost loop: whatever was not foreseen denies, is audited, and tells nothing."""
    _LOG.error("unforeseen", exc_info=error)
    try:
        kind = type(error).__name__
        audit.record(Event.ERROR.value, caller=_named(), path=request.path, method=request.method, kind=kind)
    except AuditError as failed:
        _LOG.error("no audit record of it: %s", failed.message)
    return internal(request.path)


def _named() -> str:
    """Who Apache says it is, for a record that is written before that was judged."""
    return str(request.environ.get("REMOTE_USER") or "")


def _route(app: Flask, method: str, path: str, name: str, answer: Callable[..., Response]) -> None:
    # R-E22: no OPTIONS, so that no preflight of another origin is ever answered.
    app.add_url_rule(PREFIX + path, name, answer, methods=[method], provide_automatic_options=False)


class _Whole:
    """Gives the application the whole path, at whatever point the server mounts it."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        return self._application({**environ, "SCRIPT_NAME": "", "PATH_INFO": path}, start_response)


def _now() -> datetime:
    return datetime.now(tz=UTC)


def _new_id() -> str:
    return str(uuid.uuid4())
