#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon and the master may go at any moment.

load ../lab.bash
setup() { all_up; }

teardown() {
	show_trouble
	master rpc.nfsd 8
}

boot_ids() {
	boot_id n01
	boot_id n02
	boot_id n03
}

@test "kill -9 of the daemon while nodes run: all joined within 10 s, none rebooted" {
	local ids killed
	ids=$(boot_ids)
	daemon_kill
	killed=$SECONDS
	await 10 daemon_answers
	await 10 answer 'n[01-03]'
	echo "all joined after $((SECONDS - killed)) s"
	[ $((SECONDS - killed)) -le 10 ]
	[ "$(boot_ids)" = "$ids" ]
	[ "$(ssi status -o json | jq '.systems[0].joined')" = 3 ]
}

@test "kill -9 of the daemon while a node boots: the boot goes on and the node joins" {
	local since before ids
	before=$(field n03 incarnation)
	ids="$(boot_id n01) $(boot_id n02)"
	lab power cut m03
	await 15 in_state n03 detached
	since=$(last_event)
	ssi node power n03 on
	await 60 has_event "$since" boot n03
	daemon_kill
	await 15 daemon_answers
	await 60 has_event "$since" stage n03
	daemon_kill
	await 15 daemon_answers
	await 300 joined_after n03 "$before"
	await 10 answer 'n[01-02]'
	[ "$(boot_id n01) $(boot_id n02)" = "$ids" ]
}

@test "the master is powered off and on: nodes stall and go on by themselves" {
	local ids
	ids=$(boot_ids)
	lab power cut master
	lab power on master
	await 120 daemon_answers
	await 60 answer 'n[01-03]'
	[ "$(boot_ids)" = "$ids" ]
	node_sh n01 'echo 3 >/proc/sys/vm/drop_caches; find /usr/bin -type f -exec cat {} + | wc -c'
}

# The root's server is away, the master is not: whoever waits for the root, the node itself is heard.
@test "a command that waits for the root does not silence its node" {
	local since waiting end
	since=$(last_event)
	node_sh n01 'echo 3 >/proc/sys/vm/drop_caches'
	master rpc.nfsd 0
	ssi exec n01 -- sort --version >"$BATS_TEST_TMPDIR/said" 2>&1 &
	waiting=$!
	end=$((SECONDS + 8))
	while [ "$SECONDS" -lt "$end" ]; do
		in_state n01 joined
		sleep 0.5
	done
	kill -0 "$waiting"
	master rpc.nfsd 8
	wait "$waiting"
	grep -q 'sort (GNU coreutils)' "$BATS_TEST_TMPDIR/said"
	run has_event "$since" detach n01
	[ "$status" -ne 0 ]
	run has_event "$since" suspect n01
	[ "$status" -ne 0 ]
}
