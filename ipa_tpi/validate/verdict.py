"""What the end of a program means (K05).

Rules:

1. It accepts only if it ended by itself, in time, with status 0, wrote not one byte to standard output,
   and left no process behind.
2. It refuses, ``validation-refused``, if it ended by itself with another status and wrote exactly one line:
   a JSON object in ASCII with exactly ``code``, ``name``, ``message`` and ``data``.
3. Out of time is ``validation-timeout``.  Everything else is ``validation-failed``: it refuses too, and the
   message says how the contract was broken.

Standard error decides nothing.
"""

import signal
from typing import Final

import msgspec

from ipa_tpi.contract import MAX_MESSAGE_CHARACTERS, MAX_OUTPUT_BYTES, Answer, Refusal
from ipa_tpi.validate.run import Ended

_EXCERPT_CHARACTERS: Final = 200
_NEXT: Final = "see: journalctl -t ipa-tpi-validate"


def judge(name: str, ended: Ended, timeout_seconds: int) -> Answer:
    """Judge how a program ended.

    Args:
        name: Its name, for the message.
        ended: How it ended.
        timeout_seconds: How long it had.

    Returns:
        The answer.
    """
    if ended.timed_out:
        return Answer(
            accepted=False,
            code="validation-timeout",
            message=f"the validation program {name} was ended after {timeout_seconds} seconds; {_NEXT}",
        )
    if ended.flooded:
        return failed(f"{name} wrote more than {MAX_OUTPUT_BYTES} bytes to standard output")
    if ended.status < 0:
        return failed(f"{name} was ended by {_signal(-ended.status)}")
    if ended.status == 0:
        return _judge_yes(name, ended)
    refusal = read_refusal(ended.out)
    if refusal is None:
        return failed(
            f"{name} ended with status {ended.status} and without the one line of JSON that says why"
        )
    return Answer(accepted=False, code="validation-refused", message=shown(refusal.message))


def failed(what: str) -> Answer:
    """Refuse because the contract was broken.

    Args:
        what: How, beginning with the program's name.
    """
    text = f"the validation program {what}"[: MAX_MESSAGE_CHARACTERS - len(_NEXT) - 2]
    return Answer(accepted=False, code="validation-failed", message=f"{text}; {_NEXT}")


def read_refusal(out: bytes) -> Refusal | None:
    """Read the line with which a program refuses; None where it is not exactly of the form.

    Args:
        out: All that it wrote to standard output.
    """
    line = out.removesuffix(b"\n")
    if not line.isascii() or b"\n" in line or b"\r" in line:
        return None
    try:
        return msgspec.json.decode(line, type=Refusal)
    except (msgspec.DecodeError, RecursionError):
        return None


def shown(text: str) -> str:
    """Give a text as printable ASCII, so that it is in a log and on a terminal what it seems to be.

    Args:
        text: What a program wrote.
    """
    return "".join(one if " " <= one <= "~" else one.encode("unicode_escape").decode() for one in text)[
        :MAX_MESSAGE_CHARACTERS
    ]


def _judge_yes(name: str, ended: Ended) -> Answer:
    if ended.out:
        said = shown(ended.out.decode("ascii", "backslashreplace"))[:_EXCERPT_CHARACTERS]
        return failed(f"{name} ended with status 0 and yet wrote to standard output: {said}")
    if ended.left:  # R-K05
        return failed(f"{name} ended with status 0 and left processes behind, which were ended")
    return Answer(accepted=True)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
