"""Ways round the ACIs that no ACI can close, each with the real directory, and what holds instead.

Plugins write above access control; options of attributes, Class of Service and denies further up change what is
seen. Where nothing of ours holds, the docstring says so.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ldap
import pytest
from acls_cast import HERE, OTHER
from acls_world import Draft, World, new_world
from ldap.controls.sss import SSSRequestControl
from ldap.controls.vlv import VLVRequestControl

from ipa_tpi.adapters.directory import LdapDirectory
from ipa_tpi.errors import DirectoryUnavailableError, RefusedError
from ipa_tpi.model import Approval
from lab import gss_bind

pytestmark = pytest.mark.realm

# A change of an ACI, a group or a Class of Service counts a moment after it was answered.
CHANGE_SECONDS = 0.2
TABLE_SECONDS = 1.0
PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with new_world() as made:
        yield made


@pytest.fixture
def asked(world: World) -> Iterator[str]:
    """Return a request by carol for our executor."""
    dn = world.add("carol", world.request())
    yield dn
    world.remove(dn)


def approval(world: World, above: str) -> Draft:
    return world.answer("ipaTpiApproval", above)


def as_read(world: World, who: str, asked: str) -> Any:
    """Return a request with all below it as ipa-tpi's programs read it, bound as somebody."""
    number = asked.partition(",")[0].partition("=")[2]
    return LdapDirectory(world.bound(who), world.layout.suffix).load(number)


@contextmanager
def by_adam(world: World, aci: str) -> Iterator[None]:
    """Let adam have an ACI at the suffix, where he may write them."""
    change = ("aci", [aci.encode()])
    world.bound("adam").modify_s(world.layout.suffix, [(ldap.MOD_ADD, *change)])
    time.sleep(CHANGE_SECONDS)
    try:
        yield
    finally:
        world.root.modify_s(world.layout.suffix, [(ldap.MOD_DELETE, *change)])
        time.sleep(CHANGE_SECONDS)


@contextmanager
def laid_over(world: World, name: str, value: str, how: str) -> Iterator[None]:
    """Let adam lay a value over an attribute of every entry by Class of Service."""
    suffix = world.layout.suffix
    template, definition = f"cn=cos-template,{suffix}", f"cn=cos-definition,{suffix}"
    classes = ("ldapSubEntry", "cosTemplate", "extensibleObject")
    world.add("adam", Draft(template, {"objectClass": classes, "cn": ("cos-template",), name: (value,)}))
    classes = ("ldapSubEntry", "cosSuperDefinition", "cosPointerDefinition")
    values = {"cosTemplateDn": (template,), "cosAttribute": (f"{name} {how}",)}
    world.add("adam", Draft(definition, {"objectClass": classes, "cn": ("cos-definition",)} | values))
    try:
        yield
    finally:
        world.remove(definition)
        world.remove(template)
        # 389-ds builds its table anew in a thread of its own, and misses what comes while it is about it.
        time.sleep(TABLE_SECONDS)


