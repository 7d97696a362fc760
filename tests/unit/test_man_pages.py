"""The pages of sections 5 and 8 say what the code, the unit and ``--help`` say, and nothing else."""

import configparser
import contextlib
import inspect
import io
import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import msgspec
import pytest

from ipa_tpi import __version__, config, contract
from ipa_tpi.decide.definition import LONGEST_LIFE
from ipa_tpi.errors import ValidatorUnavailableError
from ipa_tpi.executor import claims, daemon, retention
from ipa_tpi.executor.journal import create
from ipa_tpi.executor.operations import OPERATIONS
from ipa_tpi.executor.process import SIGNALS, Executor
from ipa_tpi.executor.troubles import REFUSED_SECONDS
from ipa_tpi.model import Outcome
from ipa_tpi.programs import last_directory_server, ticket
from ipa_tpi.programs.last_directory_server import TopologySettings
from ipa_tpi.programs.settings import read_settings
from ipa_tpi.programs.ticket import TicketSettings
from ipa_tpi.validate import service, verdict
from ipa_tpi.wire import SocketAnswer, encode
from ipa_tpi_validator import service as certval
from ipa_tpi_validator import settings as certval_settings

ROOT = Path(__file__).parents[2]
MAN = ROOT / "docs" / "man"
EXECUTOR = "ipa-tpi-executor.8"
FLOOR = "ipa-tpi-floor.5"
TOML = "ipa-tpi.toml.5"
VALIDATE = "ipa-tpi-validate.8"
CERTVAL = "ipa-tpi-certval.8"
EXPIRY = "ipa-tpi-expiry.8"
PAGES = (EXECUTOR, FLOOR, TOML, VALIDATE, CERTVAL, EXPIRY)
STRUCTS: dict[tuple[str, str], type[msgspec.Struct]] = {
    (TOML, "Keys of web.toml"): config.WebConfig,
    (TOML, "Keys of executor.toml"): config.ExecutorConfig,
    (TOML, "Keys of [dogtag]"): config.DogtagConfig,
    (FLOOR, "Keys at the top"): config._Floor,
    (FLOOR, 'Keys of [operations."NAME"]'): config._FloorOperation,
    (VALIDATE, "Keys of topology.toml"): TopologySettings,
    (VALIDATE, "Keys of ticket.toml"): TicketSettings,
    (CERTVAL, "Keys of certval.toml"): certval_settings.Settings,
}


def _plain(page: str) -> str:
    text = (MAN / page).read_text(encoding="utf-8").replace("\\\n", "")
    return re.sub(r"\\f[BIRP]", "", text).replace("\\-", "-").replace("\\e", "\\")


def _part(page: str, heading: str) -> str:
    found = re.search(
        rf"^\.S[HS] {re.escape(heading)}\n(.*?)(?=^\.S[HS] |\Z)", _plain(page), re.MULTILINE | re.DOTALL
    )
    assert found is not None, heading
    return found[1]


def _heads(part: str) -> list[str]:
    """Give the first line of each paragraph with a tag, without what makes it bold."""
    lines = re.findall(r"^\.T[PQ]\n(.*)$", part, re.MULTILINE)
    return [re.sub(r'^\.[BIR]+ |(?<=\S) ", "', "", line.replace('" ", " "', ", ")) for line in lines]


def _names(part: str) -> set[str]:
    return {
        name for head in _heads(part) for name in re.sub(r'[",]', " ", head).split() if not name[0].isdigit()
    }


def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.inspect.Field, ...]:
    shape = msgspec.inspect.type_info(struct)
    assert isinstance(shape, msgspec.inspect.StructType)
    return shape.fields


