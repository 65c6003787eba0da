#!/bin/sh
# Publishes the rendered set to APISIX, runs APISIX, takes over later sets, and drains on SIGTERM.
#
# usage: gateway-entrypoint.sh COMMAND [ARGUMENT...]
#
# COMMAND starts APISIX and becomes the nginx master (by exec). A set that is missing, unreadable,
# changed, or of another format or engine is a failed start: one line, exit code 1. While APISIX
# runs, such a set is refused with one line and the old one serves on.
#
# A shell stays in front because Container Apps says SIGTERM, which nginx takes for "drop
# everything"; its word for "finish what is open" is SIGQUIT.
#
# environment: RENDERED_DIR         where render-config publishes
#              APISIX_PREFIX        home of APISIX
#              FOLLOW_SECONDS       time between two looks for a new set
#              STOP_DELAY_SECONDS   time between SIGTERM and the drain, in which new requests are
#                                   still served: the ingress learns of the end at the same moment
set -u
umask 077

rendered=${RENDERED_DIR:-/shared-configs}
prefix=${APISIX_PREFIX:-/usr/local/apisix}
follow_seconds=${FOLLOW_SECONDS:-1}
stop_delay=${STOP_DELAY_SECONDS:-5}

wanted_format=1
wanted_engine='"apisix 3.18.0"'

conf=$prefix/conf
staging=$conf/.staging
pid_file=$prefix/logs/nginx.pid
link=''
digest=''
applied=''

say() { printf 'gateway-entrypoint: %s\n' "$*" >&2; }

refuse() {
    problem=$*
    return 1
}

# Copies a file of the set; what is checked and used later is the copy.
fetch() {
    cp -- "$set/$1" "$staging/$1" 2>/dev/null && return
    [ -e "$set/$1" ] || refuse "$set/$1 is missing; render the set again" || return
    refuse "cannot read $set/$1 as uid $(id -u); the renderer has to run as the same user"
}

field() { sed -n "s/^  \"$1\": \(.*\),\$/\1/p" "$staging/manifest.json"; }

# Prints "sha256  name" for each file that the manifest lists.
listed() {
    sed -n -e 's/^    "\([A-Za-z0-9][A-Za-z0-9._-]*\)": {$/\1/p' \
        -e 's/^      "sha256": "\([0-9a-f]\{64\}\)",\{0,1\}$/\1/p' "$staging/manifest.json" |
        while read -r name && read -r sum; do printf '%s  %s\n' "$sum" "$name"; done
}

# sha256 over "name NUL sha256 newline" of each file, by name.
digest_of_listed() {
    LC_ALL=C sort -k 2 "$staging/sums" |
        while read -r sum name; do printf '%s\000%s\n' "$name" "$sum"; done |
        sha256sum | cut -c 1-64
}

