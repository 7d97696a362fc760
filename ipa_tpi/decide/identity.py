"""Who is who, and when two are two (K02, A04, X09).

Rules:

1. A principal is taken only in its canonical form with the realm of this domain; another realm
   is refused by name.  An account is taken only if its canonical name *is* that principal: an
   alias, another letter case or an enterprise name never makes a second identity.
2. Only an account below ``cn=users`` is a person.  Hosts and services may request; they approve
   nothing and count for nobody.
3. A disabled or expired account is refused.
4. Where a person attribute is configured, an account of a person bears exactly one value of it;
   none or several denies.
5. Two people are two only if entry, unique id, canonical principal and (where configured) person
   all differ.
6. What was resolved once is what must be found again: another unique id, principal or person
   under the same DN means that somebody changed the identity in between.
"""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ipa_tpi.model import Account, Kind, Refuse

_SEPARATOR: Final = "@"


@dataclass(frozen=True, slots=True)
class Identity:
    """What is remembered of an account from the first time that it was seen.

    Attributes:
        dn: Normal DN.
        unique_id: Survives renames.
        principal: Canonical principal.
        person: The person attribute's one value in caseless form; empty where none is configured.
    """

    dn: str
    unique_id: str
    principal: str
    person: str


def check_principal(principal: str, realm: str) -> Refuse | None:
    """Refuse a principal that is not plainly one of this realm.

    Args:
        principal: As Apache or the GSS context names it.
        realm: This domain's realm.

    Returns:
        None, or a refusal ``foreign-realm`` or ``unknown-principal``.
    """
    name, _, own = principal.rpartition(_SEPARATOR)
    if not name or not own or "\\" in principal:
        return Refuse("unknown-principal", f"{principal!a} is not a principal with a realm; run kinit again")
    if own != realm or _SEPARATOR in name:  # R-K02: foreign realms and enterprise names deny
        return Refuse(
            "foreign-realm",
            f"{principal!a} is not a principal of {realm}; people of other realms cannot take part. "
            f"Use an account of {realm}.",
        )
    return None


def check_account(
    account: Account | None, principal: str, now: datetime, person_attribute: str
) -> Refuse | None:
    """Refuse an account that may take no part at all.

    Args:
        account: The account found under `principal`; None when there is none.
        principal: The authenticated principal; empty where the account was found by its DN.
        now: The time.
        person_attribute: The configured attribute's name, or empty.

    Returns:
        None, or a refusal that says why.
    """
    if account is None:
        return Refuse(
            "unknown-principal", f"the directory has no account for {principal!a}; ask an administrator"
        )
    who = account.principal or account.dn
    if principal and account.principal != principal:  # R-K02: aliases never count
        return Refuse("not-canonical", f"{principal} is an alias; run: kinit {account.principal}")
    if account.disabled:
        return Refuse("disabled", f"the account of {who} is disabled; ask an administrator")
    if account.expires is not None and account.expires <= now:
        return Refuse("expired-principal", f"the account of {who} has expired; ask an administrator")
    if not account.unique_id or not account.principal:
        return Refuse(
            "unknown-principal",
            f"the account {account.dn} has no unique id or no canonical principal; ask an administrator",
        )
    if account.kind is Kind.PERSON and person_attribute and len(_persons(account)) != 1:  # R-X09
        return Refuse(
            "no-person-attribute",
            f"the account of {who} has {len(account.persons)} values of {person_attribute}, where exactly one is needed; "
            "ask an administrator to set it",
        )
    return None


def identity_of(account: Account) -> Identity:
    """Give what is to be remembered of an account.

    Args:
        account: An account that `check_account` did not refuse.

    Returns:
        The identity.
    """
    return Identity(
        account.dn, account.unique_id, account.principal, next(iter(sorted(_persons(account))), "")
    )


def check_unchanged(then: Identity, account: Account | None) -> Refuse | None:
    """Refuse an account that is not the one that was seen first (DESIGN section 3).

    Args:
        then: What was remembered.
        account: What the same DN holds now.

    Returns:
        None, or a refusal ``identity-changed``.
    """
    if account is None or identity_of(account) != then:
        return Refuse(
            "identity-changed",
            f"the account of {then.principal} was renamed, replaced or changed since it took part; make a new request",
        )
    return None


def check_distinct(one: Identity, other: Identity) -> Refuse | None:
    """Refuse two accounts that may be one person.

    Args:
        one: An identity.
        other: Another.

    Returns:
        None when every one of DN, unique id, principal and person differs; else a refusal
        ``self-approval`` (same account) or ``same-person``.
    """
    same_account = (
        one.dn == other.dn
        or one.unique_id.lower() == other.unique_id.lower()
        or one.principal.casefold() == other.principal.casefold()
    )
    if same_account:  # R-A04, R-K02
        return Refuse(
            "self-approval",
            f"same user cannot self-approve: {other.principal} takes part already; ask another person",
        )
    if one.person and one.person == other.person:  # R-X09
        return Refuse(
            "same-person",
            f"{one.principal} and {other.principal} are accounts of the same person; ask another person",
        )
    return None


def _persons(account: Account) -> frozenset[str]:
    # RFC 4518: what the directory's matching takes for equal must not make two people of one.
    forms = (" ".join(unicodedata.normalize("NFKC", value).casefold().split()) for value in account.persons)
    return frozenset(form for form in forms if form)
