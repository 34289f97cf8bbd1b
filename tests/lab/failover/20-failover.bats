#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A machine is lost in the middle of its work: its node comes up on the spare, with what it had and what it is known by; it is moved back by hand; all vanish at
# once; the daemon is killed in the middle of it; two are lost. n02 has a state volume, and all nodes share /home. Each test goes on from where the one before ended.

load ../lab.bash
load ../failover.bash

CONF=/etc/ssi/nodes.d/80-failover.ini
ALL='n[01-03]'
M02=52:54:00:00:00:02 M03=52:54:00:00:00:03 M04=52:54:00:00:00:04

# The lab's own settings, a policy, and how the spare is switched. The lab's master has its root on an overlay, which NFS cannot export: /home is a folder of its state disk.
setup_file() {
	all_off
	ssi node set n02 machine=$M02
	ssi node set n03 machine=$M03
	master sh -c "mkdir -p /run/ssi/root/rw/home && mount --bind /run/ssi/root/rw/home /home && mkdir -p -m 1777 /home/open
		cat >$CONF <<-END
		[system lab]
		spares = $M04
		failover = auto
		failover_limit = 100 in 1h
		shared = /home
		[node n02]
		state = disk
		state_size = 512M
		$(power_section $M04 6234)
		END
		ssi-bootsvc reload"
	all_up
}

teardown_file() {
	master sh -c "rm -f $CONF; ssi-bootsvc reload"
}

teardown() { show_trouble; }

waits_in_ipxe() { # MAC
	ssi machine list -o json | jq -e --arg mac "$1" '(now * 1000) as $now | any(.mac == $mac and .state == "spare" and $now - .last_seen < 5000)' >/dev/null
}

# What n02 is known by: to people, to ssh, to programs.
identity() {
	node_sh n02 'hostname; cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub; sha256sum /etc/ssh/ssh_host_ed25519_key; ip -4 -o addr show scope global | grep -o "10.77.0[.0-9]*/24"'
}

# In ms on the master's clock: now, and an event of n02.
now() {
	master date +%s%3N
}

event_ms() { # AFTER-EVENT KIND
	events_since "$1" | jq -s --arg kind "$2" '[.[] | select(.kind == $kind and .node == "n02")][0].time'
}

# How long after a time a machine had its boot script, and n02 joined: into SCRIPT and JOINED.
boot_figures() { # AFTER-EVENT TIME WHAT
	SCRIPT=$(($(event_ms "$1" arm) - $2)) JOINED=$(($(event_ms "$1" join) - $2))
	echo "$3: boot script after $SCRIPT ms, joined after $JOINED ms" >&3
}

# Writes numbered records to the state volume and to /home; a line of its output is an acknowledgement: both are on the disk. sync FILE is an fsync.
# shellcheck disable=SC2016       # the node's shell expands it
WRITER='i=0; while :; do i=$((i + 1)); for f in /var/records /home/open/records; do echo $i >>$f; sync $f || exit 1; done; echo $i; done'

has_lines() { # FILE NUMBER
	[ "$(wc -l <"$1")" -ge "$2" ]
}

@test "the spare waits: n02 is cut in the middle of its writing, and is back on the spare within its own boot time and 5 s; nothing is lost, nothing twice, and it is who it was" {
	local before inc since cut joined last writer out=$BATS_TEST_TMPDIR/acknowledged
	lab power on m04
	await 120 waits_in_ipxe $M04
	before=$(identity)
	inc=$(field n02 incarnation)
	node_sh n02 'rm -f /var/records /home/open/records'
	ssi exec --no-prefix n02 -- sh -c "$WRITER" >"$out" 2>/dev/null &
	writer=$!
	await 60 has_lines "$out" 20
	since=$(last_event)
	cut=$(now)
	lab power cut m02
	await 300 joined_after n02 "$inc"
	boot_figures "$since" "$cut" "cut"
	joined=$JOINED
	wait "$writer" || true
	[ "$(machine_of n02)" = $M04 ]
	[ "$(field n02 incarnation)" = $((inc + 1)) ]
	machine_is $M02 failed
	await 60 answer n02
	[ "$(identity)" = "$before" ]
	last=$(tail -n 1 "$out")
	echo "acknowledged: $last records" >&3
	# Every record that was acknowledged is there, in order; and those whose acknowledgement was still on its way.
	for file in /var/records /home/open/records; do
		node_sh n02 "cat $file" >"$BATS_TEST_TMPDIR/got"
		[ "$(head -n "$last" "$BATS_TEST_TMPDIR/got")" = "$(seq "$last")" ]
		[ "$(sort -n "$BATS_TEST_TMPDIR/got" | uniq -d | wc -l)" = 0 ]
		[ "$(wc -l <"$BATS_TEST_TMPDIR/got")" -le $((last + 40)) ]
	done
	# Its own boot on that machine.
	inc=$(field n02 incarnation)
	ssi node power n02 off
	since=$(last_event)
	cut=$(now)
	ssi node power n02 on
	await 300 joined_after n02 "$inc"
	boot_figures "$since" "$cut" "its own boot, power ordered on"
	[ "$joined" -le $((JOINED + 5000)) ]
}

@test "by hand: m02 was mended, and n02 is moved back to it while it is up" {
	ssi machine accept $M02
	machine_is $M02 spare
	ssi node move n02 --to $M02
	await 400 plays n02 $M02
	await 30 in_step n02 none
	machine_is $M04 spare
	await 60 answer n02
	node_sh n02 'test -s /var/records'
}

@test "all vanish at once, the cable of the master: nobody is fenced, and all are back when it is" {
	local since machine
	since=$(last_event)
	for machine in m01 m02 m03; do lab link down $machine; done
	await 30 has_event "$since" alarm '' 'that is the network'
	sleep 10
	ssi status | grep ALARM
	for machine in m01 m02 m03; do lab link up $machine; done
	await 300 in_state "$ALL" joined
	await 60 answer "$ALL"
	run has_event "$since" fence ''
	[ "$status" -ne 0 ]
	[ "$(machine_of n01) $(machine_of n02) $(machine_of n03)" = "52:54:00:00:00:01 $M02 $M03" ]
	await 30 in_step n01 none
	[ "$(ssi status -o json | jq -r '.systems[0].alarm')" = '' ]
}

@test "the daemon is killed in the middle, when the spare is bound and nobody was told: the next one finishes it" {
	daemon_ends_at failover-bound
	await 60 answer "$ALL"
	lab power cut m02
	await 60 ended_at failover-bound
	await 300 plays n02 $M04
	await 30 in_step n02 none
	machine_is $M02 failed
	in_state n01 joined
	in_state n03 joined
}

@test "two are lost, one spare: the first gets it, the second waits, and is taken up when a machine is accepted" {
	local since
	ssi machine accept $M02
	since=$(last_event)
	lab power cut m03
	await 30 has_event "$since" fenced n03
	lab power cut m04
	await 30 in_step n02 spare
	await 300 plays n03 $M02
	machine_is $M03 failed
	[ "$(machine_of n02)" = $M04 ]
	# m03 was mended.
	ssi machine accept $M03
	await 300 plays n02 $M03
	machine_is $M04 failed
	in_state n01 joined
}
