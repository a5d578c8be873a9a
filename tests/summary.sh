#!/usr/bin/env bash
# Prints the summary of a run of the tests from the lines that tests left (tests/support/tally.rs), one a
# finding: class, number, count, unit, verdict. Fails if one failed, or if one is missing that has to run.
#
# usage: tests/summary.sh LINES_FILE
set -euo pipefail
file=${1:?"usage: tests/summary.sh LINES_FILE"}

# What has to be there: a test that was taken away must not go unnoticed. What needs several nodes has no
# number here: A39, F10 to F12 and the storm on the bus between them.
expected() {
    local n name
    for n in $(seq 1 21); do printf 'invariants\tI%d\n' "$n"; done
    for n in $(seq 1 38) 40; do printf 'attacks\tA%d\n' "$n"; done
    for n in $(seq 1 9) $(seq 13 24); do printf 'faults\tF%d\n' "$n"; done
    for name in stun dtls_12 dtls_13 srtp srtcp rtcp_compound one_byte_extensions two_byte_extensions \
        dependency_descriptor vp8 vp9 h264 opus_and_red sdp json ws_frames; do
        printf 'storms\tstorm_%s\n' "$name"
    done
    for name in fuzz/fuzz_targets/*.rs; do printf 'fuzz runs\t%s\n' "$(basename "$name" .rs)"; done
    # As they are declared: Name = "name", "invariant";
    sed -nE 's/^    [A-Za-z]+ = "([a-z-]+)", "I[0-9]+";$/planted bugs\t\1/p' src/base/plant.rs
    for name in 'committed seeds' 'fresh seeds' 'fresh seeds, long runs' 'seed 7' \
        'seeds that failed once' 'seeds that failed once, long runs'; do
        printf 'simulated moves\t%s\n' "$name"
    done
    for name in 'churn 1 worker' 'impaired 2 workers'; do printf 'socket moves\t%s\n' "$name"; done
}

cd "$(dirname "$0")/.."
sorted=$(sort -t$'\t' -k1,1 -k2,2V -k4,4 "$file")
printf '%-16s %-34s %14s  %-22s %s\n' class number count unit verdict
printf '%s\n' "$sorted" | awk -F'\t' '
    function show() { if (key != "") { split(key, k, FS); printf "%-16s %-34s %14d  %-22s %s\n", k[1], k[2], count, k[3], verdict } }
    { now = $1 FS $2 FS $4 }
    now != key { show(); key = now; count = 0; verdict = "ok" }
    { count += $3; if ($5 != "ok") verdict = $5 }
    END { show() }'
echo
printf '%s\n' "$sorted" | awk -F'\t' '
    !($1 FS $2 in seen) { seen[$1 FS $2]; kinds[$1]++ }
    { total[$1] += $3 }
    $5 != "ok" { failed[$1]++ }
    END { for (c in kinds) printf "%s: %d, %d in all, %d failed\n", c, kinds[c], total[c], failed[c] }' | sort

missing=$(comm -23 <(expected | sort -u) <(cut -f1,2 "$file" | sort -u) | tr '\t' ' ')
if [ -n "$missing" ]; then
    printf '\ndid not run, and has to:\n%s\n' "$missing" >&2
    exit 1
fi
# How much has to be done of what has a number in its promise: class, least in all.
few=$(while IFS=: read -r class least; do
    awk -F'\t' -v class="$class" -v least="$least" '
        $1 == class { total += $3 }
        END { if (total < least) printf "%s: %d, and at least %d have to be\n", class, total, least }' "$file"
done <<<$'fuzz runs:10000000\nsimulated moves:50000\nsocket moves:10000')
if [ -n "$few" ]; then
    printf '\ntoo few:\n%s\n' "$few" >&2
    exit 1
fi
# The verdict of all.
awk -F'\t' '$5 != "ok" { failed = 1 } END { exit failed }' "$file"
