"""One decision, from what was asked to yes or a refusal; everything foreign comes through ports."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, Protocol

from ipa_tpi.decide.armour import CsrError
from ipa_tpi.decide.csr import Csr, read_csr
from ipa_tpi.errors import RefusedError, TpiError
from ipa_tpi_validator.case import Case, Place, subject_of
from ipa_tpi_validator.checks import decide
from ipa_tpi_validator.environment import Question, read_question
from ipa_tpi_validator.principals import Principal
from ipa_tpi_validator.question import Asked
from ipa_tpi_validator.refusal import Refusal, access, invalid, missing, shown, undecided
from ipa_tpi_validator.settings import Settings
from ipa_tpi_validator.snapshot import Snapshot

_LOG: Final = logging.getLogger("ipa_tpi_validator")


class Reader(Protocol):
    """The directory, bound as the caller."""

    def snapshot(self, question: Question, csr: Csr, subject: Principal) -> Snapshot:
        """Read all that a decision needs; complete, or it raises."""


# The directory as the owner of these tickets, who is to be this principal; gone when the decision is made.
Open = Callable[[bytes, str], AbstractContextManager[Reader]]


class Consumer(Protocol):
    """The executor of this host, for profiles under two-person control (DESIGN section 8)."""

    def consume(self, digest: str, profile: str, ca: str, user: str) -> Refusal | None:
        """Use up an approved request for exactly this; None where that was done, durably and once.

        Args:
            digest: SHA-256 of the request's DER, in hex.
            profile: The profile.
            ca: The CA's name.
            user: Who submits it; he is to be the requester.
        """


def answer(asked: Asked, settings: Settings, opened: Open, consumer: Consumer) -> Refusal | None:
    """Decide one question.

    Args:
        asked: What came over the socket; hostile.
        settings: Where we stand.
        opened: The directory.
        consumer: The executor.

    Returns:
        None for yes, or the refusal.
    """
    question = read_question(asked.variables, settings.realm)
    if isinstance(question, Refusal):
        return question
    try:
        csr = read_csr(question.text)
    except CsrError as error:
        return _malformed(error)
    try:
        return _decide(question, csr, asked.ccache, settings, opened, consumer)
    except RefusedError as error:  # somebody else's tickets
        _LOG.warning("%s: %s", question.user, error.message)
        return access("the tickets that came with the request are not the caller's", error.code)
    except TpiError as error:
        _LOG.warning("%s: %s", question.user, error.message)
        return undecided("it could not be found out whether this may be issued; try again later", error.code)


def _decide(
    question: Question, csr: Csr, ccache: bytes, settings: Settings, opened: Open, consumer: Consumer
) -> Refusal | None:
    subject = subject_of(question, csr)
    with opened(ccache, str(question.user)) as directory:
        snapshot = directory.snapshot(question, csr, subject)
    case = Case(Place(settings.realm, settings.domain), question, csr, subject, snapshot)
    refusal = decide(case)
    _LOG.info(
        "%s for %s by %s at %s, request %s: %s",
        question.user,
        subject,
        question.profile,
        case.ca,
        csr.digest,
        refusal.reason if refusal is not None else "nothing speaks against it",
    )
    # R-D10: after everything else, since it uses up an approval.
    if refusal is None and question.profile.casefold() in {
        one.casefold() for one in settings.controlled_profiles
    }:
        return consumer.consume(csr.digest, question.profile, case.ca or "", str(question.user))
    return refusal


def _malformed(error: CsrError) -> Refusal:
    if error.reason == "wildcard":  # FreeIPA looks for a host of that name
        text = "The service principal for subject alt name * in certificate request does not exist"
        return missing(text, error.reason)
    return invalid(shown(error.message), error.reason)
