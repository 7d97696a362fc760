"""The closed table of operations and the polkit rule made from it (E05, K06, K18)."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from decide_builders import FLOOR
from executor_fakes import FakeSystemd, Weather

from ipa_tpi.decide.definition import READING
from ipa_tpi.errors import ActionFailedError, ConfigError, RefusedError
from ipa_tpi.executor.action import Means
from ipa_tpi.executor.operations import OPERATIONS, check_floor, operation
from ipa_tpi.executor.polkit import render_rule
from ipa_tpi.model import Floor, FloorOperation

BAD_INSTANCES = ("", "a b", "DS01.service", "../x", "a/b", "DS01\n", "a@b", "a" * 65, "ä", "-%i;", "*")


def test_an_operation_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        operation("dirsrv.stop\u202e")
    assert caught.value.code == "operation-not-on-floor"
    assert "\\u202e" in caught.value.message


def test_every_operation_names_its_other_ways_in() -> None:
    for name, each in OPERATIONS.items():
        assert re.fullmatch(r"[a-z]+(\.[a-z]+)+", name)
        assert bool(each.other_ways) != (name in READING)  # R-K18


def test_those_that_open_no_unit_read_or_act_elsewhere() -> None:
    entry = {"instance": FloorOperation(1, proof=True, instances=frozenset({"DS01"}))}
    entry["unit"] = FloorOperation(1, proof=True, units=frozenset({"a.service"}))
    at_ca = ("cert", "profile", "ca")
    entry |= dict.fromkeys(at_ca, FloorOperation(1, proof=True))
    nothing = {
        name
        for name, each in OPERATIONS.items()
        if not each.units(entry[next((kind for kind in ("unit", *at_ca) if f".{kind}." in name), "instance")])
    }
    assert nothing == READING | {name for name, each in OPERATIONS.items() if each.needs_ticket}
    assert {name for name in nothing if name.startswith("dogtag.")} == nothing - READING


@pytest.mark.parametrize("instance", BAD_INSTANCES)
def test_a_name_that_is_no_instance_reaches_no_unit(instance: str) -> None:
    services = FakeSystemd(Weather())
    restart = operation("dirsrv.restart")
    for attempt in (
        lambda: restart.preview({"instance": instance}, Means(services)),
        lambda: restart.act({"instance": instance}, Means(services), 60),
        lambda: restart.units(FloorOperation(1, proof=True, instances=frozenset({instance}))),
    ):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.code == "bad-parameters"
    assert (services.acts, services.weather.calls) == ([], [])


def test_an_act_tells_what_it_did() -> None:
    services = FakeSystemd(Weather())
    act = operation("dirsrv.restart").act({"instance": "DS01"}, Means(services), 7)
    assert (act.excerpt, act.exit_status) == (
        "restarted dirsrv@DS01.service: main PID 100 -> 101, active (running)",
        0,
    )
    assert services.timeout_seconds == 7


@pytest.mark.parametrize("answer", ["failed", "canceled", "dependency", "skipped", ""])
def test_a_job_that_is_not_done_is_no_success(answer: str) -> None:
    services = FakeSystemd(Weather())
    services.answer = answer
    with pytest.raises(ActionFailedError, match="journalctl"):
        operation("dirsrv.restart").act({"instance": "DS01"}, Means(services), 60)


def test_an_act_whose_state_afterwards_cannot_be_told_is_still_done() -> None:
    services = FakeSystemd(Weather())
    services.blind = True
    act = operation("systemd.unit.stop").act({"unit": "a.service"}, Means(services), 7)
    assert act.excerpt == "stopped a.service: main PID 100 -> state unknown"
    assert services.acts == ["stop a.service"]


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "reload"])
def test_each_verb_is_its_own_operation(verb: str) -> None:
    services = FakeSystemd(Weather())
    wanted = operation(f"systemd.unit.{verb}")
    shown, precondition = wanted.preview({"unit": "a.service"}, Means(services))
    assert isinstance(shown, dict)
    assert (shown["action"], shown["unit"], precondition) == (verb, "a.service", {})
    wanted.act({"unit": "a.service"}, Means(services), 7)
    assert services.acts == ["a.service" if verb == "restart" else f"{verb} a.service"]
    assert wanted.units(units("a.service")) == {"a.service": {verb}}


def test_reading_does_nothing() -> None:
    services = FakeSystemd(Weather())
    told = operation("dirsrv.status").act({"instance": "DS01"}, Means(services), 7)
    assert told.excerpt == "dirsrv@DS01.service is active (running), main PID 100"
    assert services.acts == []


@pytest.mark.parametrize("parameters", [{}, {"unit": "DS01"}, {"instance": "DS01", "unit": "a.service"}])
def test_parameters_that_are_not_exactly_the_operation_s(parameters: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match="exactly the parameter instance"):
        operation("dirsrv.restart").preview(parameters, Means(FakeSystemd(Weather())))


@pytest.mark.parametrize(
    "unit", ["dirsrv@DS01.service", "krb5-kdc.service", "gssproxy.service", "dbus.socket"]
)
def test_what_has_an_operation_of_its_own_is_no_mere_unit(unit: str) -> None:
    services = FakeSystemd(Weather())
    with pytest.raises(RefusedError) as caught:
        operation("systemd.unit.stop").act({"unit": unit}, Means(services), 7)
    assert (caught.value.code, services.acts) == ("unit-reserved", [])
    assert unit in operation("systemd.unit.status").act({"unit": unit}, Means(services), 7).excerpt


def units(*names: str) -> FloorOperation:
    """Give a floor's entry that names units."""
    return FloorOperation(1, proof=True, units=frozenset(names))


