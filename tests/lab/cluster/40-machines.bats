#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Machines that nobody has entered anywhere, and one whose network card was replaced.

load ../lab.bash
setup() { all_up; }
teardown() { show_trouble; }

node_of() { # MACHINE
	ssi machine list -o json | jq -r --arg mac "$(lab status -o json | jq -r --arg m "$1" '.machines[] | select(.name == $m) | .mac')" \
		'.[] | select(.mac == $mac) | .node // ""'
}

bound() { [ -n "$(node_of "$1")" ]; }

@test "an unknown machine is bound to the first free node and joins" {
	lab power on m04
	await 60 bound m04
	[ "$(node_of m04)" = n04 ]
	await 300 in_state n04 joined
}

@test "two unknown machines at once become two different nodes" {
	lab power on m05 &
	lab power on m06
	wait $!
	await 60 bound m05
	await 60 bound m06
	[ "$(node_of m05)" != "$(node_of m06)" ]
	await 300 in_state 'n[05-06]' joined
	[ "$(ssi status -o json | jq '.systems[0].joined')" = 6 ]
	lab power cut m04 m05 m06
	await 15 in_state 'n[04-06]' detached
}

@test "a machine whose card was swapped plays its node again after 'ssi node set n02 machine=MAC'" {
	local before
	before=$(field n02 incarnation)
	lab power off m02
	await 15 in_state n02 detached
	lab nic m02 52:54:00:00:99:02
	ssi node set n02 machine=52:54:00:00:99:02
	lab power on m02
	await 300 joined_after n02 "$before"
	[ "$(field n02 machine)" = 52:54:00:00:99:02 ]
}

@test "a node runs systemd where its init says so" {
	local before since
	before=$(field n01 incarnation)
	ssi node set n01 init=systemd
	ssi node reboot n01
	await 300 joined_after n01 "$before"
	[[ $(node_sh n01 'readlink /proc/1/exe') == */systemd ]]
	before=$(field n01 incarnation)
	since=$(last_event)
	ssi node set n01 init=ssi
	ssi node reboot n01
	await 60 has_event "$since" leave n01
	run has_event "$since" detach n01
	[ "$status" -ne 0 ]
	await 300 joined_after n01 "$before"
	[ "$(node_sh n01 'cat /proc/1/comm')" = ssi-init ]
}
