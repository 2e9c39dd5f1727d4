#!/usr/bin/env bash
# Runs six emulated boards and four `kadlet node` processes in one DHT, on a private network. Then it kills and restarts
# a board, and floods two with invalid frames. Prints each check and a table of figures. Exits non-zero if a check
# fails. Needs root; see README.md.
set -euo pipefail

bound=175
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
images=$target/firmware/thumbv7m-none-eabi/release
kadlet=$target/release/kadlet

main() {
    check_tools
    "$here/build"
    cargo build --quiet --locked --release --manifest-path "$root/Cargo.toml" --target-dir "$target" -p kadlet-cli
    work=$(mktemp -d)
    export work
    trap 'rm -rf "$work"' EXIT
    # unshare ignores SIGTERM. When it is killed, all boards and nodes end with it.
    local status=0
    timeout --signal=KILL "$bound" unshare --net --pid --mount-proc --fork --kill-child "$0" --inside || status=$?
    ((status != 137)) || echo "FAILED: not finished within $bound seconds" >&2
    # Keeps the output of the boards and nodes, to find out why a check failed.
    [[ -z ${KEEP:-} ]] || cp -r "$work" "$KEEP"
    exit "$status"
}

# Checks that all tools are there. Otherwise prints what is missing and how to install it.
check_tools() {
    local packages=() pair sysroot
    for pair in qemu-system-arm:qemu-system-arm arm-none-eabi-ld:binutils-arm-none-eabi /usr/bin/rustc:rustc-web \
        ip:iproute2 unshare:util-linux sysctl:procps python3:python3; do
        type -P "${pair%:*}" >/dev/null || packages+=("${pair#*:}")
    done
    sysroot=$(/usr/bin/rustc --print sysroot 2>/dev/null) || true
    [[ -d $sysroot/lib/rustlib/src/rust/library/core ]] || packages+=(rust-web-src)
    if ((${#packages[@]})); then
        echo "missing packages; install them with:" >&2
        echo "  apt-get update && apt-get install --no-install-recommends ${packages[*]}" >&2
        exit 2
    fi
    type -P cargo >/dev/null || { echo "missing: cargo; install it with rustup, https://rustup.rs" >&2; exit 2; }
    ((EUID == 0)) || { echo "the private network needs root: run this as root" >&2; exit 2; }
    [[ -c /dev/net/tun ]] || { echo "missing: /dev/net/tun; load it with: modprobe tun" >&2; exit 2; }
}

# For each board: its image and its process. For each board with recursive lookups: the name of a value that it holds no
# copy of.
declare -A image pid far
failed=0

inside() {
    ip link set lo up
    sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.arp_announce=2 net.ipv6.conf.all.disable_ipv6=1
    # 10.77.0.1 to .4 are the host's nodes. The commands send from 10.77.0.9.
    for n in 1 2 3 4 9; do ip addr add "10.77.0.$n/32" dev lo; done
    image=(
        [11]=bare-lm3s6965evb [12]=bare-mps2-an385 [13]=embassy-lm3s6965evb
        [14]=embassy-mps2-an385 [15]=bare-signed-lm3s6965evb [16]=embassy-mps2-an385
    )
    boards=(11 12 13 14 15 16)

    local bootstrap=()
    for n in 1 2 3 4; do
        : >"$work/node-$n"
        "$kadlet" node --listen "10.77.0.$n:4000" "${bootstrap[@]}" >"$work/node-$n" 2>&1 &
        bootstrap=(--bootstrap 10.77.0.1:4000)
        await "$work/node-$n" '^listening' 5
    done
    for n in 12 14; do far[$n]=$(far_name "$n"); done
    for n in "${boards[@]}"; do
        ip tuntap add dev "t$n" mode tap
        ip addr add "10.77.$n.1/24" dev "t$n"
        ip link set "t$n" up
        board "$n" 0
    done

    for n in "${boards[@]}"; do check "board $n joins" await "$work/board-$n" '^joined ' 20; done
    check "the host puts a value" put hello "world from the host"
    for n in "${boards[@]}"; do
        check "board $n reads the host's value" await "$work/board-$n" '^got hello = world from the host' 25
        check "board $n reads the next board's value" await "$work/board-$n" "^got board-$(next "$n") = board-" 25
    done
    for n in "${boards[@]}"; do
        check "the host reads the value of board $n" reads "board-$n" "^board-$n boot 0 sample "
    done

    for n in 12 14; do
        check "the host puts a value far from board $n" put "${far[$n]}" "far from $n"
        check ".. board $n reads it by a recursive lookup" \
            await "$work/board-$n" "^got ${far[$n]} = far from $n from .*, relayed" 25
    done

    for salt in one two three four; do put_signed "$salt" || true; done
    check "the host reads a signed value" eval '[[ $(kadlet get --public-key "$key" --salt two) == "signed two" ]]'

    kill -9 "${pid[11]}"
    check "board 11 is killed: the host still reads its value" reads board-11 '^board-11 boot 0 sample '
    for node in 10.77.0.4 10.77.14.2; do
        check ".. and reads it through $node too" reads board-11 '^board-11 boot 0 sample ' "$node:4000"
    done

    board 11 1
    check "board 11 is restarted: it joins" await "$work/board-11" '^joined ' 20
    check ".. and publishes again" await "$work/board-11" '^published board-11 sample ' 20
    check ".. the host reads the new value" reads board-11 '^board-11 boot 1 sample '

    for n in 12 13; do
        check "board $n is flooded with invalid frames" flood "$n"
        check ".. it still responds to a ping" kadlet_ping "10.77.$n.2:4000"
        before=$(grep -c "^got hello" "$work/board-$n")
        check ".. it still reads values" await_more "$work/board-$n" '^got hello' "$before" 25
        check ".. the host reads a value through it" reads hello '^world from the host' "10.77.$n.2:4000"
    done

    # From here on the sensors have stopped: the difference between two reports of a board's counters is the cost of an
    # idle board.
    quiet
    table
    ! grep -h 'panicked' "$work"/board-* || failed=1
    exit "$failed"
}

# Starts board `$1`, whose boot counter is `$2`.
board() {
    local n=$1 kind=${image[$1]} model=stellaris machine=lm3s6965evb arguments
    [[ $kind != *mps2* ]] || { model=lan9118 machine=mps2-an385; }
    : >"$work/board-$n"
    arguments="boot=$2 bootstrap=10.77.0.1:4000,10.77.0.2:4000 every=5 quiet=$((85 - SECONDS))"
    arguments+=" get=hello,board-$(next "$n")${far[$n]:+,${far[$n]} lookup=recursive}"
    qemu-system-arm -M "$machine" -kernel "$images/$kind" -display none -serial none -monitor none \
        -semihosting-config enable=on,target=native -append "$arguments" \
        -nic "tap,ifname=t$n,script=no,downscript=no,model=$model,mac=$(mac "$n")" \
        </dev/null >"$work/board-$n" 2>"$work/board-$n.err" &
    pid[$n]=$!
    disown
}

mac() { printf '02:00:00:00:01:%02x' "$1"; }
next() { echo $((($1 - 10) % 6 + 11)); }

# Finds a name whose key is farther from board `$1` than from all other nodes. Eight of the ten nodes hold the value, so
# this board must get it from others.
far_name() {
    local macs ids
    macs=$(for n in "$1" "${boards[@]}"; do mac "$n"; echo; done)
    ids=$(grep -ohP '^listening.* id \K\w+' "$work"/node-*)
    python3 - "$macs" "$ids" <<'PYTHON'
import hashlib, itertools, sys
def hashed(*parts):
    return int.from_bytes(hashlib.sha256(b"".join(parts)).digest()[:20], "big")
macs = (bytes.fromhex(mac.replace(":", "")) for mac in sys.argv[1].split())
own, *boards = (hashed(b"kadlet board id", mac) for mac in macs)
nodes = [*boards, *(int(text, 16) for text in sys.argv[2].split())]
names = (f"far-{n}" for n in itertools.count())
print(next(name for name in names if max(nodes, key=lambda node: node ^ hashed(b"\0", name.encode())) == own))
PYTHON
}

# Waits up to `$3` seconds until file `$1` has a line that matches `$2`.
await() {
    local since=$SECONDS
    until grep -qE "$2" "$1"; do
        ((SECONDS - since < $3)) || return 1
        sleep 0.1
    done
}

# Waits up to `$4` seconds until file `$1` has more than `$3` lines that match `$2`.
await_more() {
    local since=$SECONDS
    until (($(grep -cE "$2" "$1") > $3)); do
        ((SECONDS - since < $4)) || return 1
        sleep 0.1
    done
}

# Prints whether the command after `$1`, the text, succeeds.
check() {
    local what=$1
    shift
    if "$@"; then
        printf '%4d s  ok      %s\n' "$SECONDS" "$what"
    else
        printf '%4d s  FAILED  %s\n' "$SECONDS" "$what"
        failed=1
    fi
}

kadlet() {
    local command=$1
    shift
    timeout 25 "$kadlet" "$command" "$@" --bootstrap "${through:-10.77.0.2:4000}" --listen 10.77.0.9:0
}

kadlet_ping() { timeout 25 "$kadlet" ping "$1" --listen 10.77.0.9:0 >/dev/null; }
# Puts the value `$2` under the name `$1`.
put() { kadlet put "$1" "$2" >"$work/put" 2>&1 || { cat "$work/put"; return 1; }; }
# Gets the value of the name `$1`, through the node at `$3` if given, and checks that it matches `$2`.
reads() {
    through=${3:-} kadlet get "$1" 2>"$work/error" | grep -qE "$2" || { cat "$work/error"; return 1; }
}

put_signed() {
    [[ -e $work/key ]] || "$kadlet" keygen "$work/key" >"$work/public"
    key=$(grep -oE '[0-9a-f]{64}' "$work/public" | head -n 1)
    kadlet put "signed $1" --sign "$work/key" --salt "$1" >/dev/null 2>&1
}

# Sends board `$1` 12,000 frames of every kind and length and datagrams of random bytes, as fast as the host can.
flood() {
    python3 - "$1" "$(mac "$1")" "$(ip -o link show "t$1" | grep -oP 'link/ether \K\S+')" <<'PYTHON'
import random, socket, struct, sys, time
n, mac, own = int(sys.argv[1]), *(bytes.fromhex(text.replace(":", "")) for text in sys.argv[2:4])
random.seed(n)
frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
frames.bind((f"t{n}", 0))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("10.77.0.9", 0))
def ip(length):
    """An IPv4 header that claims `length` bytes. What the caller sends after it has another length."""
    addresses = bytes([10, 77, 0, 9, 10, 77, n, 2])
    header = struct.pack("!BBHHHBBH8s", 0x45, 0, length, 0, 0, 64, 17, 0, addresses)
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack("!H", 0xFFFF ^ ((total & 0xFFFF) + (total >> 16))) + header[12:]
for k in range(12_000):
    to = random.choice([mac, mac, b"\xff" * 6])
    kind = k % 4
    if kind == 0:
        datagrams.sendto(random.randbytes(random.randrange(0, 1_400)), (f"10.77.{n}.2", 4000))
    elif kind == 1:
        ethertype = random.choice([b"\x08\x00", b"\x08\x06", random.randbytes(2)])
        frames.send(to + own + ethertype + random.randbytes(random.randrange(0, 1_500)))
    elif kind == 2:
        packet = ip(random.randrange(20, 1_500)) + random.randbytes(random.randrange(0, 60))
        frames.send(to + own + b"\x08\x00" + packet[:random.randrange(0, 80)])
    else:
        datagrams.sendto(bytes([1, 1, 0, 0]) + random.randbytes(random.randrange(0, 200)), (f"10.77.{n}.2", 4000))
    if k % 64 == 0:
        time.sleep(0.001)
PYTHON
}

# Saves two reports of each board while it is idle: the last one before second 92, and the last one 30 seconds later.
quiet() {
    echo "the boards are idle"
    while ((SECONDS < 92)); do sleep 0.2; done
    for n in "${boards[@]}"; do grep '^counts' "$work/board-$n" | tail -n 1 >"$work/from-$n"; done
    sleep 30
    for n in "${boards[@]}"; do grep '^counts' "$work/board-$n" | tail -n 1 >"$work/to-$n"; done
}

table() {
    printf '\n%-24s %8s %8s %8s   %s\n' image flash bss stack \
        'idle, per minute: datagrams, bytes, wake-ups (of these, only for the clock)'
    for n in "${boards[@]}"; do
        size=$(arm-none-eabi-size "$images/${image[$n]}" | awk 'NR == 2 { print $1 + $2, $2 + $3 }')
        cat "$work/from-$n" "$work/to-$n" | awk -v size="$size" -v image="${image[$n]}" -v n="$n" '
            NR == 1 { for (i = 1; i <= NF; i++) was[i] = $i; next }
            { minutes = ($3 - was[3]) / 60; split(size, s); per = minutes > 0 ? minutes : 1
              datagrams = $9 + $12 - was[9] - was[12]; bytes = $10 + $13 - was[10] - was[13]
              printf "%-24s %8d %8d %8d   board %d: %.0f, %.0f, %.0f (%.0f)\n", image, s[1], s[2], $17, n,
                  datagrams / per, bytes / per, ($5 - was[5]) / per, ($7 - was[7]) / per
              most = image ~ /signed|embassy/ ? 16384 : 8192
              if (minutes <= 0) { print "FAILED  board " n ": no two reports"; exit 1 }
              if ($17 > most) { print "FAILED  board " n ": more stack than " most " bytes"; exit 1 } }' || failed=1
    done
    echo "RAM, stack and instructions of the core alone:"
    timeout 20 qemu-system-arm -M mps2-an385 -kernel "$images/cost" -icount shift=6 \
        -display none -serial none -monitor none -semihosting-config enable=on,target=native </dev/null | sed 's/^/  /'
}

if [[ ${1:-} == --inside ]]; then inside; else main; fi
