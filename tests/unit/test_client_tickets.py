"""Every way in which a person's tickets can be wrong, with a real KDC."""

import re
import shutil
import struct
import threading
import time
from pathlib import Path

import pytest
from client_fakes import Kdc
from gssapi.raw.misc import GSSError

from ipa_tpi.client.tickets import GssTickets, explain
from ipa_tpi.errors import KerberosError, NoTicketError

pytest_plugins = ("client_fakes",)
TEXT = b"ipa-tpi/1 request\0" + b"d" * 32


def _failure(tickets: GssTickets, target: str = "localhost") -> KerberosError:
    with pytest.raises(KerberosError) as caught:
        tickets.prove(target, TEXT)
    return caught.value


def test_who_and_until_when(ccaches: dict[str, str]) -> None:
    tickets = GssTickets(ccaches["alice"])
    assert tickets.principal() == "alice@TPI.TEST"
    assert tickets.expires().timestamp() > time.time() + 3600
    token, mic = tickets.prove("localhost", TEXT)
    assert token[:1] == b"\x60"
    assert len(mic) == 28


def test_the_default_ccache_is_the_persons(ccaches: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", ccaches["carol"])
    assert GssTickets().principal() == "carol@TPI.TEST"
    assert GssTickets(ccaches["bob"]).principal() == "bob@TPI.TEST"


def test_threads_keep_their_own_person(ccaches: dict[str, str]) -> None:
    seen: list[tuple[str, str]] = []

    def look(name: str) -> None:
        for _ in range(25):
            tickets = GssTickets(ccaches[name])
            tickets.prove("localhost", TEXT)
            seen.append((name, tickets.principal()))

    threads = [threading.Thread(target=look, args=(name,)) for name in ("alice", "bob", "carol", "alice")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 100
    assert all(principal == f"{name}@TPI.TEST" for name, principal in seen)


@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"\x05\x04\x00\x00"])
@pytest.mark.usefixtures("kdc")
def test_no_ticket(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ccache"
    if content is not None:
        path.write_bytes(content)
    error = _failure(GssTickets(f"FILE:{path}"))
    assert type(error) is NoTicketError
    assert error.code == "no-ticket"
    assert "Run kinit" in error.message


@pytest.mark.usefixtures("kdc")
def test_a_ccache_of_an_unknown_kind() -> None:
    assert _failure(GssTickets("NONE:x")).code == "no-ticket"


def test_tickets_that_expire(kdc: Kdc) -> None:
    """One that nobody has looked at yet, and one that expires while it is held; one wait is enough for both."""
    ccache = kdc.kinit("alice", "-l", "2s")
    held = GssTickets(kdc.kinit("alice", "-l", "2s"))
    held.principal()
    time.sleep(2.2)
    error = _failure(GssTickets(ccache))
    assert type(error) is NoTicketError
    assert "has expired" in error.message
    assert held.principal() == "alice@TPI.TEST"
    with pytest.raises(NoTicketError, match="expired"):
        held.expires()


def test_a_target_that_the_kdc_does_not_know(ccaches: dict[str, str]) -> None:
    error = _failure(GssTickets(ccaches["alice"]), "nowhere.tpi.test")
    assert error.code == "kerberos"
    assert "does not know tpi/nowhere.tpi.test@TPI.TEST" in error.message
    with pytest.raises(KerberosError, match="does not know HTTP/nowhere"):
        GssTickets(ccaches["alice"]).negotiate("nowhere.tpi.test")


def test_a_clock_that_is_wrong(kdc: Kdc, tmp_path: Path) -> None:
    # The header of a ccache holds the KDC's offset, which the library adds to every time stamp.
    ccache = Path(kdc.kinit("alice").removeprefix("FILE:"))
    content = bytearray(ccache.read_bytes())
    version, _header, tag, length, _offset = struct.unpack_from(">HHHHi", content)
    assert (version, tag, length) == (0x0504, 1, 8)
    struct.pack_into(">i", content, 8, 3600)
    skewed = tmp_path / "skewed"
    skewed.write_bytes(content)
    error = _failure(GssTickets(f"FILE:{skewed}"))
    assert error.code == "clock-skew"
    assert "clock" in error.message


def test_a_ticket_for_later(kdc: Kdc) -> None:
    ccache = kdc.kinit("alice", "-s", "1h")
    error = _failure(GssTickets(ccache))
    assert error.code in {"clock-skew", "no-ticket"}


def test_a_kdc_that_does_not_answer(kdc: Kdc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "krb5.conf"
    text = (kdc.folder / "krb5.conf").read_text()
    config.write_text(re.sub(r"kdc = 127\.0\.0\.1:\d+", "kdc = 127.0.0.1:1", text))
    fresh = tmp_path / "ccache"
    shutil.copy(kdc.kinit("bob").removeprefix("FILE:"), fresh)
    monkeypatch.setenv("KRB5_CONFIG", str(config))
    error = _failure(GssTickets(f"FILE:{fresh}"))
    assert error.code == "kerberos"
    assert "no Kerberos server answered" in error.message


@pytest.mark.parametrize(
    ("major", "number", "code", "words"),
    [
        (13, 1, "no-ticket", "expired, is locked, or is gone"),
        (13, 6, "no-ticket", "expired, is locked, or is gone"),
        (13, 7, "kerberos", "does not know"),
        (13, 12, "kerberos", "policy"),
        (13, 18, "no-ticket", "locked"),
        (13, 20, "no-ticket", "locked"),
        (13, 29, "kerberos", "no Kerberos server answered"),
        (13, 32, "no-ticket", "expired"),
        (13, 33, "clock-skew", "clock"),
        (13, 37, "clock-skew", "clock"),
        (13, 156, "kerberos", "no Kerberos server answered"),
        (13, 220, "kerberos", "no Kerberos server answered"),
        (13, 60, "kerberos", "could be had"),
        (11, 0, "no-ticket", "expired"),
        (7, 195, "no-ticket", "no usable"),
    ],
)
def test_each_kerberos_error_says_what_to_do(major: int, number: int, code: str, words: str) -> None:
    error = explain(GSSError(major << 16, (-1765328384 + number) & 0xFFFFFFFF), "tpi/x@TPI.TEST")
    assert error.code == code
    assert words in error.message
    assert error.message.endswith(".")


def test_policy_of_the_kdc(kdc: Kdc) -> None:
    kdc.run("kadmin.local", text="modprinc -allow_tix tpi/localhost\n")
    error = _failure(GssTickets(kdc.kinit("bob")))
    kdc.run("kadmin.local", text="modprinc +allow_tix tpi/localhost\n")
    assert error.code == "kerberos"
