#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon is killed at each step of a failover, one failover for each (scripts/check --long): the one that is started after it finishes it.
# tests/bats/failover.bats does the same in seconds, without machines.

load ../lab.bash
load ../failover.bash

CONF=/etc/ssi/nodes.d/80-crash.ini
M02=52:54:00:00:00:02 M05=52:54:00:00:00:05

setup_file() {
	master sh -c "cat >$CONF <<-END
		[system lab]
		spares = $M02, $M05
		failover = auto
		failover_limit = 100 in 1h
		[node n02]
		state = disk
		state_size = 512M
		machine =
		$(power_section $M05 6235)
		END
		ssi-bootsvc reload"
	lab power cut m02
	ssi node power n02 off
	ssi node power 'n[01-04]' on
	await 300 in_state 'n[01-04]' joined
}

teardown_file() {
	master sh -c "rm -f $CONF; ssi-bootsvc reload"
}

teardown() { show_trouble; }

@test "killed at each of its steps, every failover is finished: on the spare, once, with all that was written" {
	local point points had spare
	points=$(master ssi-bootsvc start --crash-at list)
	[ "$(wc -w <<<"$points")" -ge 10 ]
	node_sh n02 'rm -f /var/points'
	for point in $points; do
		had=$(machine_of n02)
		[ "$had" = $M02 ] && spare=$M05 || spare=$M02
		machine_is "$spare" spare || ssi machine accept "$spare"
		daemon_ends_at "$point"
		await 120 answer 'n[01-04]'
		node_sh n02 "echo $point >>/var/points && sync /var/points"
		lab power cut "m${had##*:}"
		await 300 ended_at "$point"
		await 300 plays n02 "$spare"
		await 60 in_step n02 none
		await 60 answer n02
		machine_is "$had" failed
		node_sh n02 "tail -n 1 /var/points" | grep -qx "$point"
		in_state 'n[01,03-04]' joined
		echo "# $point" >&3
	done
	[ "$(node_sh n02 'cat /var/points')" = "$points" ]
}
