#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A node dies, or seems to: the others do not notice, and it comes back as a new incarnation.

load ../lab.bash
setup() { all_up; }
teardown() { show_trouble; }

@test "a node whose power is cut is detached 3 s later, and the others are undisturbed" {
	local since cut detached node kind
	since=$(last_event)
	cut=${EPOCHREALTIME/./}
	lab power cut m02
	await 15 in_state n02 detached
	detached=$((${EPOCHREALTIME/./} - cut))
	echo "detached after $((detached / 1000)) ms"
	[ "$detached" -ge 2000000 ]
	[ "$detached" -le 5500000 ]
	in_state n01 joined
	in_state n03 joined
	for node in n01 n03; do
		for kind in detach arm boot join; do
			run has_event "$since" "$kind" "$node"
			[ "$status" -ne 0 ]
		done
	done
	[ "$(ssi status -o json | jq '.systems[0].joined')" = 2 ]
}

@test "powered on again it joins with the next incarnation" {
	local before
	lab power cut m02
	await 15 in_state n02 detached
	before=$(field n02 incarnation)
	ssi node power n02 on
	await 300 joined_after n02 "$before"
	[ "$(field n02 incarnation)" = $((before + 1)) ]
	[ "$(ssi status -o json | jq '.systems[0].joined')" = 3 ]
}

@test "a node that was frozen and wakes up is told that its incarnation is over, and boots again" {
	local before
	before=$(field n03 incarnation)
	lab power freeze m03
	await 15 in_state n03 detached
	lab power thaw m03
	await 300 joined_after n03 "$before"
}
