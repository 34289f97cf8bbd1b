#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Who is silent for three seconds is out, be it for the master's own link; who only seemed to be is not: an agent that was stopped, a clock that jumps.

load ../lab.bash

setup() {
	all_up
	SINCE=$(last_event)
}

teardown() {
	show_trouble
	lab link up master
}

incarnations() {
	ssi node list 'n[01-03]' -o json | jq -c 'map(.incarnation)'
}

nobody_detached() {
	run has_event "$SINCE" detach ''
	[ "$status" -ne 0 ]
}

@test "the master's link down for 10 s: all are detached, all are back after" {
	local before
	before=$(field n01 incarnation)
	lab link down master
	await 8 in_state 'n[01-03]' detached
	sleep 3
	lab link up master
	await 300 in_state 'n[01-03]' joined
	joined_after n01 "$before"
}

@test "an agent that is stopped for 2.5 s, and a clock that jumps by an hour: nobody is detached" {
	local before
	before=$(incarnations)
	# shellcheck disable=SC2016 # for the shell over there
	node_sh n01 'pid=$(pidof ssi-agent || pgrep -x ssi-agent); (kill -STOP $pid; sleep 2.5; kill -CONT $pid) >/dev/null 2>&1 </dev/null &'
	await 10 has_event "$SINCE" suspect n01  # so it was stopped
	node_sh n02 'date -s "+1 hour" >/dev/null; sleep 4; date -s "-2 hours" >/dev/null'
	sleep 4
	await 15 in_state 'n[01-03]' joined
	nobody_detached
	[ "$(incarnations)" = "$before" ]
}
