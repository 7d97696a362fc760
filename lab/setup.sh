#!/usr/bin/env bash
# Installs what the laboratory and the tests need: Debian packages, and a venv with locked hashes.
# Does nothing when it is all there.  Usage: lab/setup.sh CACHE-FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$1
say() { printf 'setup: %s\n' "$*"; }

mapfile -t wanted < <(grep -v '^#' lab/packages.txt)
if ! dpkg-query -W -f '${db:Status-Abbrev}\n' "${wanted[@]}" >/tmp/.ipa-tpi-dpkg.$$ 2>/dev/null ||
    grep -qv '^ii' /tmp/.ipa-tpi-dpkg.$$; then
    if [ "$(id -u)" -ne 0 ]; then
        say "Debian packages are missing; run once as root: apt-get install ${wanted[*]}" >&2
        exit 1
    fi
    say "installing Debian packages (once)"
    # No daemon may start by being installed: the laboratory starts its own.
    policy=/usr/sbin/policy-rc.d
    made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=1
    fi
    trap '[ -z "$made" ] || rm -f "$policy"; rm -f /tmp/.ipa-tpi-dpkg.$$' EXIT
    export DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=900 update -q >/dev/null
    apt-get -o DPkg::Lock::Timeout=900 install -y -q --no-install-recommends "${wanted[@]}" >/dev/null
fi
rm -f /tmp/.ipa-tpi-dpkg.$$

venv=$cache/venv
stamp=$venv/.ipa-tpi-lock
want=$(sha256sum requirements/dev.lock | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$want" ]; then
    say "making the venv $venv from requirements/dev.lock (once)"
    mkdir -p "$cache"
    rm -rf "$venv"
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/pip" install -q --require-hashes -r requirements/dev.lock
    printf '%s\n' "$want" >"$stamp"
fi
