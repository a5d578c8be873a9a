#!/usr/bin/env bash
# Holds the report of a simulation of 50 people (`simulate --json`) against what is asked of it: that nothing was
# violated, as many moves as were asked for, at least 5,000 packets forwarded in a simulated second, and at least 10
# simulated seconds in each second of a processor: it has another run beside it, on a machine that others use as well,
# of which a processor may be a third of one, and its dependencies are not optimized.
#
# usage: tests/report.sh REPORT_FILE MOVES PROCESSOR_SECONDS
set -euo pipefail
report=${1:?"usage: tests/report.sh REPORT_FILE MOVES PROCESSOR_SECONDS"}
asked=${2:?"usage: tests/report.sh REPORT_FILE MOVES PROCESSOR_SECONDS"}
took=${3:?"usage: tests/report.sh REPORT_FILE MOVES PROCESSOR_SECONDS"}
value() {
    sed -nE "s/^.*\"$1\":([a-z0-9.]+)[,}].*$/\1/p" "$report" | grep . || {
        echo "tests/report.sh: the report tells no $1" >&2
        exit 1
    }
}
faults=0
# holds WHAT VALUE CONDITION
holds() {
    awk -v value="$2" "BEGIN { exit !($3) }" || {
        echo "tests/report.sh: $1 is $2, and should be: $3" >&2
        faults=$((faults + 1))
    }
}
ok=$(value ok)
[ "$ok" = true ] || { echo "tests/report.sh: ok is $ok" >&2; faults=1; }
seconds=$(value simulated_seconds)
holds moves "$(value moves)" "value >= $asked"
holds wrong_group_packets "$(value wrong_group_packets)" "value == 0"
holds violations "$(value violations)" "value == 0"
holds participants "$(value participants)" "value == 50"
echo "$seconds simulated seconds took a processor $took s; by the clock it was $(value speedup) times real time"
holds "simulated_seconds in $took s of a processor" "$seconds" "value >= 10 * $took"
holds "forwarded_packets in $seconds simulated seconds" "$(value forwarded_packets)" "value >= 5000 * $seconds"
exit "$((faults > 0))"
