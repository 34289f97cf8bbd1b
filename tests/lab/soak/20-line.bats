#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Bad lines (scripts/check --long): packets are lost and late in both directions, and nobody is thrown out for it.

load ../lab.bash

teardown() {
	show_trouble
	impair 0 0
}

impair() { # LOSS DELAY
	local machine
	for machine in m01 m02 m03 m04 master; do
		lab link impair "$machine" "$1" "$2"
	done
}

nobody_detached() { # SECONDS
	local since end=$((SECONDS + $1))
	since=$(last_event)
	while [ "$SECONDS" -lt "$end" ]; do
		sleep 15
		run has_event "$since" detach ''
		[ "$status" -ne 0 ]
	done
	echo "# suspected for a moment: $(events_since "$since" | jq -s '[.[] | select(.kind == "suspect")] | length') times in $1 s" >&3
}

@test "5 % loss and 50 ms delay for ten minutes: no false alarm" {
	ssi node power 'n[01-04]' on
	await 300 in_state 'n[01-04]' joined
	impair 5 50
	nobody_detached 600
}

@test "20 % loss for two minutes: nobody is thrown out" {
	await 300 in_state 'n[01-04]' joined
	impair 20 0
	nobody_detached 120
}
