#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The leader dies while programs of its people run on nodes. Last, as it takes long and leaves people without their /home.

load ../lab.bash
load people.bash

setup_file() { people_up; }

teardown() { show_trouble; }

runs() { # COUNT
	[ "$(ssi jobs -o json | jq -c '[.[] | select(.state == "running")] | length')" = "$1" ]
}

ended() { # PID STATUS
	[ "$(ssi job show "$1" -o json | jq -c '[.cause, .status]')" = "[\"exited\",$2]" ]
}

@test "the leader loses its power and comes back: jobs ran on, have their deputies with the same pids, and their records" {
	local stays ends file
	[ "$(master cat /proc/sys/kernel/pid_max)" = 1048576 ]
	ann "cd /; (ssi run -n n01 sh -c 'trap \"echo caught; exit 3\" TERM; echo begun; sleep 100000 & wait' >/dev/null 2>&1 &)"
	ann "cd /; (ssi run -n n02 sh -c 'sleep 40; echo done; exit 7' >/dev/null 2>&1 &)"
	await 60 runs 2
	stays=$(ssi jobs -o json | jq '.[] | select(.node == "n01") | .pid')
	ends=$(ssi jobs -o json | jq '.[] | select(.node == "n02") | .pid')
	sleep 12                                 # the store has been on the disk since (doc/pids.md)
	lab power cut master
	lab power on master
	await 300 daemon_answers
	await 120 in_state "$ALL" joined
	await 60 answer "$ALL"
	# One waited with its record, under the number that it had.
	await 60 ended "$ends" 7
	file=$(ssi job show "$ends" -o json | jq -r .stdout)
	[ "$(master cat "$file")" = "done" ]
	# The other one runs, and can be told to end.
	await 60 runs 1
	[ "$(ssi jobs -o json | jq '.[0].pid')" = "$stays" ]
	[ "$(master cat "/proc/$stays/comm")" = ssi-deputy ]
	[ "$(master stat -c %u "/proc/$stays")" = 2001 ]
	master kill "$stays"
	await 60 ended "$stays" 3
	file=$(ssi job show "$stays" -o json | jq -r .stdout)
	[ "$(master tail -n 1 "$file")" = caught ]
	run master sh -c "test -e /proc/$stays"
	[ "$status" -ne 0 ]
}
