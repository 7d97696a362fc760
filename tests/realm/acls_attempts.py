"""Single deeds as values: who tries what, in words and as it is done."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ldap
from acls_stage import Stage
from acls_world import ANSWERS, Draft, World
from ldap.controls.simple import ProxyAuthzControl

# Places: a request of somebody else for the executor of this host, one for the other, and the person's own.
THEIRS, ELSEWHERE, OWN = "another's request", "another's request for the other host", "his own request"
ANSWER, FOR_HIM, RETAINED = "an answer", "a request for himself", "an answer below a request for himself"


@dataclass
class Scene:
    """The stage, and what attempts made on it."""

    stage: Stage
    own: dict[str, str] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.stage.world

    def dn(self, place: str, who: str) -> str:
        """Return the entry that a place, a container or a kind means."""
        if place in {THEIRS, ELSEWHERE}:
            return self.stage.fresh[place == ELSEWHERE].dn
        if place == ANSWER:
            return self.stage.thing("ipaTpiApproval").dn
        if place in {FOR_HIM, RETAINED}:
            kind = "ipaTpiRequest" if place == FOR_HIM else "ipaTpiApproval"
            return next(one.dn for one in self.stage.things if (one.kind, one.executor) == (kind, who))
        if place == OWN:
            return self.own[who]
        if place.startswith("cn="):
            return f"{place},{self.world.layout.suffix}" if place == "cn=alt" else f"{place},{self.world.top}"
        return self.stage.thing(place).dn


@dataclass(frozen=True)
class Attempt:
    """What somebody tries.

    Args:
        who: somebody.
        words: what he does.
        act: does it over his connection and returns something true, or raises python-ldap's errors.
        undo: takes it back, as root.
    """

    who: str
    words: str
    act: Callable[[Scene, Any], object]
    undo: Callable[[Scene], object] = lambda _: None

    def refusal(self, scene: Scene) -> str:
        """Try it and take it back.

        Returns:
            Nothing if it succeeded, otherwise in which words it was refused.
        """
        try:
            done = self.act(scene, scene.world.bound(self.who))
        except ldap.NOT_ALLOWED_ON_NONLEAF:
            return ""  # refused for another reason than rights, which will be gone
        except ldap.LDAPError as error:
            return type(error).__name__.lower().replace("_", " ")
        if not done:
            return "nothing"
        self.undo(scene)
        return ""


def add(
    who: str,
    kind: str,
    place: str = "",
    *,
    also: str = "",
    rdn: str = "",
    executor: str = "",
    words: str = "",
    **plant: str,
) -> Attempt:
    """Somebody adds an entry.

    Args:
        who: somebody.
        kind: its class.
        place: below what; its container if empty.
        also: a second class of ours.
        rdn: attribute of its name in place of the usual one; with a + in front beside it.
        executor: whom a request names.
        words: said of it.
        **plant: further values.
    """

    def draft(scene: Scene) -> Draft:
        world = scene.world
        above = scene.dn(place, who) if place else world.top
        made = world.answer(kind, above) if kind in ANSWERS else world.policy(kind)
        made = made.below(above) if place else made
        if also:
            other = world.answer(also, above) if also in ANSWERS else world.policy(also)
            classes = (*made.attributes["objectClass"], *other.attributes["objectClass"])
            made = Draft(made.dn, other.attributes | made.attributes | {"objectClass": classes})
        if executor:
            made = Draft(made.dn, made.attributes | {"ipaTpiExecutor": (world.dn(executor),)})
        if rdn:
            old, _, rest = made.dn.partition(",")
            (value,) = made.attributes[rdn.strip("+")]
            new = f"{old}+{rdn[1:]}={value}" if rdn.startswith("+") else f"{rdn}={value}"
            made = Draft(f"{new},{rest}", made.attributes)
        return made.having(**plant)

    added: list[str] = []

    def act(scene: Scene, connection: Any) -> object:
        made = draft(scene)
        connection.add_s(made.dn, made.modlist())
        added.append(made.dn)
        return True

    told = words or " ".join(
        [f"adds {kind}", f"and {also}" if also else "", f"below {place}" if place else ""]
        + ([f"named by {rdn.strip('+')}"] if rdn else [])
        + ([f"with {' and '.join(plant.values())}"] if plant else [])
        + ([f"for {executor}"] if executor else [])
    )
    return Attempt(who, " ".join(told.split()), act, lambda scene: scene.world.remove(added.pop()))


def change(who: str, what: str, name: str, value: str, *, delete: bool = False, words: str = "") -> Attempt:
    """Somebody adds a value to an attribute, or deletes it; `value` may be whose DN it is, as @who."""

    def mods(scene: Scene, how: int) -> list[tuple[int, str, list[bytes]]]:
        return [(how, name, [(scene.world.dn(value[1:]) if value.startswith("@") else value).encode()])]

    way, back = (ldap.MOD_DELETE, ldap.MOD_ADD) if delete else (ldap.MOD_ADD, ldap.MOD_DELETE)
    told = (
        words
        or f"{'takes' if delete else 'writes'} {value.strip('@')} {'from' if delete else 'into'} {name} of {what}"
    )
    return Attempt(
        who,
        told,
        lambda scene, c: c.modify_s(scene.dn(what, who), mods(scene, way)),
        lambda scene: scene.world.root.modify_s(scene.dn(what, who), mods(scene, back)),
    )


def renew(who: str, what: str, name: str) -> Attempt:
    """Somebody writes his own DN into an attribute that holds it already."""

    def act(scene: Scene, connection: Any) -> object:
        value = scene.world.dn(who).encode()
        return connection.modify_s(scene.dn(what, who), [(ldap.MOD_REPLACE, name, [value])])

    return Attempt(who, f"writes his own DN into {name} of {what}", act)


def delete(who: str, what: str) -> Attempt:
    """Somebody deletes an entry."""
    return Attempt(
        who,
        f"deletes {what}",
        lambda scene, c: c.delete_s(scene.dn(what, who)),
        lambda scene: scene.world.root.add_s(
            scene.dn(what, who), list(scene.stage.values[scene.dn(what, who)].items())
        ),
    )


def read(who: str, what: str, words: str = "") -> Attempt:
    """Somebody reads an entry."""
    return Attempt(
        who,
        words or f"reads {what}",
        lambda scene, c: [one for _, one in c.search_s(scene.dn(what, who), ldap.SCOPE_BASE) if one],
    )


def compare(who: str, what: str, name: str, value: str) -> Attempt:
    """Somebody finds out by comparing what an entry holds."""
    return Attempt(
        who,
        f"compares {name} of {what}",
        lambda scene, c: c.compare_s(scene.dn(what, who), name, value) or True,
    )


def impersonate(who: str, whom: str, kind: str, place: str) -> Attempt:
    """Somebody adds an entry as another, by proxied authorization."""
    added: list[str] = []

    def act(scene: Scene, connection: Any) -> object:
        made = scene.world.answer(kind, scene.dn(place, who))
        control = ProxyAuthzControl(criticality=True, authzId=f"dn: {scene.world.dn(whom)}".encode())
        connection.add_ext_s(made.dn, made.modlist(), [control])
        added.append(made.dn)
        return True

    words = f"adds {kind} as {whom}, by proxied authorization"
    return Attempt(who, words, act, lambda scene: scene.world.remove(added.pop()))


def move_in(who: str, kind: str) -> Attempt:
    """Somebody moves an entry in that he prepared outside cn=tpi."""

    def names(scene: Scene) -> tuple[str, str, str, str]:
        thing, home = next(one for one in scene.stage.prepared if one[0].kind == kind)
        rdn, _, outside = thing.dn.partition(",")
        return thing.dn, rdn, home, outside

    def act(scene: Scene, connection: Any) -> object:
        dn, rdn, home, _ = names(scene)
        return connection.rename_s(dn, rdn, home, 0) or True

    def undo(scene: Scene) -> object:
        _, rdn, home, outside = names(scene)
        return scene.world.root.rename_s(f"{rdn},{home}", rdn, outside, 0)

    return Attempt(who, f"moves {kind} in that he prepared outside", act, undo)
