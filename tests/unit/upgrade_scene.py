"""The steps under test, each on a copy of a file."""

import ctypes
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ipa_tpi_upgrade.authz import Instance, authz_step
from ipa_tpi_upgrade.connectors import ajp_step
from ipa_tpi_upgrade.contexts import context_step
from ipa_tpi_upgrade.file_step import FileStep
from ipa_tpi_upgrade.sssd import Wishes, infopipe_step, read_wishes

DATA = Path(__file__).resolve().parent.parent / "data" / "upgrade"
DECLARATION = Path(__file__).resolve().parents[2] / "sssd" / "ipa-tpi.conf"
ACCOUNTS = {"root": 0, "www-data": 33, "ipaapi": 287}
Maker = Callable[[Path], FileStep]
_NOWRAP = 1  # INI_PARSE_NOWRAP, the one flag that SSSD sets (src/util/sss_ini.c)


def wishes(accounts: dict[str, int] = ACCOUNTS) -> Wishes:
    """Return what ships, for a host with other accounts."""
    return replace(read_wishes("TPI.TEST", DECLARATION), accounts=accounts)


def sssd(path: Path) -> FileStep:
    return infopipe_step(wishes(), path, path.parent / "conf.d")


def connectors(path: Path) -> FileStep:
    return ajp_step(path)


def authz(path: Path) -> FileStep:
    subsystem = "kra" if path.name.startswith("kra") else "ca"
    return authz_step(subsystem, Instance("TPI.TEST"), is_stopped=lambda: True, path=path)


def context(path: Path) -> FileStep:
    return context_step("kra", is_stopped=lambda: True, path=path)


STEPS: dict[str, Maker] = {"sssd": sssd, "connectors": connectors, "authz": authz, "contexts": context}
FILES = sorted(
    path for folder in STEPS for path in (DATA / folder).iterdir() if not path.name.startswith("after-")
)


def copied(source: Path, folder: Path) -> FileStep:
    """Copy a file of the tables, and return its step."""
    target = folder / source.name
    target.write_bytes(source.read_bytes())
    return STEPS[source.parent.name](target)


def holding(kind: str, folder: Path, data: bytes | str) -> FileStep:
    """Write a file, and return its step."""
    target = folder / "file"
    target.write_bytes(data.encode() if isinstance(data, str) else data)
    return STEPS[kind](target)


def read_by_sssd(data: bytes) -> dict[str, dict[str, str]] | None:
    """Read as SSSD does, with its own library; None where it refuses. Names in lower case."""
    library = ctypes.CDLL("libini_config.so.5")
    for name in ("ini_get_section_list", "ini_get_attribute_list"):
        getattr(library, name).restype = ctypes.POINTER(ctypes.c_char_p)
    library.ini_get_string_config_value.restype = ctypes.c_void_p
    config, file, error = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int()
    library.ini_config_create(ctypes.byref(config))
    try:
        if library.ini_config_file_from_mem(data, ctypes.c_uint32(len(data)), ctypes.byref(file)):
            return None
        try:
            if library.ini_config_parse(file, 0, ctypes.c_uint32(0), ctypes.c_uint32(_NOWRAP), config):
                return None
            return _settings(library, config, error)
        finally:
            library.ini_config_file_destroy(file)
    finally:
        library.ini_config_destroy(config)


def _settings(
    library: ctypes.CDLL, config: ctypes.c_void_p, error: ctypes.c_int
) -> dict[str, dict[str, str]]:
    """Take everything out of a configuration that was read."""
    found: dict[str, dict[str, str]] = {}
    count = ctypes.c_int()
    sections = library.ini_get_section_list(config, ctypes.byref(count), ctypes.byref(error))
    for section in sections[: count.value]:
        number = ctypes.c_int()
        keys = library.ini_get_attribute_list(config, section, ctypes.byref(number), ctypes.byref(error))
        values = found.setdefault(section.lower().decode(), {})
        for key in keys[: number.value]:
            value = ctypes.c_void_p()
            library.ini_get_config_valueobj(section, key, config, 0, ctypes.byref(value))
            text = library.ini_get_string_config_value(value, ctypes.byref(error))
            values[key.lower().decode()] = (ctypes.cast(text, ctypes.c_char_p).value or b"").decode()
            ctypes.CDLL(None).free(ctypes.c_void_p(text))
        library.ini_free_attribute_list(keys)
    library.ini_free_section_list(sections)
    return found
