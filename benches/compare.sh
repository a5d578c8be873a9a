#!/usr/bin/env bash
# Anteroom beside Janus: the same participants, the same packets, the same interface.
set -euo pipefail

runs=5
seconds=8
listeners=100
event_loops=2

usage() {
    cat <<TEXT
benches/compare.sh [--runs N] [--seconds S] [--listeners N] [--event-loops N]

Puts the load tool's participants on Anteroom and on the VideoRoom of Janus 1.1.2, in turn, and prints
what a packet cost each server. Either server is in a network namespace of its own and the participants
in another; a veth pair is between them, because Janus does no media on loopback. UDP GRO is off; what
a server sends in one call crosses the pair whole, as with a network card that segments.
Profiles: audio (3 talk) and screen (1 shares); all others listen to all that is published.

  --runs N         runs of each server and profile (default $runs); the table has their medians
  --seconds S      seconds that each run measures (default $seconds)
  --listeners N    who listens (default $listeners)
  --event-loops N  event loops of Janus (default $event_loops): without any it has a thread for each
                   connection, and costs about twice as much

Needs root, for the namespaces, and iproute2; installs the Debian package janus where it is missing.
\$ANTEROOM is the binary to take; without it, one is built.
TEXT
}

say() { echo "compare: $*" >&2; }
fail() { say "$*"; exit 1; }

while [ $# -gt 0 ]; do
    case "$1" in
        --runs) runs=${2:?}; shift 2 ;;
        --seconds) seconds=${2:?}; shift 2 ;;
        --listeners) listeners=${2:?}; shift 2 ;;
        --event-loops) event_loops=${2:?}; shift 2 ;;
        --help | -h) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || fail "needs root, for network namespaces"
command -v ip >/dev/null || fail "needs iproute2"
if ! command -v janus >/dev/null; then
    say "installing janus"
    apt-get install -y --no-install-recommends janus >/dev/null || fail "apt-get could not install janus"
    # The package starts a Janus of its own; the test starts another.
    service janus stop >/dev/null 2>&1 || true
fi
# What is measured is what is here now, whatever is committed meanwhile.
commit="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)$(git diff --quiet HEAD 2>/dev/null || echo ' and changes')"
load_before=$(cut -d' ' -f1 /proc/loadavg)
binary=${ANTEROOM:-}
if [ -n "$binary" ]; then
    commit="$commit, or whatever $binary was made from"
else
    cargo build --release --locked >&2
    binary=target/release/anteroom
fi

# Names of this process, so that two comparisons do not meet; both ends of the pair are in namespaces,
# so that the addresses are nobody else's.
server_ns=anteroom-server-$$
client_ns=anteroom-client-$$
server_ip=10.211.55.1
results=$(mktemp -d)
cleanup() {
    local ns pid
    for ns in "$client_ns" "$server_ns"; do
        # The load tool ends its servers itself, unless it was ended.
        for pid in $(ip netns pids "$ns" 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
        ip netns del "$ns" 2>/dev/null || true
    done
    rm -rf "$results"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

ip netns add "$server_ns"
ip netns add "$client_ns"
ip link add server netns "$server_ns" type veth peer name client netns "$client_ns"
ip -n "$server_ns" addr add "$server_ip/24" dev server
ip -n "$client_ns" addr add 10.211.55.2/24 dev client
for end in "$server_ns server" "$client_ns client"; do
    read -r ns link <<<"$end"
    ip -n "$ns" link set lo up
    ip -n "$ns" link set "$link" up
done

# One run; its JSON goes to the results.
measure() {
    local server=$1 profile=$2 run=$3 code=0
    ip netns exec "$client_ns" "$binary" load --target "$server" --spawn --netns "$server_ns" \
        --interface-address "$server_ip" --event-loops "$event_loops" --profile "$profile" \
        --participants "$listeners" --seconds "$seconds" --json \
        >"$results/out" 2>"$results/err" || code=$?
    if ! grep -q '^{' "$results/out"; then
        cat "$results/err" >&2
        fail "$server, $profile: no result (exit code $code)"
    fi
    tail -n 1 "$results/out" >>"$results/$server.$profile"
    say "$profile, run $run: $server $(cost "$(tail -n 1 "$results/out")") us a packet"
}

# A number or a text of a JSON object in one line.
field() { sed -n 's/.*"'"$2"'":"\{0,1\}\([^",}]*\).*/\1/p' <<<"$1"; }
latency() { sed -n 's/.*"latency_us":{[^}]*"'"$2"'":\([0-9]*\).*/\1/p' <<<"$1"; }
cost() { field "$1" server_cpu_ns_per_packet | awk '{ printf "%.2f", $1 / 1000 }'; }
median() { sort -g | awk -v digits="$1" '{ v[NR] = $1 } END { printf "%.*f\n", digits, (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2) }'; }
# Something of each run of a server and profile: the file of results, what, and how it is read.
each() { while IFS= read -r line; do "${@:3}" "$line" "$2"; done <"$1"; }
cost_of() { cost "$1"; echo; }

for profile in audio screen; do
    for ((run = 1; run <= runs; run++)); do
        # In turn, so that what else the machine does is on both alike; who is first changes, too.
        if ((run % 2)); then order="anteroom janus"; else order="janus anteroom"; fi
        for server in $order; do measure "$server" "$profile" "$run"; done
    done
done

lines=$'server\tprofile\tinterface\tSRTP\tgenerator CPU\tus/packet (least-most)\tby raw sender\tp50 us\tp99 us\tlost'
ratios=()
for profile in audio screen; do
    for server in anteroom janus; do
        file="$results/$server.$profile"
        first=$(head -n 1 "$file")
        name=$(field "$first" server)
        costs=$(each "$file" - cost_of | sort -g)
        middle=$(median 2 <<<"$costs")
        generator=$(each "$file" generator_cpu field | median 3 | awk '{ printf "%.0f %%", $1 * 100 }')
        lost=$(each "$file" lost field | awk '{ sum += $1 } END { print sum }')
        lines+=$'\n'"${name%% at *}"$'\t'"$profile"$'\t'"veth"$'\t'"$(field "$first" srtp)"
        lines+=$'\t'"$generator"$'\t'"$middle ($(head -n 1 <<<"$costs")-$(tail -n 1 <<<"$costs"))"
        lines+=$'\t'"$(each "$file" ratio_to_floor field | median 2)"
        lines+=$'\t'"$(each "$file" p50 latency | median 0)"$'\t'"$(each "$file" p99 latency | median 0)"$'\t'"$lost"
        if [ "$server" = anteroom ]; then ours=$middle; fi
    done
    ratios+=("$profile: $(awk "BEGIN { printf \"%.2f\", $ours / $middle }")")
done

echo
column -t -s $'\t' <<<"$lines"
echo
echo "Anteroom by Janus, medians of $runs runs of $seconds s with $listeners listeners: $(printf '%s; ' "${ratios[@]}" | sed 's/; $//')"
echo "Janus has $event_loops event loops, Anteroom one media worker; a single one stays on one processor."
echo "Processor time is that of all threads, by the scheduler."
echo "Machine: $(lscpu | sed -n 's/^Model name: *//p'), $(nproc) processors, kernel $(uname -r)"
echo "Load average of the machine before and after: $load_before, $(cut -d' ' -f1 /proc/loadavg)"
echo "Commit: $commit"