def _kind(shape: msgspec.inspect.Type) -> str:
    match shape:
        case msgspec.inspect.IntType(ge=low, le=high):
            return f"integer, {low}" if low == high else f"integer, {low} to {high}"
        case msgspec.inspect.ListType(item_type=msgspec.inspect.StrType()):
            return "array of strings"
        case msgspec.inspect.StrType():
            return "string"
        case msgspec.inspect.BoolType():
            return "boolean"
        case msgspec.inspect.DictType() | msgspec.inspect.UnionType(types=(msgspec.inspect.StructType(), _)):
            return "table"
    raise AssertionError(f"the page has no word for {shape}")


def _head(field: msgspec.inspect.Field) -> str:
    if field.required:
        return f"{field.encode_name} = {_kind(field.type)} (required)"
    if field.default is None:
        return f"{field.encode_name} = {_kind(field.type)} (optional)"
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return f"{field.encode_name} = {_kind(field.type)} (default {json.dumps(default)})"


def _example(page: str, heading: str) -> str:
    return _part(page, heading).split(".nf\n")[1].split(".fi\n")[0]


@pytest.mark.parametrize("where", STRUCTS, ids="-".join)
def test_keys_types_ranges_and_defaults(where: tuple[str, str]) -> None:
    assert sorted(_heads(_part(*where))) == sorted(map(_head, _fields(STRUCTS[where])))


@pytest.mark.parametrize("page", PAGES)
def test_no_key_is_named_that_does_not_exist(page: str) -> None:
    known = {field.encode_name for struct in STRUCTS.values() for field in _fields(struct)}
    known |= set(re.findall(r'"(\w+)":', inspect.getsource(Executor._health)))
    text = _plain(page).partition(".SH SYNOPSIS")[2].replace("ipa_tpi.web", "").replace("sd_notify", "")
    assert set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text)) <= known


def test_the_pattern_of_instances() -> None:
    (instances,) = (field for field in _fields(config._FloorOperation) if field.encode_name == "instances")
    assert isinstance(instances.type, msgspec.inspect.ListType)
    assert isinstance(instances.type.item_type, msgspec.inspect.StrType)
    pattern = instances.type.item_type.pattern or ""
    assert pattern.removeprefix("^").removesuffix(r"\Z") in _part(FLOOR, 'Keys of [operations."NAME"]')


def test_examples_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    for page, heading, read in (
        (TOML, "web.toml", config.read_web_config),
        (TOML, "executor.toml", config.read_executor_config),
        (FLOOR, "EXAMPLES", config.read_floor),
        (CERTVAL, "certval.toml", certval_settings.read_settings),
    ):
        path.write_text(_example(page, heading), encoding="utf-8")
        path.chmod(0o600)
        read(str(path))
    assert set(tomllib.loads(_example(FLOOR, "EXAMPLES"))["operations"]) <= OPERATIONS.keys()


def test_the_settings_of_the_programs_are_valid(tmp_path: Path) -> None:
    for name, shape in (("topology.toml", TopologySettings), ("ticket.toml", TicketSettings)):
        path = tmp_path / name
        path.write_text(_example(VALIDATE, name), encoding="utf-8")
        path.chmod(0o644)
        read_settings(str(path), shape, os.getuid())
    assert {last_directory_server.SETTINGS_FILE, ticket.SETTINGS_FILE} <= set(
        _heads(_part(VALIDATE, "FILES"))
    )