def soon(world: World, dn: str, name: str, value: str) -> None:
    """Wait until an entry shows a value."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        looks = 0
        while (looks := looks + 1) < 20:
            ((_, found),) = world.bound("bob").search_s(dn, ldap.SCOPE_BASE, attrlist=[name])
            if found.get(name) == [value.encode()]:
                return
            time.sleep(0.1)
        change = [(ldap.MOD_REPLACE, "description", [str(time.monotonic()).encode()])]
        world.root.modify_s(f"cn=cos-definition,{world.layout.suffix}", change)
    raise AssertionError(f"{dn} does not show {value}")


def test_a_creator_with_an_option(world: World, asked: str) -> None:
    """389-ds takes creatorsName;lang-xx from anybody who may add.

    It shows that value as creatorsName to whoever asks for "*" and creatorsName, and counts it as a voice of
    whom it names, who can then neither approve nor veto. No ACI can name all options; so the programs take no
    entry with one, and a request with such an entry is refused as a whole.
    """
    planted = {"creatorsName;lang-en": world.dn("erin"), "createTimestamp;lang-en": "20200101000000Z"}
    draft = approval(world, asked).having(**planted)
    world.add("bob", draft)
    with pytest.raises(ldap.CONSTRAINT_VIOLATION):
        world.add("erin", world.answer("ipaTpiDenial", asked))
    read = as_read(world, HERE, asked)
    assert read.children == ()
    assert "is an attribute with an option" in read.malformed[draft.dn.lower()]
    own = world.request().having(**planted)
    world.add("alice", own)
    with pytest.raises(RefusedError, match="is an attribute with an option"):
        as_read(world, HERE, own.dn)
    world.remove(own.dn)


@pytest.mark.parametrize("hidden", ["ipaTpiDenial", "ipaTpiWithdrawal"])
def test_hiding_a_veto_from_the_executor_is_noticed(world: World, asked: str, hidden: str) -> None:
    """An administrator denies the executor, at the suffix, to read what would stop it."""
    world.add("bob", approval(world, asked))
    world.add("erin" if hidden == "ipaTpiDenial" else "bob", world.answer(hidden, asked))
    assert len(as_read(world, HERE, asked).children) == 2
    entries = f'(target = "ldap:///{world.requests}")(targetfilter = "(objectClass={hidden})")'
    for what in (f'{entries}(targetattr = "*")', '(targetattr = "numSubordinates")'):
        aci = f'{what}(version 3.0; acl "hide"; deny (read, search) userdn = "ldap:///{world.dn(HERE)}";)'
        with by_adam(world, aci), pytest.raises(DirectoryUnavailableError, match="hides some"):
            as_read(world, HERE, asked)
    assert len(as_read(world, HERE, asked).children) == 2


@pytest.mark.parametrize(
    "kind", ["ipaTpiRequest", "ipaTpiDenial", "ipaTpiResult", "ipaTpiRule", "ipaTpiAnchor"]
)
def test_naming_an_entry_in_a_group_changes_nothing(world: World, asked: str, kind: str) -> None:
    """The memberOf plugin would write a class into it that stays, and no reader would take the entry any more."""
    makers = {"ipaTpiDenial": "bob", "ipaTpiResult": HERE, "ipaTpiAnchor": HERE}
    if kind == "ipaTpiRequest":
        dn = asked
    elif kind in {"ipaTpiDenial", "ipaTpiResult"}:
        dn = world.add(makers[kind], world.answer(kind, asked))
    else:
        draft = world.policy(kind)
        dn = draft.dn
        world.root.add_s(dn, draft.modlist())
    before = world.root.search_s(dn, ldap.SCOPE_BASE, attrlist=["*", "memberOf", "modifiersName"])
    name = f"trap-{uuid.uuid4()}"
    group = f"cn={name},cn=groups,cn=accounts,{world.layout.suffix}"
    members = (dn, world.dn("dave"))
    world.add("adam", Draft(group, {"objectClass": ("groupOfNames",), "cn": (name,), "member": members}))
    soon_member(world, "dave", group)
    after = world.root.search_s(dn, ldap.SCOPE_BASE, attrlist=["*", "memberOf", "modifiersName"])
    world.remove(group)
    if dn != asked:
        world.remove(dn)
    assert after == before


def soon_member(world: World, who: str, group: str) -> None:
    """Wait until the plugin has done its work."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        ((_, found),) = world.root.search_s(world.dn(who), ldap.SCOPE_BASE, attrlist=["memberOf"])
        if group.encode() in found.get("memberOf", []):
            return
        time.sleep(0.02)
    raise AssertionError(f"{who} did not become a member of {group}")


def test_class_of_service_gives_nobody_a_voice(world: World, asked: str) -> None:
    """Another executor and another creator are laid over every request: access control goes by what is stored."""
    with laid_over(world, "ipaTpiExecutor", world.dn(OTHER), "override"):
        soon(world, asked, "ipaTpiExecutor", world.dn(OTHER))
        with pytest.raises(ldap.INSUFFICIENT_ACCESS):
            world.add(OTHER, world.answer("ipaTpiResult", asked))
    with laid_over(world, "creatorsName", world.dn("adam"), "operational"):
        soon(world, asked, "creatorsName", world.dn("adam"))
        with pytest.raises(ldap.INSUFFICIENT_ACCESS):
            world.add("carol", approval(world, asked))
        with pytest.raises(ldap.INSUFFICIENT_ACCESS):
            world.add("adam", world.answer("ipaTpiCancellation", asked))


