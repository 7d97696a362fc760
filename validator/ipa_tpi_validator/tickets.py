"""The caller's tickets, held in memory for one decision and nowhere else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held(ccache: bytes) -> Iterator[str]:
    """Hold a credential cache that no other process sees and that nothing leaves behind.

    Args:
        ccache: Its bytes, as of a FILE cache.

    Yields:
        Its name for the Kerberos library, which may add tickets to it.
    """
    descriptor = os.memfd_create("ccache", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(ccache)
        yield f"FILE:/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
