#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Long runs (scripts/check --long): no boot that has to be tried twice, no node detached for nothing.

load ../lab.bash
teardown() { show_trouble; }

@test "twenty times all machines lose their power and join again at the first try" {
	local round before after
	ssi node power 'n[01-04]' on
	await 300 in_state 'n[01-04]' joined
	for round in {1..20}; do
		before=$(ssi node list -o json | jq 'map(.incarnation) | add')
		lab power cut m01 m02 m03 m04
		await 15 in_state 'n[01-04]' detached
		ssi node power 'n[01-04]' on
		await 300 in_state 'n[01-04]' joined
		after=$(ssi node list -o json | jq 'map(.incarnation) | add')
		echo "round $round: incarnations $before, then $after"
		[ "$after" = $((before + 4)) ]
	done
}

@test "an hour under load without one false detach" {
	local since node end
	ssi node power 'n[01-04]' on
	await 300 in_state 'n[01-04]' joined
	end=$((SECONDS + 3600))
	since=$(last_event)
	ssi exec 'n[01-04]' -- sh -c 'for i in 1 2 3 4; do (timeout 4000 sh -c "while :; do :; done" >/dev/null 2>&1 &) ; done'
	while [ "$SECONDS" -lt "$end" ]; do
		in_state 'n[01-04]' joined
		sleep 30
	done
	for node in n01 n02 n03 n04; do
		[ "$(node_sh "$node" 'cut -d . -f 1 /proc/loadavg')" -ge 4 ]
	done
	run has_event "$since" detach ''
	[ "$status" -ne 0 ]
}
