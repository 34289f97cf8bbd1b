#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What comes to a running node and goes from it counts in the whole system; what an administrator decides about a node holds.

load ../lab.bash

setup() {
	all_up
	SINCE=$(last_event)
}

teardown() {
	show_trouble
}

# A number of the system's totals.
total() { # KEY
	ssi status -o json | jq ".systems[0].$1"
}

total_is() { # KEY NUMBER
	[ "$(total "$1")" -eq "$2" ]
}

memory_near() { # BYTES
	local is
	is=$(total memory)
	[ $((is - $1)) -lt 33554432 ] && [ $(($1 - is)) -lt 33554432 ]
}

# What another node was told.
told() { # NODE LINE
	node_sh "$1" 'cat /run/ssi/view' | grep -qx "$2"
}

hotplug_said() { # NODE TEXT
	await 15 has_event "$SINCE" hotplug "$1" "$2"
}

# From before the command that plugs it in (half a second by itself) to the master's event, on the master's clock. The bound leaves room for an
# emulated processor that takes half a second to start on a host with nothing else to do; what it took is printed.
within_bound() { # NODE TEXT BEGAN
	local at
	hotplug_said "$1" "$2"
	at=$(events_since "$SINCE" | jq -s --arg node "$1" --arg text "$2" '[.[] | select(.kind == "hotplug" and .node == $node and (.text | test($text)))] | last | .time')
	echo "# $1: $2: known $((at - $3)) ms after it was asked for" >&3
	[ $((at - $3)) -lt 5000 ]
}

now() {
	master date +%s%3N
}

plugged() { # MACHINE NODE OTHER-NODE
	local cpus memory nics began
	cpus=$(total cpus) memory=$(total memory) nics=$(total nics)
	began=$(now)
	[ "$(lab device add "$1" cpu)" = cpu1 ]
	within_bound "$2" 'processors 1 to 2' "$began"
	total_is cpus $((cpus + 1))
	began=$(now)
	[ "$(lab device add "$1" memory 256)" = memory1 ]
	within_bound "$2" 'memory .* to ' "$began"
	await 5 memory_near $((memory + 256 * 1048576))
	began=$(now)
	[ "$(lab device add "$1" nic)" = nic1 ]
	within_bound "$2" 'NIC .*virtio_net.* added' "$began"
	total_is nics $((nics + 1))
	[ "$(ssi node show "$2" -o json | jq '.[0].inventory.nics | length')" = 2 ]
	# Everyone knows it, not the master alone.
	await 5 told "$3" "cpus $((cpus + 1))"
	await 5 told "$3" "nics $((nics + 1))"
	# And out again. The processor last: QEMU under TCG does not outlive much after that.
	lab device rm "$1" nic
	hotplug_said "$2" 'NIC .*virtio_net.* removed'
	lab device rm "$1" memory
	await 10 memory_near "$memory"
	lab device rm "$1" cpu
	hotplug_said "$2" 'processors 2 to 1'
	total_is cpus "$cpus"
	total_is nics "$nics"
	# It went on all the time.
	run has_event "$SINCE" detach "$2"
	[ "$status" -ne 0 ]
	run has_event "$SINCE" join "$2"
	[ "$status" -ne 0 ]
	lab power cut "$1"
}

@test "a processor, memory and a network card of a running machine, BIOS: in the totals of all, and out" {
	plugged m01 n01 n03
}

@test "a processor, memory and a network card of a running machine, UEFI: in the totals of all, and out" {
	plugged m02 n02 n03
}

@test "a card whose driver is not loaded: it is, by its modalias" {
	node_sh n01 '! grep -q ^e1000e /proc/modules'
	lab device add m01 nic e1000e
	await 15 has_event "$SINCE" hotplug n01 'NIC .*e1000e.* added'
}

@test "drained: joined, marked in the view, over a restart of the daemon and a boot, until accepted" {
	local before
	before=$(field n03 incarnation)
	ssi node drain n03
	await 5 eval "node_sh n01 'cat /run/ssi/view' | grep -q '^member n03 .* drained$'"
	master systemctl restart ssi-bootsvc
	await 30 daemon_answers
	await 30 in_state n03 joined
	ssi node reboot n03
	await 300 joined_after n03 "$before"
	[ "$(field n03 hold)" = drained ]
	ssi node accept n03
	await 5 eval "node_sh n01 'cat /run/ssi/view' | grep -q '^member n03 [^a-z]*joined [^a-z]*$'"
}

@test "detached by hand: out at once, its machine waits, and boots when it is accepted" {
	local before cpus size
	before=$(field n03 incarnation) cpus=$(total cpus) size=$(console_size m03)
	ssi node detach n03
	in_state n03 detached
	total_is cpus $((cpus - 1))
	await 120 console_says m03 "$size" 'ssi: n03 is detached'
	in_state n03 detached
	ssi node accept n03
	await 300 joined_after n03 "$before"
	total_is cpus "$cpus"
}
