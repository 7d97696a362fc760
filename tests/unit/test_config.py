"""Configuration files: strict, and safe from others' hands (A13, E19, X13)."""

import json
import os
import tomllib
from pathlib import Path

import msgspec
import pytest

from ipa_tpi.config import ExecutorConfig, WebConfig, read_executor_config, read_floor, read_web_config
from ipa_tpi.errors import ConfigError
from ipa_tpi.model import Floor, FloorOperation

WEB = """
realm = "TPI.TEST"
suffix = "dc=tpi,dc=test"
host = "ipa1.tpi.test"
origin = "https://ipa1.tpi.test"
ldap_uri = "ldapi://%2frun%2fslapd.socket"
ldap_host = "ipa1.tpi.test"
floor = "/etc/ipa/tpi/floor.toml"
"""
EXECUTOR = """
realm = "TPI.TEST"
suffix = "dc=tpi,dc=test"
host = "ipa1.tpi.test"
ldap_uri = "ldapi://%2frun%2fslapd.socket"
ldap_host = "ipa1.tpi.test"
keytab = "/etc/ipa/tpi/tpi.keytab"
journal = "/var/lib/ipa-tpi-executor/journal.sqlite"
socket = "/run/ipa-tpi-executor/executor.sock"
floor = "/etc/ipa/tpi/floor.toml"
"""
FLOOR = """
version = 1
person_attribute = "employeeNumber"
clock_skew_seconds = 5
pending_per_person = 10
pending_per_operation = 3
[operations."dirsrv.restart"]
required_approvals = 2
proof = true
instances = ["DS01"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a file is to lie."""
    return tmp_path / "file.toml"


def write(path: Path, text: str, mode: int = 0o644) -> str:
    """Write a file."""
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_the_web_services_file(path: Path) -> None:
    config = read_web_config(write(path, WEB))
    assert (config.realm, config.origin, config.audit, config.executor_socket) == (
        "TPI.TEST",
        "https://ipa1.tpi.test",
        "journald",
        "",
    )


def test_the_executors_file(path: Path) -> None:
    config = read_executor_config(write(path, EXECUTOR))
    assert (config.nudge_user, config.health_user, config.audit, config.poll_seconds) == (
        "ipatpi-web",
        "root",
        "journald",
        10,
    )
    assert read_executor_config(write(path, EXECUTOR + "poll_seconds = 1\n")).poll_seconds == 1


def test_the_floor(path: Path) -> None:
    assert read_floor(write(path, FLOOR)) == Floor(
        {"dirsrv.restart": FloorOperation(2, proof=True, instances=frozenset({"DS01"}))},
        "employeeNumber",
        5,
        10,
        3,
    )


def test_a_floor_that_says_nothing_allows_nothing(path: Path) -> None:
    floor = read_floor(write(path, "version = 1\n"))
    assert floor == Floor({}, "", 5, 10, 3)
    bare = read_floor(write(path, 'version = 1\n[operations."dirsrv.restart"]\n'))
    assert bare.operations == {"dirsrv.restart": FloorOperation(1, proof=True)}


def test_names_of_operations_are_compared_in_lower_case(path: Path) -> None:
    floor = read_floor(write(path, 'version = 1\n[operations."DIRSRV.Restart"]\nrequired_approvals = 3\n'))
    assert floor.operations["dirsrv.restart"].required_approvals == 3


def test_an_operation_that_stands_there_twice_is_refused(path: Path) -> None:
    """Of two spellings of one name the looser one must not win in silence (X13)."""
    twice = FLOOR + '[operations."DIRSRV.RESTART"]\nrequired_approvals = 1\nproof = false\n'
    with pytest.raises(ConfigError):
        read_floor(write(path, twice))


@pytest.mark.parametrize("read", [read_web_config, read_executor_config, read_floor])
@pytest.mark.parametrize("text", ["", "realm", "realm = ", "x = 1\n", "\0", "a = 1\na = 2\n"])
def test_what_is_no_configuration_stops_the_start(path: Path, read: object, text: str) -> None:
    with pytest.raises(ConfigError, match="Correct the file and start again"):
        read(write(path, text))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("version = 1", "version = 2"),
        ("version = 1", ""),
        ("clock_skew_seconds = 5", "clock_skew_seconds = -1"),
        ("clock_skew_seconds = 5", "clock_skew_seconds = 301"),
        ("clock_skew_seconds = 5", 'clock_skew_seconds = "5"'),
        ("pending_per_person = 10", "pending_per_person = 0"),
        ("pending_per_operation = 3", "pending_per_operation = true"),
        ("required_approvals = 2", "required_approvals = 0"),
        ("required_approvals = 2", "required_approvals = 17"),
        ("required_approvals = 2", "required_approval = 2"),
        ("proof = true", 'proof = "true"'),
        ('["DS01"]', '["DS 01"]'),
        ('["DS01"]', '["../x"]'),
        ('["DS01"]', '"DS01"'),
        ('["DS01"]', '["DS01\\n"]'),
        ('"employeeNumber"', '"employee number"'),
        ('"employeeNumber"', '"*"'),
        ('person_attribute = "employeeNumber"', 'person = "x"'),
    ],
)
def test_a_wrong_floor_stops_the_start(path: Path, before: str, after: str) -> None:
    assert before in FLOOR
    with pytest.raises(ConfigError):
        read_floor(write(path, FLOOR.replace(before, after)))