def test_the_validation_service_is_as_described() -> None:
    written = io.StringIO()
    with contextlib.redirect_stdout(written), pytest.raises(SystemExit):
        service.main(["--help"])
    known = written.getvalue()
    options = r"(?<![\w-])--[a-z]+|(?<![\w-])-[a-z]\b"
    assert set(re.findall(options, _part(VALIDATE, "OPTIONS"))) == set(re.findall(options, known))
    kinds = re.search(r"\{(.*?)\}", known)
    assert kinds is not None
    assert _heads(_part(VALIDATE, "DESCRIPTION")) == kinds[1].split(",")
    files = _heads(_part(VALIDATE, "FILES"))
    assert {contract.FOLDER, contract.NETWORK_FOLDER} <= set(files)
    units = {path.name for path in (ROOT / "systemd").glob("ipa-tpi-validate*")}
    assert _names(_part(VALIDATE, "UNITS")) == units
    for name in units:
        text = (ROOT / "systemd" / name).read_text(encoding="utf-8")
        assert "Documentation=man:ipa-tpi-validate(8)" in text
        if name.endswith(".socket"):
            assert "MaxConnections=16\n" in text
            assert re.findall(r"^ListenStream=(.*)$", text, re.MULTILINE)[0] in files
    shipped = {path.name for path in (ROOT / "libexec").glob("*/*")}
    assert (
        set(_heads(_part(VALIDATE, "PROGRAMS"))) - set(_heads(_part(VALIDATE, "Keys of topology.toml")))
        >= shipped
    )
    codes = set(
        re.findall(r"validat[a-z]+-[a-z]+", inspect.getsource(verdict) + ValidatorUnavailableError.code)
    )
    assert set(_heads(_part(VALIDATE, "ANSWERS"))) == codes
    assert all(name in _part(VALIDATE, "PROGRAMS") for name in last_directory_server.OPERATIONS)


def test_the_certificate_validator_is_as_described() -> None:
    written = io.StringIO()
    with contextlib.redirect_stdout(written), pytest.raises(SystemExit):
        certval.main(["--help"])
    options = r"(?<![\w-])--[a-z]+|(?<![\w-])-[a-z]\b"
    assert set(re.findall(options, _part(CERTVAL, "OPTIONS"))) == set(re.findall(options, written.getvalue()))
    units = {path.name for path in (ROOT / "systemd").glob("ipa-tpi-certval*")}
    assert _names(_part(CERTVAL, "UNITS")) == units
    files = _heads(_part(CERTVAL, "FILES"))
    assert certval.SETTINGS in files
    for name in units:
        text = (ROOT / "systemd" / name).read_text(encoding="utf-8")
        assert "Documentation=man:ipa-tpi-certval(8)" in text
        if name.endswith(".socket"):
            (listens,) = re.findall(r"^ListenStream=(.*)$", text, re.MULTILINE)
            assert listens in files
            program = (ROOT / "validator" / "ipa-pki-validate-cert-request").read_text(encoding="utf-8")
            assert f'SOCKET = "{listens}"' in program


def test_operations_are_those_of_the_table() -> None:
    assert set(_heads(_part(FLOOR, "OPERATIONS"))) == OPERATIONS.keys()


def test_the_daemons_options_and_verbs_are_those_of_help() -> None:
    written = io.StringIO()
    with contextlib.redirect_stdout(written), pytest.raises(SystemExit):
        daemon.main(["--help"])
    known = written.getvalue()
    options = r"(?<![\w-])--[a-z]+|(?<![\w-])-[a-z]\b"
    assert set(re.findall(options, _part(EXECUTOR, "OPTIONS"))) == set(re.findall(options, known))
    assert set(re.findall(options, _part(EXECUTOR, "SYNOPSIS"))) == {"--config"}
    verbs = re.search(r"\{(.*?)\}", known)
    assert verbs is not None
    assert _heads(_part(EXECUTOR, "Verbs")) == verbs[1].split(",")
    default = re.search(r"configuration file \(default:\s+(\S+)\)", known)
    assert default is not None
    assert default[1] in _part(EXECUTOR, "OPTIONS")


def test_the_sockets_verbs_values_and_limits() -> None:
    part = _part(EXECUTOR, "SOCKET")
    verbs = set(re.findall(r'"(\w+)": \(uid_of', inspect.getsource(Executor.__init__)))
    values = set(re.findall(r'"(\w+)":', inspect.getsource(Executor._health)))
    assert (len(verbs), len(values)) == (3, 7)
    assert set(_heads(part)) == verbs | values
    assert encode(SocketAnswer(ok=True, health={})).decode() in part


