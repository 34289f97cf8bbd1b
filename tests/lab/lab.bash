# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests on real machines share: the lab, the master's verbs, bounded waits, and what to show when a test fails. Loaded by each.

TOP=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)

lab() {
	"$TOP/scripts/ssi-lab" "$@" </dev/null
}

master() {
	lab exec master "$@"
}

ssi() {
	master ssi "$@"
}

# A command in a node's shell.
node_sh() { # NODE SCRIPT
	ssi exec --no-prefix "$1" -- sh -c "$2"
}

# Ask again until a command succeeds, for so many seconds.
await() { # SECONDS COMMAND...
	local end=$((SECONDS + $1)) seconds=$1
	shift
	until "$@"; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "within $seconds s never: $*"
			return 1
		fi
		sleep 0.5
	done
}

field() { # NODE FIELD
	ssi node list "$1" -o json | jq -r ".[0].$2"
}

in_state() { # RANGE STATE
	ssi node list "$1" -o json | jq -e --arg state "$2" 'length > 0 and all(.state == $state)' >/dev/null
}

# They are joined now, not only by what a daemon that has just started remembers: each runs a command.
answer() { # RANGE
	ssi exec "$1" -- true >/dev/null 2>&1
}

# A new incarnation of a node has joined.
joined_after() { # NODE INCARNATION
	ssi node list "$1" -o json | jq -e --argjson old "$2" '.[0] | .state == "joined" and .incarnation > $old' >/dev/null
}

# Whatever the test before has left: the first three machines on, their nodes joined.
all_up() {
	lab power on m01 m02 m03
	await 300 in_state 'n[01-03]' joined
	await 60 answer 'n[01-03]'
}

# Whatever the file before has left: every machine off, and no node that may still run on one.
all_off() {
	lab power cut m01 m02 m03 m04 m05
	local node
	ssi node detach 'n[01-06]'
	# Those whose fence waits for somebody's word that the cord was pulled.
	for node in n01 n02 n03; do ssi node fence $node --confirm 2>/dev/null || true; done
	ssi node accept 'n[01-06]'
	await 60 in_state 'n[01-06]' off
}

# The number of the newest event: what comes after it is this test's.
last_event() {
	master ssi-bootsvc events -n 1 -o json | jq -s '[.[] | if type == "array" then .[] else . end | .id] | max // 0'
}

# The events after one, a JSON object each.
events_since() { # ID
	master ssi-bootsvc events --since "$1" -o json | jq -c 'if type == "array" then .[] else . end'
}

has_event() { # ID KIND NODE [TEXT]
	events_since "$1" | jq -se --arg kind "$2" --arg node "$3" --arg text "${4:-}" \
		'any(.kind == $kind and ($node == "" or .node == $node) and (.text | test($text)))' >/dev/null
}

has_event_text() { # ID PATTERN
	events_since "$1" | jq -se --arg text "$2" 'any(.text | test($text))' >/dev/null
}

# A node's boot: the same as long as the kernel runs.
boot_id() { # NODE
	node_sh "$1" 'cat /proc/sys/kernel/random/boot_id'
}

# What a console said since it was so many bytes long.
console_size() { # MACHINE
	lab log "$1" | wc -c
}

console_says() { # MACHINE SIZE PATTERN
	lab log "$1" | tail -c "+$(($2 + 1))" | tr -d '\r' | grep -aqE "$3"
}

daemon_answers() {
	master ssi-bootsvc status >/dev/null 2>&1
}

daemon_kill() {
	master systemctl kill -s KILL --kill-who=main ssi-bootsvc
}

# Where a test failed: what the master and the consoles say.
show_trouble() {
	[ -z "${BATS_TEST_COMPLETED:-}" ] || return 0
	echo "--- nodes, events, the daemon's log"
	timeout 20 "$TOP/scripts/ssi-lab" exec master sh -c \
		'ssi node list; ssi-bootsvc events -n 25; journalctl -q --no-pager -u ssi-bootsvc -p 5 -n 10; dmesg | tail -n 3' </dev/null 2>&1 || true
	local machine
	for machine in master m01 m02 m03 m04 m05 m06; do
		[ "$(lab log "$machine" 2>/dev/null | wc -l)" -gt 10 ] || continue
		echo "--- the end of the console of $machine"
		lab log "$machine" | tr -d '\r' | tail -n 10 | cut -c 1-160
	done
}

suite_up() { # OPTIONS...
	if ! lab up "$@" >&3 2>&1; then
		return 1
	fi
}

suite_down() {
	local machine
	if [ -n "${SSI_LAB_LOGS:-}" ]; then
		for machine in master m01 m02 m03 m04 m05 m06; do
			lab log "$machine" >"$SSI_LAB_LOGS/console-$SSI_LAB-$machine.log" 2>/dev/null || rm -f "$SSI_LAB_LOGS/console-$SSI_LAB-$machine.log"
		done
		timeout 20 "$TOP/scripts/ssi-lab" exec master sh -c 'journalctl --no-pager; ssi-bootsvc events --since 0' \
			</dev/null >"$SSI_LAB_LOGS/journal-$SSI_LAB.log" 2>&1 || true
	fi
	[ -n "${SSI_LAB_KEEP:-}" ] || lab down 2>/dev/null || true
}