@pytest.mark.parametrize(
    "extra", ["unheard_of = 1\n", "poll_seconds = 0\n", 'poll_seconds = "1"\n', "test_mode = true\n"]
)
def test_a_surplus_or_wrong_key_stops_the_start(path: Path, extra: str) -> None:
    with pytest.raises(ConfigError):
        read_executor_config(write(path, EXECUTOR + extra))
    with pytest.raises(ConfigError):
        read_web_config(write(path, WEB + extra))


BOTH = ((read_web_config, WEB), (read_executor_config, EXECUTOR))


@pytest.mark.parametrize(
    "uri",
    [
        "ldap://localhost",
        "ldap://127.0.0.1:389",
        "LDAP://ipa1.tpi.test",
        "ldapi://",
        "ldapi://run/slapd.socket",
        "ldapi://localhost",
        "ldapi:///",
        "ldaps://",
        "ldaps://ipa1.tpi.test ldap://evil.test",
        "ldapi://%2frun%2fslapd.socket ldap://evil.test",
        "ldaps://ipa1.tpi.test\\n",
        "ldaps://ipa1.tpi.test/x",
        "ldaps://ipa1.tpi.test?x",
        "cldap://ipa1.tpi.test",
        "",
    ],
)
def test_a_directory_that_nobody_vouches_for_stops_the_start(path: Path, uri: str) -> None:
    """Whoever answered there could tell the program anything, and there is no laboratory mode."""
    for read, text in BOTH:
        with pytest.raises(ConfigError, match=r"ldapi:// .* ldaps://HOST .* write one of them"):
            read(write(path, text.replace("ldapi://%2frun%2fslapd.socket", uri)))


@pytest.mark.parametrize(
    "uri", ["ldapi://%2Frun%2Fslapd-A.socket/", "ldaps://ipa1.tpi.test", "ldaps://ipa1.tpi.test:636/"]
)
def test_a_directory_behind_a_socket_or_tls_is_taken(path: Path, uri: str) -> None:
    for read, text in BOTH:
        assert read(write(path, text.replace("ldapi://%2frun%2fslapd.socket", uri))).ldap_uri == uri


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("realm", "tpi.test"),
        ("realm", ""),
        ("realm", "TPI TEST"),
        ("suffix", "tpi.test"),
        ("suffix", "dc=tpi,"),
        ("host", "IPA1.tpi.test"),
        ("host", "ipa1.tpi.test/x"),
        ("host", ""),
        ("ldap_host", "-"),
        ("floor", "floor.toml"),
        ("floor", ""),
        ("origin", "http://ipa1.tpi.test"),
        ("origin", "https://ipa1.tpi.test/"),
        ("origin", "https://*"),
        ("executor_socket", "run/executor.sock"),
        ("audit", "syslog"),
        ("audit", "file:trail"),
        ("keytab", "FILE:/etc/ipa/tpi/tpi.keytab"),
        ("journal", "journal.sqlite"),
        ("socket", "@abstract"),
        ("nudge_user", ""),
        ("stop_seconds", 0),
        ("stop_seconds", 3601),
        ("socket_connections", 1),
        ("socket_connections", 41),
        ("socket_connections_per_second", 0),
        ("socket_message_bytes", 255),
        ("socket_message_bytes", 1048577),
        ("socket_answer_bytes", 10485761),
        ("socket_timeout_seconds", 0),
        ("socket_timeout_seconds", 61),
        ("socket_audit_seconds", 0),
    ],
)
def test_a_value_that_cannot_be_meant_stops_the_start(path: Path, name: str, value: str | int) -> None:
    tried = 0
    for read, text in BOTH:
        values = tomllib.loads(text)
        known = {
            field.name
            for field in msgspec.structs.fields(WebConfig if read is read_web_config else ExecutorConfig)
        }
        if name in known:
            tried += 1
            with pytest.raises(ConfigError, match=name):
                read(
                    write(
                        path,
                        "".join(
                            f"{key} = {json.dumps(one)}\n" for key, one in {**values, name: value}.items()
                        ),
                    )
                )
    assert tried


@pytest.mark.parametrize("read", [read_web_config, read_executor_config, read_floor])
def test_a_missing_file_stops_the_start(tmp_path: Path, read: object) -> None:
    with pytest.raises(ConfigError, match="Create it, or mend its permissions"):
        read(str(tmp_path / "missing"))  # type: ignore[operator]


def test_a_file_that_is_not_utf8_stops_the_start(path: Path) -> None:
    path.write_bytes(b'realm = "\xff"\n')
    with pytest.raises(ConfigError):
        read_web_config(str(path))


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o620])
def test_a_file_that_others_could_write_stops_the_start(path: Path, mode: int) -> None:
    for read, text in ((read_floor, FLOOR), (read_executor_config, EXECUTOR)):
        with pytest.raises(ConfigError, match="chown root:root"):
            read(write(path, text, mode))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else_stops_the_start(path: Path) -> None:
    write(path, FLOOR)
    os.chown(path, 12345, -1)
    with pytest.raises(ConfigError, match="chown root:root"):
        read_floor(str(path))
