#!/usr/bin/env bash
# Passes all tests of the project on a Debian 12 machine with Rust: installs what is missing and says
# so, or fails with what to install. Nothing is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<TEXT
usage: tests/run.sh [--long] [--help]

Runs formatting, lints, all tests (unit, model, protocol, packets, sockets, browsers, simulated meetings,
planted bugs, attacks, faults, bad input), the benches once, the count of instructions and the deploy files'
checks, and prints a table of what was tried and found. Installs Debian packages that are missing (that
needs root).

  --long  plays storms, moves, crashes and the soak at full length: two hours and more
TEXT
}
long=
case "${1:-}" in
    "") ;;
    --long) long=1 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "tests/run.sh: unknown option: $1" >&2; usage >&2; exit 2 ;;
esac

# Each test of a number leaves a line there, of which the summary is made.
ANTEROOM_TALLY=$(mktemp)
export ANTEROOM_TALLY
export ANTEROOM_SOAK_SECONDS=${ANTEROOM_SOAK_SECONDS:-${long:+3600}}
export ANTEROOM_SOAK_SECONDS=${ANTEROOM_SOAK_SECONDS:-120}
export ANTEROOM_FUZZ_RUNS=${ANTEROOM_FUZZ_RUNS:-10000000}
[ -n "$long" ] && export ANTEROOM_LONG=1
trap 'rm -f "$ANTEROOM_TALLY"*' EXIT

started=$(date +%s)
passed=0
step() { printf '\n== %s (at %d s)\n' "$1" "$(($(date +%s) - started))"; }
done_step() { passed=$((passed + 1)); }

