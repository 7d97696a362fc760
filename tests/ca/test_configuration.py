"""Profiles and sub-CAs of the real CA, by the executor's own operations and way, as alice (D16, R-D18, K01)."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator

import ca_operator
import ldap
import pytest
from ca_guarded import PROGRAM, guarded_text
from ca_host import TLS_AUTHORITY, CaHost, Profile, certificate_request
from ca_profile import profile_text
from ca_requests import CaWorld
from certval_tree import planted

from ipa_tpi.adapters.dogtag import Dogtag
from ipa_tpi.adapters.dogtag_transport import OperatorLocation, ProxyTicket
from ipa_tpi.decide.profile_text import MAX_CHARACTERS, Configuration, read_configuration, told_configuration
from ipa_tpi.errors import ActionFailedError, RefusedError
from ipa_tpi.executor.action import Means
from ipa_tpi.executor.operations import operation
from ipa_tpi.model import Refuse
from lab.ca_spawn import LDAPI
from lab.gss_bind import bind
from lab.layout import CA_HOST, REALM

PLACE = OperatorLocation(CA_HOST, ca_operator.PORT, TLS_AUTHORITY)
NOWHERE = OperatorLocation(CA_HOST, 9, TLS_AUTHORITY)
SERVER = "ipa1.tpi.test"
SOCKET = "ipa-tpi-certval.socket"
PROFILES = "ou=certificateProfiles,ou=ca,o=ipaca"


def reach(ca: CaHost, person: str = "alice", place: OperatorLocation = PLACE) -> Dogtag:
    return Dogtag(ProxyTicket(place, ca_operator.evidence(ca.ccache(person))))


def means(ca: CaHost, person: str = "alice", place: OperatorLocation = PLACE) -> Means:
    return Means(None, reach(ca, person, place))  # type: ignore[arg-type]


def run(name: str, with_: Means, /, **parameters: str) -> str:
    """Let an operation go its way: show, compare, act; give what it told in the end."""
    wanted = operation(name)
    _, precondition = wanted.preview(parameters, with_)
    assert wanted.precondition(parameters, with_) == precondition
    return wanted.act(parameters, with_, 60).excerpt


def new_name() -> str:
    return f"cfg{uuid.uuid4().hex[:8]}"


def pairs_of(name: str, text: str) -> dict[str, str]:
    found = read_configuration(text, name)
    assert isinstance(found, Configuration)
    return dict(found.pairs)


def imported(ca: CaHost) -> str:
    """A guarded profile that nobody has enabled."""
    name = new_name()
    told = run("dogtag.profile.import", means(ca), profile=name, configuration=guarded_text(name))
    assert told == f"imported {name}: it is disabled"
    return name


def has(ca: CaHost, name: str) -> Configuration:
    return told_configuration(reach(ca).profiles.read(name))


@pytest.fixture(scope="module")
def enrolling(ca: CaHost) -> Iterator[str]:
    """A profile that FreeIPA knows too, imported and enabled: the validator lets alice have a certificate of her own."""
    subprocess.run(["systemctl", "start", SOCKET], check=True)
    name = imported(ca)
    assert run("dogtag.profile.enable", means(ca), profile=name) == f"enabled {name}: it is enabled"
    ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, TLS_AUTHORITY)
    root = bind(f"ldaps://{SERVER}", ca.ccache("adam").removeprefix("FILE:"), SERVER)
    with planted(root, CA_HOST, REALM, 5, name):
        yield name
    root.unbind_s()


def days(ca: CaHost, profile: str) -> int:
    """Enrol, and tell for how many days the certificate is good."""
    answer = ca.enroll("alice", profile, certificate_request("alice"))
    assert answer.status == 200, answer
    (entry,) = answer.json["entries"]
    assert entry["requestStatus"] == "complete", entry
    issued = ca.certificate(entry["certId"])
    return (issued.not_valid_after_utc - issued.not_valid_before_utc).days


def test_r_d18_a_profile_is_imported_enabled_modified_and_disabled(ca: CaHost, enrolling: str) -> None:
    as_alice = means(ca)
    assert days(ca, enrolling) == 30
    shorter = guarded_text(enrolling, days=20)
    shown, _ = operation("dogtag.profile.modify").preview(
        {"profile": enrolling, "configuration": shorter}, as_alice
    )
    assert isinstance(shown, dict)
    changes = [line for line in str(shown["change"]).splitlines() if line[0] in "+-"]
    assert changes == [
        f"{sign}policyset.serverCertSet.2.{kind}.params.range={number}"
        for kind in ("constraint", "default")
        for sign, number in (("-", 30), ("+", 20))
    ]
    told = run("dogtag.profile.modify", as_alice, profile=enrolling, configuration=shorter)
    assert told == f"modified {enrolling}: it is enabled"
    assert days(ca, enrolling) == 20
    # Not by our eyes alone: who enrols for another is refused by the validator.
    answer = ca.enroll("alice", enrolling, certificate_request("web.tpi.test"))
    assert answer.json["entries"][0]["requestStatus"] == "rejected"
    assert (
        run("dogtag.profile.disable", as_alice, profile=enrolling) == f"disabled {enrolling}: it is disabled"
    )
    assert ca.enroll("alice", enrolling, certificate_request("alice")).status >= 400
    assert run("dogtag.profile.enable", as_alice, profile=enrolling) == f"enabled {enrolling}: it is enabled"
    assert days(ca, enrolling) == 20


def test_what_dogtag_does_not_take_leaves_the_profile_as_it_was(ca: CaHost, enrolling: str) -> None:
    before = has(ca, enrolling)
    broken = guarded_text(enrolling).replace("validityConstraintImpl", "noSuchConstraintImpl")
    with pytest.raises(ActionFailedError, match="was not modified; it is enabled as before"):
        run("dogtag.profile.modify", means(ca), profile=enrolling, configuration=broken)
    assert has(ca, enrolling) == before
    assert before.enabled
    name = new_name()
    with pytest.raises(ActionFailedError, match=r"\(400\).*noSuchConstraintImpl"):
        run(
            "dogtag.profile.import",
            means(ca),
            profile=name,
            configuration=broken.replace(enrolling, name),
        )
    assert name not in reach(ca).profiles.names()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("auth.instance_id=SessionAuthentication\n", ""),
        (".list=1,2,3,4,5,6", ".list=1,2,3,4,5"),
        (".list=1,2,3,4,5,6", ".list=6,1,2,3,4,5"),
        ("ipa-pki-validate-cert-request", "ipa-pki-validate-cert-request.old"),
        ("params.timeout=10", "params.timeout=1"),
        ("params.env.KRB5CCNAME=", "params.env.DOGTAG_USER=requestor_name\n#"),
        ("policyset.list=serverCertSet", "policyset.list=serverCertSet,serverCertSet2"),
        ("visible=false", "visible=false\nrenewal=true"),
        ("class_id=externalProcessConstraintImpl", "class_id=externalProcessConstraintImpl\\"),
    ],
)
def test_r_d18_a_profile_that_is_open_is_refused_before_dogtag_is_asked(
    ca: CaHost, old: str, new: str
) -> None:
    """Each of these opens the CA, or could; there is no Dogtag where this asks."""
    name = new_name()
    text = guarded_text(name).replace(old, new)
    assert text != guarded_text(name)
    for verb in ("import", "modify"):
        with pytest.raises(RefusedError) as caught:
            operation(f"dogtag.profile.{verb}").preview(
                {"profile": name, "configuration": text}, means(ca, place=NOWHERE)
            )
        assert caught.value.code in {"profile-unguarded", "bad-parameters"}


@pytest.mark.parametrize(
    "trick",
    [
        "auth.instance_id=raCertAuth",
        " auth.instance_id=raCertAuth",
        "\tauth.instance_id=raCertAuth",
        "\x0cauth.instance_id=raCertAuth",
        "auth.instance_id : raCertAuth",
        "auth.instance_id raCertAuth=",
        "# auth\rauth.instance_id=raCertAuth",
        "auth.instance_id=raCert\\\n   Auth",
    ],
)
def test_r_d18_what_dogtag_reads_otherwise_than_people_is_refused(ca: CaHost, trick: str) -> None:
    """An attacker gets a text approved that says one thing above, and by this line at its end another to Dogtag."""
    name = new_name()
    text = f"{guarded_text(name)}{trick}\n"
    assert isinstance(read_configuration(text, name), Refuse)
    # Sent as it was written, Dogtag takes the line.
    transport = ProxyTicket(PLACE, ca_operator.evidence(ca.ccache("alice")))
    status, _ = transport.call("POST", "/profiles/raw", text)
    assert status == 201
    assert has(ca, name).pairs["auth.instance_id"].startswith("raCertAuth")


def test_r_d18_one_that_got_into_the_ca_otherwise_is_not_enabled(ca: CaHost) -> None:
    name = new_name()
    text = profile_text(name, PROGRAM).replace("externalProcessConstraintImpl", "noConstraintImpl")
    reach(ca).profiles.create(pairs_of(name, text))  # as the CA's own administrator would
    with pytest.raises(RefusedError, match="past the validator") as caught:
        run("dogtag.profile.enable", means(ca), profile=name)
    assert caught.value.code == "profile-unguarded"
    assert not has(ca, name).enabled
    told = run("dogtag.profile.modify", means(ca), profile=name, configuration=guarded_text(name))
    assert told == f"modified {name}: it is disabled"
    assert run("dogtag.profile.enable", means(ca), profile=name) == f"enabled {name}: it is enabled"


def test_a_profile_that_is_there_is_not_imported_again_however_it_is_spelled(ca: CaHost) -> None:
    """Dogtag knows no other of that spelling, and writes over the entry that its directory knows by any."""
    name = imported(ca)
    for spelled in (name, name.upper()):
        with pytest.raises(ActionFailedError, match=f"there is a profile {name} already"):
            run("dogtag.profile.import", means(ca), profile=spelled, configuration=guarded_text(spelled))
    assert stored(name) == has(ca, name).pairs["name"]
    reach(ca).profiles.create(pairs_of(name.upper(), guarded_text(name.upper())))
    assert stored(name) == name.upper()


def test_what_is_not_there_or_not_to_be_touched_is_told(ca: CaHost) -> None:
    name = new_name()
    for verb, more in (("enable", {}), ("disable", {}), ("modify", {"configuration": guarded_text(name)})):
        with pytest.raises(RefusedError, match="shows no profile") as caught:
            run(f"dogtag.profile.{verb}", means(ca), profile=name, **more)
        assert caught.value.code == "bad-parameters"
        with pytest.raises(RefusedError) as caught:
            run(f"dogtag.profile.{verb}", means(ca), **{**more, "profile": "caServerCert"})
        assert caught.value.code == "profile-reserved"


def test_who_lacks_the_permission_or_comes_by_himself_is_refused_by_dogtag(ca: CaHost) -> None:
    name = imported(ca)
    straight = Means(None, Dogtag(ProxyTicket(PLACE, ca_operator.tickets(ca.ccache("alice")))))  # type: ignore[arg-type]
    for who in (means(ca, "dave"), straight):
        with pytest.raises(ActionFailedError, match="refused it for the requester"):
            run("dogtag.profile.enable", who, profile=name)
        with pytest.raises(ActionFailedError, match="refused it for the requester"):
            run("dogtag.ca.create", who, name=name, subject=f"CN={name},O={REALM}")
    assert not has(ca, name).enabled


def test_a_profile_that_is_not_visible_is_shown_through_the_executor_alone(ca: CaHost) -> None:
    name = imported(ca)
    assert has(ca, name).pairs["visible"] == "false"
    assert ca.call("alice", "GET", f"/profiles/{name}/raw").status == 404


def test_sub_cas_are_made_disabled_and_enabled(ca: CaHost, profile: Profile) -> None:
    name = new_name()
    subject = f"CN={name}, O={REALM}"
    began = time.monotonic()
    told = run("dogtag.ca.create", means(ca), name=name, subject=subject)
    assert time.monotonic() - began < 30, "the transport's own time"
    (made,) = (each for each in reach(ca).authorities.known() if each.description == name)
    assert told == f"created {name}, CN={name},O={REALM}: enabled; its id is {made.id}"
    assert issuer(ca, profile, made.id) == f"CN={name},O={REALM}"
    for again in ({"name": name, "subject": f"CN={name}x"}, {"name": f"{name}x", "subject": subject}):
        with pytest.raises(ActionFailedError, match="already"):
            run("dogtag.ca.create", means(ca), **again)

    disabled = run("dogtag.ca.disable", means(ca), authority=made.id)
    assert disabled == f"disabled {made.id}, {made.subject}: it is disabled"
    assert "CA not enabled" in issuer(ca, profile, made.id)
    with pytest.raises(ActionFailedError, match="is disabled already"):
        run("dogtag.ca.disable", means(ca), authority=made.id)
    enabled = run("dogtag.ca.enable", means(ca), authority=made.id)
    assert enabled == f"enabled {made.id}, {made.subject}: it is enabled"
    assert issuer(ca, profile, made.id) == f"CN={name},O={REALM}"


def test_the_ca_itself_is_not_disabled(ca: CaHost) -> None:
    (itself,) = (each for each in reach(ca).authorities.known() if not each.parent)
    with pytest.raises(ActionFailedError, match="the CA itself"):
        run("dogtag.ca.disable", means(ca), authority=itself.id)
    # Nor would Dogtag.
    with pytest.raises(ActionFailedError, match="Cannot disable the host CA"):
        reach(ca).authorities.disable(itself.id)
    with pytest.raises(RefusedError, match="has no sub-CA"):
        run("dogtag.ca.disable", means(ca), authority=str(uuid.uuid4()))
    with pytest.raises(ActionFailedError, match="not found"):
        reach(ca).authorities.disable(str(uuid.uuid4()))


def agreed(world: CaWorld, operation_name: str, **parameters: str) -> str:
    """Have alice ask and bob agree; give what was told of it in the end."""
    request_id = world.ask("alice", operation_name, **parameters)
    assert not world.audit(request_id, "intent")
    world.approve("bob", request_id)
    return str(world.ended(request_id, "executed").message)


def test_r_d16_a_profile_is_imported_and_modified_once_another_person_agrees(
    ca: CaHost, world: CaWorld
) -> None:
    """The longest text that is taken goes the whole way: by web service and directory, and shown to who approves."""
    name = new_name()
    text = guarded_text(name)
    text += "#" * (MAX_CHARACTERS - len(text) - 1) + "\n"
    assert agreed(world, "dogtag.profile.import", profile=name, configuration=text) == (
        f"imported {name}: it is disabled"
    )
    shorter = guarded_text(name, days=20)
    request_id = world.ask("alice", "dogtag.profile.modify", profile=name, configuration=shorter)
    preview = world.api("bob").show(request_id).preview
    assert preview is not None
    assert (
        "\n+policyset.serverCertSet.2.default.params.range=20\n"
        in json.loads(preview.body)["shown"]["change"]
    )
    world.approve("bob", request_id)
    assert world.ended(request_id, "executed").message == f"modified {name}: it is disabled"
    assert has(ca, name).pairs == pairs_of(name, shorter)


def test_r_d18_one_that_is_open_is_refused_before_anybody_is_asked(world: CaWorld) -> None:
    name = new_name()
    text = guarded_text(name).replace("auth.instance_id=SessionAuthentication\n", "")
    request_id = world.ask("alice", "dogtag.profile.import", profile=name, configuration=text)
    assert "profile-unguarded" in world.ended(request_id, "denied").message


def test_r_d16_a_profile_is_enabled_and_disabled_once_another_person_agrees(
    ca: CaHost, world: CaWorld
) -> None:
    name = imported(ca)
    request_id = world.ask("alice", "dogtag.profile.enable", profile=name)
    with pytest.raises(RefusedError):  # R-K01, R-K02
        world.approve("alice", request_id)
    assert not has(ca, name).enabled
    world.approve("bob", request_id)
    assert world.ended(request_id, "executed").message == f"enabled {name}: it is enabled"
    assert has(ca, name).enabled
    assert agreed(world, "dogtag.profile.disable", profile=name) == f"disabled {name}: it is disabled"
    assert not has(ca, name).enabled


def test_r_k10_what_changed_after_it_was_shown_is_not_enabled(ca: CaHost, world: CaWorld) -> None:
    """Somebody has a profile approved, and puts another in its place before it is enabled."""
    name = imported(ca)
    request_id = world.ask("alice", "dogtag.profile.enable", profile=name)
    reach(ca).profiles.replace(name, pairs_of(name, guarded_text(name, days=20)))
    world.approve("bob", request_id)
    assert "precondition-changed" in world.ended(request_id, "denied").message
    assert not has(ca, name).enabled


def test_r_d16_a_sub_ca_is_made_and_disabled_once_another_person_agrees(ca: CaHost, world: CaWorld) -> None:
    name = new_name()
    told = agreed(world, "dogtag.ca.create", name=name, subject=f"CN={name},O={REALM}")
    (made,) = (each for each in reach(ca).authorities.known() if each.description == name)
    assert told == f"created {name}, CN={name},O={REALM}: enabled; its id is {made.id}"
    for verb in ("disable", "enable"):
        told = agreed(world, f"dogtag.ca.{verb}", authority=made.id)
        assert told == f"{verb}d {made.id}, {made.subject}: it is {verb}d"


def issuer(ca: CaHost, profile: Profile, authority: str) -> str:
    """Enrol at a sub-CA, and give who issued the certificate, or why there is none."""
    profile.say(0)
    answer = ca.enroll("alice", profile.name, certificate_request("sub.tpi.test"), authority=authority)
    if answer.status != 200:
        return answer.text
    (entry,) = answer.json["entries"]
    if entry["requestStatus"] != "complete":
        return str(entry)
    return ca.certificate(entry["certId"]).issuer.rfc4514_string()


def stored(name: str) -> str:
    """Tell what the CA's own directory has as the name of a profile; root may look."""
    connection = ldap.initialize(LDAPI)
    connection.sasl_external_bind_s()
    ((_, attributes),) = connection.search_s(
        PROFILES, ldap.SCOPE_ONELEVEL, f"(cn={name})", ["certProfileConfig"]
    )
    connection.unbind_s()
    return told_configuration(attributes["certProfileConfig"][0].decode()).pairs["name"]
