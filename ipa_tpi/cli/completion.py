"""The shell's completion of the command line, made from its grammar (``ipa-tpi completion``).

What the script offers from the server (ids, names of operations) is compared as text and never
expanded by the shell, and a name with anything but letters, digits and ``._-`` is not offered.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ipa_tpi import __version__
from ipa_tpi.cli.arguments import PROGRAM, grammar
from ipa_tpi.cli.deeds import GROUPS

# These verbs read their own command lines, and are not loaded for this, since they need the LDAP library.
CONVERGE_OPTIONS: Final[Mapping[str, bool]] = {
    "-h": False,
    "--help": False,
    "--dry-run": False,
    "--ldap-uri": True,
    "--suffix": True,
    "--json": False,
}
"""Its options, and whether each takes a value."""
DOGTAG_OPTIONS: Final[Mapping[str, bool]] = {
    "-h": False,
    "--help": False,
    "--ldap-uri": True,
    "--suffix": True,
    "--subsystem": True,
    "--base": True,
    "--controlled": True,
    "--acl-properties": True,
    "--json": False,
}
"""The same for `dogtag acls` and what follows."""

_QUESTIONS: Final = {"ID": "list", "OPERATION": "operations", "RULE": "rule find"}
_NARROWER: Final = {"approve": "list --approvable", "cancel": "list --mine"}
_OF_OPTIONS: Final = {"--before": "list", "--host": "hosts", "--operation": "operations"}
_ZSH: Final = """\
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
autoload -Uz bashcompinit && bashcompinit
"""
_SCRIPT: Final = r"""# Completion of @PROGRAM@ @VERSION@, made by: @PROGRAM@ completion
_ipa_tpi_add() {
    # A word that begins with what was typed; without the part that the shell leaves standing.
    if [[ $1 == "$cur"* && $1 != *[!A-Za-z0-9._-]* ]]; then
        word=$before$1
        COMPREPLY+=("${word#"$standing"}")
    fi
}

_ipa_tpi() {
    local IFS=$' \t\n'
    local cur word tail='' glue='' verb='' wants='' before='' standing='' flags='' offer='' ask=''
    local position=0 i
    local -a parts given
    COMPREPLY=() parts=() given=()
    # bash cuts words at : and =, zsh does not: put them together again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        tail=${COMP_WORDS[i]}
        if [[ -n $tail && $tail != *[!:=]* && $i -gt 1 ]]; then
            parts[${#parts[@]}-1]+=$tail
            glue=1 tail=''
        elif [[ -n $glue ]]; then
            parts[${#parts[@]}-1]+=$tail
            glue=''
        else
            parts+=("$tail")
        fi
    done
    for ((i = 1; i < ${#parts[@]} - 1; i++)); do
        word=${parts[i]}
        if [[ -n $wants ]]; then
            case $wants in --server | --config) given+=("$wants" "$word") ;; esac
            wants=''
        else
            case $word in
            --server=* | --config=*) given+=("$word") ;;
            @VALUED@) wants=$word ;;
            -*) ;;
            *)
                if [[ -z $verb || $verb == request ]]; then
                    verb=$word
                elif [[ ' @GROUPS@ ' == *" $verb "* ]]; then
                    verb+=" $word"
                else
                    position=$((position + 1))
                fi
                ;;
            esac
        fi
    done
    cur=${parts[${#parts[@]}-1]}
    standing=${cur%"$tail"}
    if [[ -z $wants && $cur == --*=* ]]; then
        wants=${cur%%=*}
        before=$wants=
        cur=${cur#*=}
    fi
    case $wants in
    --config) compopt -o default 2>/dev/null ;;
@VALUES@
    '')
        case $verb in
@VERBS@
        esac
        if [[ $cur == -* ]]; then
            offer=$flags ask=''
        fi
        ;;
    esac
    for word in $offer; do
        _ipa_tpi_add "$word"
    done
    if [[ -n $ask ]]; then
        while read -r word; do
            _ipa_tpi_add "$word"
        done <<< "$(command @PROGRAM@ "${given[@]}" $ask -o name 2>/dev/null </dev/null)"
    fi
}

complete -F _ipa_tpi @PROGRAM@
"""


@dataclass(frozen=True, slots=True)
class _Grammar:
    """What completion needs to know of one verb: its options, and how its own arguments begin."""

    options: Sequence[str]
    valued: frozenset[str]
    choices: Mapping[str, Sequence[str]]
    argument: str = ""
    words: Sequence[str] = ()


def script(shell: str) -> str:
    """Make the completion script.

    Args:
        shell: ``bash`` or ``zsh``.

    Returns:
        What the shell is to read, as by ``source``.
    """
    verbs = dict(_walk("", grammar()))
    for name, known, words in (("converge", CONVERGE_OPTIONS, ()), ("dogtag", DOGTAG_OPTIONS, ("acls",))):
        verbs[name] = _Grammar(
            tuple(known), frozenset(option for option, valued in known.items() if valued), {}, words=words
        )
    choices = {option: words for verb in verbs.values() for option, words in verb.choices.items()}
    filled = _SCRIPT
    for mark, text in (
        ("PROGRAM", PROGRAM),
        ("GROUPS", " ".join(GROUPS)),
        ("VERSION", __version__),
        ("VALUED", " | ".join(sorted(frozenset[str]().union(*(verb.valued for verb in verbs.values()))))),
        (
            "VALUES",
            "\n".join(
                [
                    *(f"    {option}) offer='{' '.join(words)}' ;;" for option, words in choices.items()),
                    *(f"    {option}) ask='{question}' ;;" for option, question in _OF_OPTIONS.items()),
                ]
            ),
        ),
        ("VERBS", "\n".join(_case(name, verb) for name, verb in verbs.items())),
    ):
        filled = filled.replace(f"@{mark}@", text)
    return (_ZSH if shell == "zsh" else "") + filled


def _walk(name: str, parser: argparse.ArgumentParser) -> Iterable[tuple[str, _Grammar]]:
    # A verb below `request` is the same verb at the top level, and comes again there.
    actions = parser._actions  # noqa: SLF001 - argparse tells nobody else what a parser knows
    named = [action for action in actions if action.option_strings]
    own = [action for action in actions if not action.option_strings]
    valued = {name: action for action in named if action.nargs != 0 for name in action.option_strings}
    yield (
        name,
        _Grammar(
            options=[name for action in named for name in action.option_strings],
            valued=frozenset(valued),
            choices={name: tuple(action.choices) for name, action in valued.items() if action.choices},
            argument=str(own[0].metavar) if own else "",
            words=tuple(own[0].choices or ()) if own else (),
        ),
    )
    for action in own:
        if isinstance(action.choices, Mapping):
            for verb, below in action.choices.items():
                yield from _walk(f"{name} {verb}" if name in GROUPS else verb, below)


def _case(name: str, verb: _Grammar) -> str:
    lines = [
        f"        {name if name.isalpha() else repr(name)})",
        f"            flags='{' '.join(verb.options)}'",
    ]
    question = _NARROWER.get(name) or _QUESTIONS.get(verb.argument)
    if verb.words:
        lines.append(f"            [[ $position == 0 ]] && offer='{' '.join(verb.words)}'")
    elif question:
        lines.append(f"            [[ $position == 0 ]] && ask='{question}'")
    return "\n".join([*lines, "            ;;"])
