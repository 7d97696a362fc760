"""The contract of validation programs, as far as code speaks it (K05); docs/validation-contract.md is all of it.

The executor asks over a socket: one line of JSON, the `Question`.  The service answers one line,
`BEGUN`, right before it starts the program, and one line, the `Answer`; where it will not start it,
the answer alone.  So whoever asks knows whether a program was started whose answer is lost.
"""

from typing import Annotated, Any, Final

import msgspec

FOLDER: Final = "/usr/libexec/ipa-tpi/validators"
NETWORK_FOLDER: Final = "/usr/libexec/ipa-tpi/validators-network"
VARIABLES: Final = frozenset(
    {
        "TPI_REQUEST_ID",
        "TPI_OPERATION",
        "TPI_TARGET",
        "TPI_REQUESTER",
        "TPI_APPROVERS",
        "TPI_PARAMETERS",
        "TPI_REASON",
        "TPI_TICKET",
    }
)
SURROUNDINGS: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
BEGUN: Final = b'{"begun":true}\n'
MAX_QUESTION_BYTES: Final = 256 * 1024
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_TIMEOUT_SECONDS: Final = 60
MAX_OUTPUT_BYTES: Final = 64 * 1024
MAX_ERROR_BYTES: Final = 16 * 1024
MAX_MESSAGE_CHARACTERS: Final = 500

ProgramName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the service is asked.

    Attributes:
        program: A plain file name, never a path.
        environment: Exactly the variables of the contract.
        timeout_seconds: For the program, its children and what they write.
    """

    program: ProgramName
    environment: dict[str, str]
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_TIMEOUT_SECONDS)]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the service answers.

    Attributes:
        accepted: The program ended with status 0, wrote nothing to standard output and left nothing behind.
        code: ``validation-refused``, ``validation-failed`` or ``validation-timeout``; empty for yes.
        message: For people.
    """

    accepted: bool
    code: str = ""
    message: str = ""


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one line of ASCII JSON with which a program refuses; Dogtag's programs write the same.

    Attributes:
        code: A number of FreeIPA's errors, such as 2100 for ACIError.
        name: The error's name.
        message: For people.
        data: What the message was made of.
    """

    code: int
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    message: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_MESSAGE_CHARACTERS)]
    data: dict[str, Any]
