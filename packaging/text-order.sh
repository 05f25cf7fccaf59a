#!/usr/bin/env bash
# Writes packaging/text-order.txt: the functions that a serving watchbell runs, in the order in
# which the linker is to lay them out (build.rs hands the list over). The kernel maps 64 KiB
# around every page of code that is touched, so that functions in use which lie scattered over
# the binary make nearly all of it resident; laid side by side they take a tenth.
#
# To be run again when the figures of an empty server in the README are no longer reached: names
# of functions that changed drop out of the list without a word. Needs valgrind and curl.
set -euo pipefail
cd "$(dirname "$0")/.."
list=packaging/text-order.txt
work=$(mktemp -d)
server=
trap '[ -n "$server" ] && kill -9 "$server" 2>/dev/null; rm -rf "$work"' EXIT

# The same build but for its symbols: the names' hashes do not depend on them.
cargo rustc --locked --release --bin watchbell -- -C strip=none
cp target/release/watchbell "$work/watchbell"
nm "$work/watchbell" | awk '$2 ~ /^[tTwW]$/ { print $3 }' | sort -u >"$work/known"

# trace NAME SECONDS ARGUMENT...: serves under callgrind, runs `ask` meanwhile, adds the functions.
trace() {
    local name=$1 seconds=$2
    shift 2
    valgrind --tool=callgrind --demangle=no --callgrind-out-file="$work/$name.out" "$work/watchbell" \
        serve --storage.path="$work/$name" --web.listen-address=127.0.0.1:31987 \
        --web.enable-admin-api --log.level=warn "$@" >"$work/$name.log" 2>&1 &
    server=$!
    sleep "$seconds"
    ask
    kill -TERM "$server"; wait "$server" || true
    server=
    # Recursion is told by a quote and a number behind the name.
    grep -oE '^c?fn=\([0-9]+\) .*' "$work/$name.out" | sed -e "s/^c\?fn=([0-9]*) //" -e "s/'[0-9]*$//" |
        sort -u | comm -12 - "$work/known" >>"$work/list"
}

url=http://127.0.0.1:31987
ask() { curl -fsS "$url/-/ready" >"$work/answer"; }
printf 'scrape_configs: []\n' >"$work/empty.yml"
trace empty 15 --config.file="$work/empty.yml"

printf 'global: {scrape_interval: 2s}\nscrape_configs: [{job_name: a, static_configs: [{targets: ["127.0.0.1:31987"]}]}]\n' \
    >"$work/scraping.yml"
ask() {
    local query
    for query in up 'rate(watchbell_http_requests_total[1m])' 'sum by (job) ({__name__=~".+"})'; do
        curl -fsS --get --data-urlencode "query=$query" "$url/api/v1/query" >"$work/answer"
    done
    curl -fsS -X POST "$url/api/v1/admin/tsdb/compact" >"$work/answer"
}
trace scraping 25 --config.file="$work/scraping.yml"
trace default 40

# The first place of a name counts: what an empty server runs lies together.
awk '!seen[$0]++' "$work/list" >"$list"
echo "$(wc -l <"$list") functions in $list"
