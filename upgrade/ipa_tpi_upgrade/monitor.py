"""How long the certificates between our own parts are still good, as ipa-healthcheck says such things (E07).

The executor believes Apache by its certificate, and Apache the RA agent by another. Nothing renews a file that nobody
tracks, so `ipa_tpi_upgrade.expiry` and any monitoring can ask here. Keys beside the certificates are not read.
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from cryptography import x509

SOURCE = "ipa_tpi.certificates"
CHECK = "ExpiryCheck"
WARNING_DAYS = 28  # as ipa-healthcheck's own check of certmonger's certificates
ERROR_DAYS = 7
_SECONDS_PER_DAY = 86400


class Level(StrEnum):
    """ipa-healthcheck's words."""

    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


@dataclass(frozen=True)
class Finding:
    """One result of one check.

    Args:
        source: The module that checked.
        check: What was checked.
        result: How it is.
        kw: Particulars: `key`, `msg`, and of a certificate `subject`, `serial`, `expiration_date` and `days`.
    """

    source: str
    check: str
    result: Level
    kw: dict[str, str | int] = field(default_factory=dict)

    def as_json(self, when: datetime, duration_seconds: float = 0.0) -> dict[str, object]:
        """Return the object that ipa-healthcheck writes for a result.

        Args:
            when: Time of the check.
            duration_seconds: How long it took.
        """
        return {
            "source": self.source,
            "check": self.check,
            "result": self.result.value,
            "uuid": str(uuid.uuid4()),
            "when": when.astimezone(UTC).strftime("%Y%m%d%H%M%SZ"),
            "duration": f"{duration_seconds:.6f}",
            "kw": dict(self.kw),
        }


def expiries(
    paths: Iterable[Path],
    now: datetime,
    *,
    warning_days: int = WARNING_DAYS,
    error_days: int = ERROR_DAYS,
) -> tuple[Finding, ...]:
    """Tell of every certificate in some files how long it is good.

    Args:
        paths: PEM files; each may hold several certificates, and keys.
        now: The time, aware.
        warning_days: Fewer days left are a warning.
        error_days: Fewer days left are an error.

    Returns:
        A finding for each certificate: CRITICAL once it has expired, ERROR before it begins. A file that is missing,
        unreadable or without a certificate is an ERROR: what cannot be seen is not good.
    """
    return tuple(
        finding
        for path in paths
        for finding in _of_file(path, now, warning_days=warning_days, error_days=error_days)
    )


def _of_file(path: Path, now: datetime, *, warning_days: int, error_days: int) -> Iterator[Finding]:
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        yield _trouble(path, f"{path} cannot be read: {error.strerror}. Check path and owner.")
        return
    except ValueError:
        yield _trouble(
            path, f"{path} holds no certificate that can be read. Put the certificate there again."
        )
        return
    for certificate in certificates:
        yield _of_certificate(path, certificate, now, warning_days=warning_days, error_days=error_days)


def _of_certificate(
    path: Path, certificate: x509.Certificate, now: datetime, *, warning_days: int, error_days: int
) -> Finding:
    end = certificate.not_valid_after_utc
    seconds = (end - now).total_seconds()
    days = int(seconds // _SECONDS_PER_DAY)
    # R-E07
    if certificate.not_valid_before_utc > now:
        level, message = Level.ERROR, "is not valid yet. Check the clock, or wait."
    elif seconds < 0:
        level, message = (
            Level.CRITICAL,
            f"expired {-days} days ago. Renew it; the parts that need it do not work.",
        )
    elif days < error_days:
        level, message = Level.ERROR, f"expires in {days} days. Renew it now."
    elif days < warning_days:
        level, message = Level.WARNING, f"expires in {days} days. Renew it."
    else:
        level, message = Level.SUCCESS, f"expires in {days} days."
    return Finding(
        SOURCE,
        CHECK,
        level,
        {
            "key": str(path),
            "subject": certificate.subject.rfc4514_string(),
            "serial": f"{certificate.serial_number:x}",
            "expiration_date": end.strftime("%Y%m%d%H%M%SZ"),
            "days": days,
            "msg": f"the certificate in {path} {message}",
        },
    )


def _trouble(path: Path, message: str) -> Finding:
    return Finding(SOURCE, CHECK, Level.ERROR, {"key": str(path), "msg": message})