def test_class_of_service_blinds_the_count_of_voices(world: World, asked: str) -> None:
    """The uniqueness plugin searches by creatorsName, so what is laid over it hides a first voice from the second.

    The directory then takes two, most of the time. The programs read what is stored, so both are bob's, and count as one
    (test_decide_approval.py: two approvals of one account, and who withdrew cannot approve again).
    """
    world.add("bob", approval(world, asked))
    with pytest.raises(ldap.CONSTRAINT_VIOLATION):
        world.add("bob", approval(world, asked))
    with laid_over(world, "creatorsName", world.dn("adam"), "operational"):
        soon(world, asked, "creatorsName", world.dn("adam"))
        speaks(world, asked)
        voices = as_read(world, HERE, asked).of(Approval)
    assert {voice.creator for voice in voices} == {world.dn("bob").lower()}


def speaks(world: World, asked: str) -> bool:
    """Let bob approve, and tell whether the directory took it."""
    try:
        world.add("bob", approval(world, asked))
    except ldap.CONSTRAINT_VIOLATION:
        return False
    return True


def test_counting_what_one_may_not_read(world: World, asked: str) -> None:
    """Nothing of ours holds: 389-ds tells anybody who may bind how many entries match, by virtual list views.

    So dave, who sees no request, finds out by guesses what they say. What is asked for is no secret from who has
    an account; nothing can be done with it.
    """
    dave = world.bound("dave")
    assert dave.search_s(world.requests, ldap.SCOPE_SUBTREE, "(ipaTpiRequestId=*)") == []

    def count(filterstr: str) -> int:
        sort = SSSRequestControl(ordering_rules=["ipaTpiReason"])
        view = VLVRequestControl(before_count=0, after_count=0, offset=1, content_count=0)
        number = dave.search_ext(
            world.requests, ldap.SCOPE_SUBTREE, filterstr, ["1.1"], serverctrls=[sort, view]
        )
        answer = dave.result3(number)[3]
        return next(control.contentCount for control in answer if hasattr(control, "contentCount"))

    assert as_read(world, "bob", asked).request.reason == "a reason"
    assert (count("(ipaTpiReason=a r*)"), count("(ipaTpiReason=b*)")) == (1, 0)


def test_an_opened_suffix_shows_no_request_to_who_has_none(world: World, asked: str) -> None:
    """An administrator lets everybody read everything; the deny holds for who may read no request at all.

    Nothing of ours holds for who was shown a request of his own before: over the same connection 389-ds may then
    show him others, the deny notwithstanding. It remembers what it allowed.
    """
    door = '(targetattr = "*")(version 3.0; acl "open"; allow (read, search) userdn = "ldap:///anyone";)'
    with by_adam(world, door):
        for who in ("dave", "adam", "HTTP/localhost"):
            assert world._bind(who).search_s(world.dn("alice"), ldap.SCOPE_BASE, attrlist=["loginShell"])
            assert world._bind(who).search_s(asked, ldap.SCOPE_BASE) == []


def test_an_attribute_of_an_operation_can_be_hidden(world: World) -> None:
    """Nothing of ours holds yet: an administrator denies everybody to read an optional attribute of an operation.

    It then looks as if it were not there: here every way in is allowed. What decides most (whether it is
    enabled, how many approvals) must be there; without it the operation is refused.
    """
    directory = LdapDirectory(world.bound(HERE), world.layout.suffix)
    name = "dirsrv.restart"
    dn = f"cn={name},cn=tpioperations,{world.top}"
    assert directory.policy().operations[name].interfaces == {"cli", "web", "framework"}

    def hiding(attribute: str) -> str:
        target = f'(target = "ldap:///{dn}")(targetattr = "{attribute}")'
        return f'{target}(version 3.0; acl "hide"; deny (read, search) userdn = "ldap:///anyone";)'

    with by_adam(world, hiding("ipaTpiInterface")):
        assert "jacket" in directory.policy().operations[name].interfaces
    for attribute in ("ipaEnabledFlag", "ipaTpiRequiredApprovals", "ipaTpiParameterSchema"):
        with by_adam(world, hiding(attribute)):
            assert name in directory.policy().malformed


def test_setting_a_password_of_an_entry(world: World, asked: str) -> None:
    """The extended operation for passwords asks for the right to write like any other change."""
    world.bound("adam")
    adam = gss_bind.bind(
        world.layout.ldapi_uri, world.ccache("adam"), world.layout.host
    )  # it wants a secure connection
    adam.passwd_s(world.dn("dave"), None, "dave-Secret.1")
    for dn in (asked, world.requests, f"cn=executors,{world.top}"):
        with pytest.raises(ldap.INSUFFICIENT_ACCESS):
            adam.passwd_s(dn, None, "Secret.1-of-two")