find_set() {
    [ -x "$rendered" ] ||
        refuse "cannot enter $rendered as uid $(id -u); is the volume there?" || return
    link=$(readlink "$rendered/.current") ||
        refuse "no rendered set in $rendered; did render-config --out $rendered succeed?" || return
    case $link in
        */*) refuse "$rendered/.current points to $link, which is no set" || return ;;
    esac
    set=$rendered/$link
    [ -x "$set" ] || refuse "cannot enter $set as uid $(id -u)"
}

check_manifest() {
    fetch manifest.json || return
    format=$(field format)
    [ "$format" = "$wanted_format" ] ||
        refuse "$set has format ${format:-none}, this image reads format $wanted_format" || return
    engine=$(field engine)
    [ "$engine" = "$wanted_engine" ] ||
        refuse "$set was rendered for ${engine:-no engine}, this image runs $wanted_engine" || return
    listed >"$staging/sums"
    for name in apisix.yaml config.yaml; do
        grep -q "  $name\$" "$staging/sums" ||
            refuse "$set/manifest.json does not list $name; render the set again" || return
    done
    digest=$(field digest | tr -d '"')
    [ "$digest:$link" = "$(digest_of_listed):.set-$(printf '%.12s' "$digest")" ] ||
        refuse "$set/manifest.json is damaged: its digest is another one; render the set again"
}

check_files() {
    while read -r sum name; do
        fetch "$name" || return
        printf '%s  %s\n' "$sum" "$staging/$name" | sha256sum --check --status --strict ||
            refuse "$set/$name was changed after rendering; render the set again" || return
    done <"$staging/sums"
}

# Copies the set in force into $staging and verifies the copy; else $problem says why not.
take_set() {
    rm -rf "$staging"
    mkdir "$staging" || refuse "cannot write to $conf as uid $(id -u)" || return
    find_set && check_manifest && check_files
}

# APISIX sees a change by whole seconds of the modification time.
put_routes() {
    now=$(date +%s)
    old=$(stat -c %Y "$conf/apisix.yaml" 2>/dev/null || echo 0)
    [ "$now" -gt "$old" ] || now=$((old + 1))
    touch -d "@$now" "$staging/apisix.yaml" && mv -f "$staging/apisix.yaml" "$conf/apisix.yaml"
}

# Changes whenever the set in force, or a file of it, is another one.
look() {
    readlink "$rendered/.current"
    stat -c '%i %z %s' "$rendered/.current/" "$rendered"/.current/*
} 2>/dev/null

take_over() {
    take_set || return
    [ "$digest" != "$applied" ] || return 0
    cmp -s "$staging/config.yaml" "$conf/config.yaml" ||
        refuse "config.yaml of $link differs (ports, workers, limits of the engine)," \
            "which needs a restart of the container" || return
    put_routes || refuse "cannot write to $conf as uid $(id -u)" || return
    applied=$digest
    say "took over $link"
}

# A refused set is tried again, so that a repaired one is found; the same problem is told once.
follow() {
    told=''
    while sleep "$follow_seconds"; do
        found=$(look)
        [ "$found" != "$seen" ] || continue
        if take_over; then
            seen=$found
            told=''
        elif [ "$problem" != "$told" ]; then
            told=$problem
            say "kept the old set: $problem"
        fi
        rm -rf "$staging"
    done
}

# Nothing is open before nginx has written its pid, and what runs until then ignores SIGQUIT.
# shellcheck disable=SC2317  # called by the trap
stop() {
    trap '' TERM INT QUIT
    stopping=1
    if [ "$(cat "$pid_file" 2>/dev/null)" = "$engine" ]; then
        sleep "$stop_delay"
        say "draining"
        kill -QUIT "$engine" 2>/dev/null
    else
        kill -TERM "$engine" 2>/dev/null
    fi
}

# A signal ends `wait` early; the engine's own end is what is waited for.
wait_for_engine() {
    wait "$engine"
    code=$?
    while [ "$code" -gt 128 ] && kill -0 "$engine" 2>/dev/null; do
        wait "$engine"
        code=$?
    done
}

if [ "$#" -eq 0 ]; then
    say "usage: gateway-entrypoint.sh COMMAND [ARGUMENT...]"
    exit 2
fi
# the first process of a container ignores a signal that it has no trap for
trap 'exit 0' TERM INT QUIT
seen=$(look)
if ! take_set; then
    rm -rf "$staging"
    say "cannot start: $problem"
    exit 1
fi
if ! { mv -f "$staging/config.yaml" "$conf/config.yaml" && put_routes; }; then
    say "cannot start: cannot write to $conf"
    exit 1
fi
rm -rf "$staging"
applied=$digest
say "verified $link"

# left over when a stopped container is started again; the pid in it may be ours this time
rm -f "$pid_file"
stopping=0
"$@" &
engine=$!
trap stop TERM INT QUIT
follow &
follower=$!
wait_for_engine
kill "$follower" 2>/dev/null
if [ "$stopping" = 1 ] && [ "$code" = 143 ]; then code=0; fi
[ "$code" = 0 ] || say "APISIX ended with exit code $code"
exit "$code"