step "What the tests need"
missing=()
needs() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
needs cc gcc
needs make make
needs chromium chromium
needs systemd-analyze systemd
needs valgrind valgrind
needs tc iproute2
needs prlimit util-linux
needs faketime faketime
if ((${#missing[@]})); then
    echo "missing Debian packages: ${missing[*]}"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing them with apt-get"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "tests/run.sh: install them first: apt-get install ${missing[*]}" >&2
        exit 1
    fi
fi
command -v cargo >/dev/null 2>&1 || {
    echo "tests/run.sh: cargo is missing: install Rust 1.95 or newer (rustup)" >&2
    exit 1
}
cargo --version
chromium --version
done_step

step "Formatting"
cargo fmt --check
done_step

step "Lints"
cargo clippy --locked --all-targets --all-features --quiet -- -D warnings
# The targets of libFuzzer are no part of the build: that they can be built as they were is what their lock file tells.
cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
done_step

# What failed is in the summary, which tells of all that ran.
failed() {
    echo
    tests/summary.sh "$ANTEROOM_TALLY" || true
    printf '\ntests/run.sh: %s failed\n' "$1" >&2
    exit 1
}

step "Tests"
cargo test --locked --quiet --no-run
cargo test --locked --no-fail-fast || failed "a test"
done_step

step "Simulated meetings, and planted bugs that have to be found in them"
# With the dependencies that are there from the tests. It is nearly as fast as a release, and a sum that does not fit
# ends it.
cargo test --locked --features planted-bugs --config profile.dev.package.anteroom.opt-level=3 --test sim ||
    failed "a simulation"
done_step

step "Twenty-five thousand simulated moves of one seed, and as many of fresh ones"
simulate=(target/debug/anteroom simulate --json)
# One line of moves for the summary: its name, the verdict, and the reports.
tally_moves() {
    local name=$1 verdict=$2 moves
    shift 2
    moves=$(cat "$@" | awk -F'"moves":' '{ moves += $2 } END { print moves + 0 }')
    printf 'simulated moves\t%s\t%d\tmoves\t%s\n' "$name" "$moves" "$verdict" >>"$ANTEROOM_TALLY"
}
# Its speed is held against the processor's time, for it has runs beside it.
(
    TIMEFORMAT='%U %S'
    time "${simulate[@]}" --moves 25000 --seed 7 >"$ANTEROOM_TALLY.seven" 2>&3
) 3>&2 2>"$ANTEROOM_TALLY.took" &
seven=$!
seed=$(date +%s%3N) fresh_verdict=ok
for fresh in "1 --reconnects" "3 --first-words"; do
    read -r workers more <<<"$fresh"
    echo "simulate --moves 12500 --seed $seed --workers $workers $more"
    "${simulate[@]}" --moves 12500 --seed "$seed" --workers "$workers" "$more" \
        >"$ANTEROOM_TALLY.fresh$workers" || fresh_verdict=FAILED
    seed=$((seed + 1))
done
cat "$ANTEROOM_TALLY".fresh[13]
tally_moves 'fresh seeds, long runs' $fresh_verdict "$ANTEROOM_TALLY".fresh[13]
# Seeds that failed once and would take minutes in tests/sim/storms.rs: what uplinks had held up was heard in the next
# room, of somebody whose last check a stuck worker had taken late, and where the queue had emptied in two parts, once
# with a single packet between them; and a new connection was placed while one of two workers had not applied a move.
kept_verdict=ok
for kept in "220 60 1" "558 26 3" "613 61 2" "2044 28 3 --reconnects" "3015 25 2 --reconnects"; do
    read -r seed people workers more <<<"$kept"
    "${simulate[@]}" --first-words --moves 1500 --seed "$seed" --participants "$people" \
        --workers "$workers" ${more:+"$more"} >"$ANTEROOM_TALLY.kept$seed" || kept_verdict=FAILED
done
tally_moves 'seeds that failed once, long runs' $kept_verdict "$ANTEROOM_TALLY".kept*
seven_verdict=ok
wait "$seven" || seven_verdict=FAILED
cat "$ANTEROOM_TALLY.seven"
tests/report.sh "$ANTEROOM_TALLY.seven" 25000 "$(awk '{ print $1 + $2 }' "$ANTEROOM_TALLY.took")" ||
    seven_verdict=FAILED
tally_moves 'seed 7' $seven_verdict "$ANTEROOM_TALLY.seven"
[ $fresh_verdict = ok ] || failed "a simulation of a fresh seed"
[ $kept_verdict = ok ] || failed "a simulation of a seed that failed once"
[ $seven_verdict = ok ] || failed "the simulation of seed 7"
done_step

step "Benches run once"
cargo test --locked --quiet --benches
done_step

step "Documentation builds without a warning"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
done_step

step "Deploy files"
# systemd-analyze also tells of faults by its words alone.
complaints=$(systemd-analyze verify --man=no deploy/anteroom.service 2>&1 | grep -v 'is not executable' || true)
if [ -n "$complaints" ]; then
    echo "$complaints" >&2
    exit 1
fi
done_step

step "The binary, as a user builds it"
# jemalloc takes minutes to build, and the tests have it as optimized: a first release takes theirs, if there is one.
allocator=()
if ! compgen -G "target/release/build/tikv-jemalloc-sys-*/out/lib" >/dev/null; then
    built=$(ls -t target/debug/build/tikv-jemalloc-sys-*/out/lib/libjemalloc_pic.a 2>/dev/null | head -n 1) || true
    [ -z "$built" ] || allocator=(env "JEMALLOC_OVERRIDE=$PWD/$built")
fi
# Code that only other features use is told of here.
warnings=$("${allocator[@]}" cargo build --release --locked --quiet 2>&1) || { echo "$warnings" >&2; exit 1; }
[ -z "$warnings" ] || { echo "$warnings" >&2; exit 1; }
target/release/anteroom check-config deploy/anteroom.toml
# How soon it is ready, and how many moves a second there are when it is killed, is promised of this build.
ANTEROOM_RELEASE=$PWD/target/release/anteroom cargo test --locked --test crash -- --nocapture --test-threads 1 \
    f06_ten_thousand_rooms f06_what_was_acked || failed "a start of the release binary"
done_step

step "Instruction counts within 3 % of the baseline"
"${allocator[@]}" benches/instructions.sh --check
done_step

step "The demo: a whole meeting in which every packet is judged"
target/release/anteroom demo --participants 24 --breakouts 5 --seconds 10 --json
done_step

if [ -n "$long" ]; then
    step "A million simulated moves"
    "${allocator[@]}" cargo run --release --locked --quiet --features sim -- simulate --moves 1000000 --seed 1 --json
    done_step
fi

step "Summary"
tests/summary.sh "$ANTEROOM_TALLY"
done_step

printf '\nall steps done in %d s\n%d passed, 0 failed\n' "$(($(date +%s) - started))" "$passed"
