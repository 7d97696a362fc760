"""The polkit rule that lets the executor's uid do exactly what the floor allows, unit by unit and verb by verb."""

import json

from ipa_tpi.executor.operations import OPERATIONS
from ipa_tpi.model import Floor

_RULE = """// Written by ipa-tpi-executor from the floor file; do not edit, run it again.
// {user} may do exactly these verbs on exactly these units; for everything else this rule says nothing.
polkit.addRule(function (action, subject) {{
    var allowed = {allowed};
    if (action.id !== "org.freedesktop.systemd1.manage-units" || subject.user !== {user}) {{
        return polkit.Result.NOT_HANDLED;
    }}
    var unit = action.lookup("unit");
    var verb = action.lookup("verb");
    if (Object.prototype.hasOwnProperty.call(allowed, unit) && allowed[unit].indexOf(verb) >= 0) {{
        return polkit.Result.YES;
    }}
    return polkit.Result.NO;
}});
"""


def render_rule(floor: Floor, user: str) -> str:
    """Render the rule for /etc/polkit-1/rules.d/50-ipa-tpi.rules (K18, E05).

    Args:
        floor: The host's floor.
        user: The executor's user.

    Returns:
        JavaScript.
    """
    allowed: dict[str, list[str]] = {}
    for name, entry in floor.operations.items():
        known = OPERATIONS.get(name)
        for unit, verbs in (known.units(entry) if known is not None else {}).items():
            allowed[unit] = sorted({*allowed.get(unit, []), *verbs})
    return _RULE.format(allowed=json.dumps(allowed, indent=8, sort_keys=True), user=json.dumps(user))