def test_the_units_of_a_floor() -> None:
    entry = FloorOperation(1, proof=True, instances=frozenset({"DS01", "TPI-TEST"}))
    assert operation("dirsrv.restart").units(entry) == {
        "dirsrv@DS01.service": {"restart"},
        "dirsrv@TPI-TEST.service": {"restart"},
    }


@pytest.mark.parametrize(
    ("name", "entry", "complaint"),
    [
        ("systemd.unit.stop", units("dirsrv@DS01.service"), "never handled as a mere unit"),
        ("systemd.unit.stop", units("a"), "no full name"),
        ("dirsrv.restart", units("a.service"), "knows only instances"),
        (
            "systemd.unit.stop",
            FloorOperation(1, proof=True, instances=frozenset({"DS01"})),
            "knows only units",
        ),
        ("unheard.of", units(), "cannot do 'unheard.of'"),
    ],
)
def test_a_floor_that_opens_what_may_never_be_stops_the_start(
    name: str, entry: FloorOperation, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        check_floor(replace(FLOOR, operations={name: entry}))
    assert name in caught.value.message


def test_a_floor_of_what_there_is_passes() -> None:
    operations = {"systemd.unit.stop": units("a.service"), "systemd.unit.status": units("dbus.service")}
    check_floor(replace(FLOOR, operations=operations))


def floor(*instances: str, name: str = "dirsrv.restart") -> Floor:
    """Give a floor."""
    return replace(FLOOR, operations={name: FloorOperation(1, proof=True, instances=frozenset(instances))})


def test_the_rule_allows_exactly_what_the_floor_does() -> None:
    rule = render_rule(floor("DS01", "DS02"), "ipatpi-exec")
    (allowed,) = re.findall(r"var allowed = (\{.*?\});", rule, re.DOTALL)
    assert json.loads(allowed) == {"dirsrv@DS01.service": ["restart"], "dirsrv@DS02.service": ["restart"]}
    assert 'subject.user !== "ipatpi-exec"' in rule


def test_an_empty_floor_and_an_unknown_operation_allow_nothing() -> None:
    for empty in (replace(FLOOR, operations={}), floor(), floor("DS01", name="unheard.of")):
        assert "var allowed = {};" in render_rule(empty, "ipatpi-exec")


def test_names_are_quoted_in_the_rule() -> None:
    assert 'subject.user !== "a\\"b"' in render_rule(floor(), 'a"b')


POLKIT = """
var verdicts = [];
var polkit = {Result: {YES: "yes", NO: "no", NOT_HANDLED: "not handled"}, addRule: function (rule) { polkit.rule = rule; }};
%s
function ask(id, user, unit, verb) {
    var values = {unit: unit, verb: verb};
    return polkit.rule({id: id, lookup: function (name) { return values[name]; }}, {user: user});
}
var units = "org.freedesktop.systemd1.manage-units";
print(JSON.stringify([
    ask(units, "ipatpi-exec", "dirsrv@DS01.service", "restart"),
    ask(units, "ipatpi-exec", "dirsrv@DS01.service", "stop"),
    ask(units, "ipatpi-exec", "dirsrv@DS02.service", "restart"),
    ask(units, "ipatpi-exec", undefined, undefined),
    ask(units, "ipatpi-exec", "constructor", "toString"),
    ask(units, "alice", "dirsrv@DS01.service", "restart"),
    ask("org.freedesktop.systemd1.manage-unit-files", "ipatpi-exec", "dirsrv@DS01.service", "restart")
]));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript here; the box asks polkit itself")
def test_the_rule_as_javascript() -> None:
    program = "var print = console.log;" + POLKIT % render_rule(floor("DS01"), "ipatpi-exec")
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True, timeout=20)
    assert json.loads(done.stdout) == ["yes", "no", "no", "no", "no", "not handled", "not handled"]
