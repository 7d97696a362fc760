"""Entry point of ``ipa-tpi``: parse, do, and turn every error into one line and an exit status.

What a run does not need is not imported: ``--help`` loads no Kerberos, ``converge`` no HTTP.
"""

import io
import os
import sys
from collections.abc import Sequence
from typing import Final

from ipa_tpi.cli.arguments import PROGRAM, parse
from ipa_tpi.cli.render import safe
from ipa_tpi.errors import EXIT_ERROR, EXIT_OK, TpiError, exit_status

_EXIT_INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Without the program's name; None takes that of the process.

    Returns:
        The exit status (DESIGN section 11).

    Raises:
        SystemExit: 0 after ``--help`` and ``--version``.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except TpiError as error:
        return _fail(error, arguments)
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{PROGRAM}: interrupted; what was sent already stands.\n")
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not try to flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    return status


def _fail(error: TpiError, arguments: Sequence[str]) -> int:
    """Tell an error to people, and to programs that wait for JSON."""
    status = exit_status(error.code)
    sys.stderr.write(f"{PROGRAM}: ERROR: {safe(error.message)}\n")
    if "--json" in arguments or any(word.startswith(("-o", "--output")) for word in arguments):
        from ipa_tpi.cli.problem import problem_document, wants_json  # noqa: PLC0415 - for this alone

        if wants_json(arguments):
            sys.stdout.write(problem_document(error.code, error.message, status))
            sys.stdout.flush()
    return status


def _run(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["converge"]:
        from ipa_tpi_acls.converge import command  # noqa: PLC0415 - LDAP is for root alone

        return command(list(arguments[1:]))
    if arguments[:1] == ["dogtag"]:
        from ipa_tpi_acls.dogtag.command import command as dogtag  # noqa: PLC0415 - as above

        return dogtag(list(arguments[1:]))
    options = parse(arguments)
    if options.verb == "completion":
        from ipa_tpi.cli.completion import script  # noqa: PLC0415 - for this verb alone

        sys.stdout.write(script(options.shell))
        return EXIT_OK
    from ipa_tpi.cli.settings import read_settings  # noqa: PLC0415 - not for --help
    from ipa_tpi.cli.verbs import run  # noqa: PLC0415 - loads Kerberos and TLS

    return run(options, read_settings(options.server, options.config))


if __name__ == "__main__":
    sys.exit(main())