def test_audit_events_are_those_of_the_code() -> None:
    sources = (ROOT / "ipa_tpi" / "executor").glob("*.py")
    events: set[str] = set()
    for source in sources:
        text = source.read_text(encoding="utf-8")
        found = re.findall(r"audit\.record\(\s*\"([a-z-]+)\"", text)
        assert len(found) == text.count("audit.record("), source
        events |= set(found)
    assert _names(_part(EXECUTOR, "AUDIT")) == events
    assert all(outcome.value in _part(EXECUTOR, "AUDIT") for outcome in Outcome)


def test_retention_is_as_described() -> None:
    part = _part(EXECUTOR, "RETENTION")
    assert retention.ROUND_SECONDS == 600
    assert "every ten minutes" in part
    assert f"with {retention.PER_ROUND} requests at a time" in part
    assert f"in the last {retention.TRUSTED_SPANS[-1].days} days" in part
    assert f"for up to {LONGEST_LIFE.days} days" in _part(TOML, "Keys of executor.toml")


def test_signals_and_exit_statuses() -> None:
    assert _names(_part(EXECUTOR, "SIGNALS")) == {number.name for number in SIGNALS}
    assert _heads(_part(EXECUTOR, "EXIT STATUS")) == ["0", "1", "2"]
    with contextlib.redirect_stderr(io.StringIO()), pytest.raises(SystemExit) as end:
        daemon.main(["dance"])
    assert end.value.code == 2
    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert daemon.main(["--config", "/nowhere/executor.toml"]) == 1
    assert "/nowhere/executor.toml" in said.getvalue()


def test_the_unit_is_as_described() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "systemd" / "ipa-tpi-executor.service", encoding="utf-8")
    service = unit["Service"]
    text = _plain(EXECUTOR)
    program, _, path = shlex.split(service["ExecStart"])
    assert f".B {program}\n" in text
    assert path in _heads(_part(EXECUTOR, "FILES"))
    assert service["User"] == daemon._USER
    assert f".IR {daemon._USER}" in text
    assert (service["Restart"], service["RestartSec"]) == ("on-failure", "5")
    assert "again every five seconds" in text
    assert "ExecReload" not in service
    assert "systemctl reload\nis refused by systemd" in text
    assert (REFUSED_SECONDS[0], REFUSED_SECONDS[-1]) == (30, 600)
    assert "after half a minute" in text
    assert "once in ten minutes" in text
    assert f"Type={service['Type']}" in text
    assert f"/var/lib/{service['StateDirectory']}/journal.sqlite" in _heads(_part(EXECUTOR, "FILES"))
    assert f"/run/{service['RuntimeDirectory']}/executor.sock" in _heads(_part(EXECUTOR, "FILES"))
    unit_text = (ROOT / "systemd" / "ipa-tpi-executor.service").read_text(encoding="utf-8")
    assert "Environment=KRB5RCACHENAME=none:" in unit_text
    assert "Documentation=man:ipa-tpi-executor(8)" in unit_text


def test_the_journal_has_the_files_that_are_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    create(str(path), "ipa1.example.test", claims.utc_now())
    journal = claims.Claims(str(path), "ipa1.example.test")
    journal.publish("none")
    beside = {file.name.removeprefix(path.name) for file in tmp_path.iterdir()} - {""}
    journal.close()
    part = _part(TOML, "Keys of executor.toml")
    assert beside == {"-wal", "-shm", ".lock"}
    assert all(suffix in part for suffix in beside)


@pytest.mark.parametrize("page", PAGES)
def test_it_is_a_man_page_without_warnings(page: str) -> None:
    assert f"ipa-tpi {__version__}" in _plain(page)
    done = subprocess.run(
        ["/usr/bin/groff", "-man", "-Tascii", "-ww", str(MAN / page)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("page", PAGES)
def test_pages_that_are_referred_to_are_there(page: str) -> None:
    ours = re.findall(r"^\.BR (ipa-tpi[\w.-]*) \((\d)\)", _plain(page), re.MULTILINE)
    assert ours
    assert all((MAN / f"{name}.{section}").is_file() for name, section in ours)
