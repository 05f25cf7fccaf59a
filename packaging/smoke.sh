#!/usr/bin/env bash
# Runs the release binary as a new user would, on the embedded default, and asks it what it sees:
# live host metrics, rules, an alert, one screen, and the same data after kill -9.
set -euo pipefail
binary=$(readlink -f "${1:?usage: smoke.sh BINARY}")
work=$(mktemp -d)
server=
trap '[ -n "$server" ] && kill -9 "$server" 2>/dev/null; rm -rf "$work"' EXIT
export XDG_STATE_HOME=$work XDG_RUNTIME_DIR=$work
unset STATE_DIRECTORY RUNTIME_DIRECTORY

start() {
    "$binary" serve --web.listen-address=127.0.0.1:0 --log.level=warn >>"$work/log" 2>&1 &
    server=$!
}

# Asks until the answer has the pattern: 60 tries, one a second.
wants() {
    local what=$1 pattern=$2 tries
    shift 2
    for tries in $(seq 60); do
        if "$@" >"$work/out" 2>"$work/err" && grep -qE "$pattern" "$work/out"; then
            echo "ok: $what"
            return 0
        fi
        kill -0 "$server" 2>/dev/null || { echo "the server is gone"; cat "$work/log"; exit 1; }
        sleep 1
    done
    echo "FAILED: $what; wanted $pattern in:"
    cat "$work/out" "$work/err" "$work/log"
    exit 1
}

ask() { "$binary" query instant "$1" -o plain; }

"$binary" --version | grep -q '^watchbell ' && echo "ok: version"
start
wants "host and own metrics are up" 'job="watchbell".* => 1 ' ask up
wants "live cpu" 'node_cpu_seconds_total\{.*mode="idle"' ask 'node_cpu_seconds_total'
wants "rate over live data" '=> [0-9.]+ ' ask 'sum(rate(node_cpu_seconds_total[1m]))'
wants "the watchdog fires" 'alertstate="firing"' ask 'ALERTS{alertname="Watchdog"}'
wants "a screen" 'Firing now' "$binary" tui --once overview --width 80 --height 24
before=$(ask 'min(min_over_time(timestamp(up)[1h:1s]))' | sed 's/.*=> \([0-9.]*\) .*/\1/')
kill -9 "$server"; wait "$server" 2>/dev/null || true
start
wants "nothing is lost by kill -9" "=> $before " ask 'min(min_over_time(timestamp(up)[1h:1s]))'
kill -TERM "$server"; wait "$server" && echo "ok: stops when asked"
server=
printf 'scrape_configs:\n- job_name: a\n  scrape_intervall: 5s\n' >"$work/bad.yml"
if "$binary" check config "$work/bad.yml" >"$work/out" 2>&1; then echo "FAILED: a bad file passed"; exit 1; fi
grep -q 'bad.yml:3:3: unknown field "scrape_intervall"; did you mean "scrape_interval"?' "$work/out" \
    || { cat "$work/out"; exit 1; }
echo "ok: a bad file is refused with place and name"
