#!/usr/bin/env bash
# Counts the instructions of benches/instructions.rs under callgrind. Instructions do not move with the
# machine or with what else it does, so a small limit tells.
set -euo pipefail
cd "$(dirname "$0")/.."

baseline=benches/instructions.txt
limit=3

usage() {
    cat <<TEXT
usage: benches/instructions.sh --check | --write | --help

  --check  compares with $baseline; fails where a case takes over $limit % more. Under another
           compiler than the baseline's the counts are only shown
  --write  writes $baseline anew, for a commit of its own that says why

VALGRIND_OUT=DIR keeps callgrind's files there, for callgrind_annotate and kcachegrind.
TEXT
}
case "${1:-}" in
    --check | --write) mode=$1 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac

die() { echo "benches/instructions.sh: $*" >&2; exit 1; }
valgrind=$(command -v valgrind) || die "valgrind is missing: apt-get install valgrind"
[ "$(uname -m)" = x86_64 ] || die "the baseline is of x86_64, this is $(uname -m)"

compiler=$(rustc --version)
if [ "$mode" = --check ]; then
    [ -f "$baseline" ] || die "there is no $baseline: write it with --write"
    known=$(sed -n 's/^# compiler: //p' "$baseline")
    if [ "$compiler" != "$known" ]; then
        # Another compiler makes other instructions: a user's newer one is no fault of the code.
        mode=show
        echo "The baseline was counted with $known, this is $compiler: shown beside it, not held to it."
    fi
fi

# The library as a user builds it. rustc alone makes the rest of it: `cargo bench` would build what only
# the tests need, another WebRTC stack among them, which takes several times as long.
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked --quiet --lib
program=$target/release/instructions
rustc --edition 2024 -C opt-level=3 -C debuginfo=line-tables-only --crate-name instructions \
    --extern "anteroom=$target/release/libanteroom.rlib" -L "dependency=$target/release/deps" \
    -o "$program" benches/instructions.rs

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=${VALGRIND_OUT:-$work}
mkdir -p "$out"

# Writes the instructions of one case into a file of its name.
count() {
    # Nothing of the caller's environment: it lies on the stack and moves what is there.
    env -i LC_ALL=C "$valgrind" --quiet --tool=callgrind --toggle-collect='*counted_from_here*' \
        --callgrind-out-file="$out/$1.callgrind" "$program" "$1" >"$work/$1.log" 2>&1 ||
        { cat "$work/$1.log" >&2; return 1; }
    sed -n 's/^summary: //p' "$out/$1.callgrind" >"$work/$1"
    [ "$(cat "$work/$1")" -gt 0 ] || { echo "nothing was counted of $1" >&2; return 1; }
}
cases=$("$program")
jobs=$(nproc)
for case in $cases; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    count "$case" &
done
wait
for case in $cases; do [ -s "$work/$case" ] || die "$case was not counted"; done

{
    echo "# Instructions of each case of benches/instructions.rs; written by benches/instructions.sh --write."
    echo "# compiler: $compiler"
    for case in $cases; do echo "$case $(cat "$work/$case")"; done
} >"$work/now"

if [ -f "$baseline" ]; then cp "$baseline" "$work/before"; else : >"$work/before"; fi
awk -v limit="$limit" '
    BEGIN { printf "%-22s %12s %12s %10s\n", "case", "baseline", "now", "change" }
    /^#/ { next }
    FILENAME == ARGV[1] { before[$1] = $2; next }
    {
        seen[$1] = 1
        if (!($1 in before)) { printf "%-22s %12s %12d   new\n", $1, "-", $2; odd = 1; next }
        change = 100 * ($2 - before[$1]) / before[$1]
        word = change > limit ? "  TOO MUCH" : change < -limit ? "  less" : ""
        if (change > limit) bad = 1
        printf "%-22s %12d %12d %+8.2f %%%s\n", $1, before[$1], $2, change, word
    }
    END {
        for (name in before) if (!(name in seen)) { printf "%-22s %12d %12s   gone\n", name, before[name], "-"; odd = 1 }
        exit bad ? 1 : odd ? 3 : 0
    }' "$work/before" "$work/now" && result=0 || result=$?

[ "$mode" != show ] || exit 0
if [ "$mode" = --write ]; then
    cp "$work/now" "$baseline"
    echo "written to $baseline"
    exit 0
fi
case $result in
    0) echo "all within $limit % of the baseline, or less" ;;
    3) die "the cases are not those of the baseline: write it anew with --write, and say why" ;;
    *) die "over $limit % more than the baseline. Find out where with VALGRIND_OUT and callgrind_annotate;
if it is worth it, write the baseline anew with --write in a commit of its own that says why" ;;
esac
