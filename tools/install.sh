#!/usr/bin/env bash
# Installs what the other commands need: packages of the distribution, uv, the Python environment
# and, for the tests of the Node SDK, its packages. Says what it does, does nothing twice.
#
# usage: tools/install.sh [run|dev]      run = what `make run` needs; dev = also what tests need
set -euo pipefail
shopt -s inherit_errexit # a failure inside $(...) ends the script, too

cd "$(dirname "$0")/.."
what=${1:-dev}
uv_version=0.13.8

run_packages=(nginx libnginx-mod-http-lua lua-resty-core lua-resty-lrucache lua-cjson
    lua-nginx-redis ca-certificates)
dev_packages=(lua-check shellcheck)

say() { printf 'install: %s\n' "$*"; }
die() { printf 'install: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' \
            || printf '%s\n' "$package"
    done
}

# The package would start a web server of its own on port 80; the gateway starts nginx itself.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then "$@"; return; fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    # shellcheck disable=SC2064  # the path is fixed now
    trap "as_root rm -f $policy" EXIT
    "$@"
    as_root rm -f "$policy"
    trap - EXIT
}

apt_install() {
    local packages
    mapfile -t packages < <(missing_packages "$@")
    [ "${#packages[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null \
        || die "needs a Debian or Ubuntu with apt-get for: ${packages[*]}"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null \
        || die "needs root or sudo to install: ${packages[*]}"
    say "packages: ${packages[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    without_services as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "needs Python 3.11 or newer"
}

find_uv() {
    if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then
        command -v uv
        return
    fi
    local tools=.gateway/tools
    if [ ! -x "$tools/bin/uv" ]; then
        "$python" -c 'import ensurepip' 2>/dev/null || apt_install python3-venv >&2
        "$python" -m venv "$tools"
        "$tools/bin/pip" install --quiet --disable-pip-version-check "uv==$uv_version"
    fi
    printf '%s\n' "$PWD/$tools/bin/uv"
}

install_node_packages() {
    if ! command -v npm >/dev/null; then
        apt_install nodejs npm
    fi
    if [ ! -d e2e/node/node_modules/openai ]; then
        say "Node packages of the SDK tests"
        (cd e2e/node && npm install --no-audit --no-fund --no-package-lock --silent)
    fi
}

apt_install "${run_packages[@]}"
python=$(find_python)
uv=$(find_uv)
say "Python environment"
if [ "$what" = run ]; then
    "$uv" sync --quiet --no-default-groups --inexact --python "$python"
else
    apt_install "${dev_packages[@]}"
    "$uv" sync --quiet --python "$python"
    install_node_packages
fi
touch ".venv/.installed-$what"
[ "$what" = run ] || touch .venv/.installed-run
