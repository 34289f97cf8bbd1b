#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Fences with real BMCs, a real NFS server and real targets: of a machine that is off, of one that wakes up afterwards, and with a BMC that does not do its part.

load ../lab.bash

CONF=/etc/ssi/nodes.d/80-fence.ini
SHARED=/srv/fence

mac_of() { # MACHINE
	lab status -o json | jq -r --arg m "$1" '.machines[] | select(.name == $m) | .mac'
}

policy() { # storage|power|both
	master sh -c "sed -i 's/^fence = .*/fence = $1/' $CONF && ssi-bootsvc reload"
}

# n02 and n03 have a shared file system, n03 a state volume too. Nobody is bound to anything but by this test.
setup_file() {
	master sh -c "mkdir -p /run/ssi/root/rw$SHARED $SHARED && mount --bind /run/ssi/root/rw$SHARED $SHARED"
	master sh -c "printf '[system lab]\ndiscovery = ask\nfence = both\nshared = $SHARED:no_root_squash\n[node n03]\nstate = disk\nstate_size = 512M\nmachine =\n' >$CONF"
	master ssi-bootsvc reload
	local two=0 three=0
	two=$(field n02 incarnation) three=$(field n03 incarnation)
	lab power cut m02 m03
	lab power on m02 m03
	await 300 joined_after n02 "$two"
	await 300 joined_after n03 "$three"
}

setup() {
	lab power on m02
	await 300 in_state n02 joined
	await 60 answer n02
}

# n03 goes back to its own machine: the one it has here has no power controller, so storage has to do.
teardown_file() {
	policy storage
	lab power cut m02 m03 m04
	await 15 in_state n03 detached
	ssi node fence n03
	ssi node set n03 machine="$(mac_of m03)"
	master sh -c "rm -f $CONF; ssi-bootsvc reload"
}

teardown() {
	show_trouble
	lab bmc good m02 m03
	master sh -c 'nft delete table inet ssi-lab 2>/dev/null; true'
	# However it ended: a frozen machine must not stay so.
	lab power thaw m02 m03 2>/dev/null || true
}

fence_is() { # NODE FILTER
	ssi node show "$1" -o json | jq -e ".[0].fence | $2" >/dev/null
}

door_closed() { # MACHINE
	master nft list table inet ssi-fence 2>/dev/null | grep -qF "$(mac_of "$1")"
}

door_open() { ! door_closed "$1"; }

no_nfs_client() { # ADDRESS
	! master sh -c "cat /proc/fs/nfsd/clients/*/info" | grep -qF "address: \"$1:"
}

no_target_access() { # NODE
	! master sh -c 'ls -d /sys/kernel/config/target/iscsi/iqn*/tpgt_1/acls/* 2>/dev/null' | grep -q ":$1:"
}

rebind_refused() { # NODE MACHINE PATTERN
	run ssi node set "$1" machine="$(mac_of "$2")"
	[ "$status" -ne 0 ]
	[[ $output =~ $3 ]]
}

@test "a machine whose power was cut: every step is proved, and it boots again with its door open" {
	local before since step
	before=$(field n02 incarnation)
	since=$(last_event)
	lab power cut m02
	await 15 in_state n02 detached
	rebind_refused n02 m04 "may still run on $(mac_of m02): 'ssi node fence n02' first"
	ssi node fence n02
	in_state n02 off
	fence_is n02 '.phase == "confirmed" and .policy == "both" and ([.steps[]] | all)'
	for step in key iscsi door nfs power; do
		has_event "$since" fence n02 "^$step: "
	done
	has_event "$since" fenced n02 "all that 'fence = both' asks for is proved"
	door_closed m02
	no_nfs_client 10.77.0.12
	ssi node power n02 on
	await 300 joined_after n02 "$before"
	await 15 door_open m02
	[ "$(ssi node show n02 -o json | jq '.[0] | has("fence")')" = false ]
	node_sh n02 "echo back >$SHARED/n02"
	[ "$(master cat $SHARED/n02)" = back ]
}

# What the node writes without end, numbered: to its own state and to the shared file system, each line on its disk before the next.
# shellcheck disable=SC2016
writer='i=0; while :; do i=$((i + 1)); echo "$i" >>/var/records; sync /var/records; echo "$i" >>'$SHARED'/records; sync '$SHARED'/records; done'

written() { # COUNT
	[ "$(master sh -c "wc -l <$SHARED/records")" -gt "$1" ]
}

sums() {
	master sh -c "sha256sum $SHARED/records /var/lib/ssi/volumes/lab/n03/*"
}

@test "a zombie: frozen, fenced, its node given away, thawed: it writes nothing, does not join, and boots as a machine without a node" {
	local before since at size
	before=$(field n03 incarnation)
	policy storage
	await 60 answer n03
	node_sh n03 "($writer) >/dev/null 2>&1 &"
	await 60 written 20
	since=$(last_event)
	lab power freeze m03
	await 15 in_state n03 detached
	ssi node fence n03
	in_state n03 off
	fence_is n03 '.phase == "confirmed" and .policy == "storage" and ([.steps[]] | all)'
	no_nfs_client 10.77.0.13
	no_target_access n03
	door_closed m03
	ssi node set n03 machine="$(mac_of m04)"
	master sync
	at=$(sums)
	size=$(console_size m03)
	lab power thaw m03
	# It hears that it is over, and comes up afresh.
	await 300 console_says m03 "$size" "machine $(mac_of m03) is not bound to a node"
	run has_event "$since" join n03
	[ "$status" -ne 0 ]
	master sync
	echo "$at"
	[ "$(sums)" = "$at" ]
	no_nfs_client 10.77.0.13
	no_target_access n03
	await 30 door_open m03
	# The other machine is the node, with all that was written, once each.
	lab power on m04
	await 300 joined_after n03 "$before"
	await 60 answer n03
	[ "$(node_sh n03 'sort -n /var/records | uniq -d | wc -l')" = 0 ]
	[ "$(node_sh n03 "tail -n 1 $SHARED/records")" -le "$(node_sh n03 'tail -n 1 /var/records')" ]
	[ "$(node_sh n03 'wc -l </var/records')" = "$(node_sh n03 'tail -n 1 /var/records')" ]
	policy both
}

@test "a BMC that cannot be reached: not confirmed, held, the doors closed; confirmed by itself when it can be" {
	local before since
	before=$(field n02 incarnation)
	since=$(last_event)
	master sh -c 'nft add table inet ssi-lab; nft add chain inet ssi-lab out "{ type filter hook output priority 0; }"; nft add rule inet ssi-lab out udp dport 6232 drop'
	lab power freeze m02
	await 15 in_state n02 detached
	run ssi node fence n02
	[ "$status" -ne 0 ]
	[[ $output == *"not confirmed: power: "* ]]
	in_state n02 detached
	[[ $(field n02 reason) == "not fenced: power: "* ]]
	has_event "$since" fence-failed n02 'not confirmed \(both\): power: '
	door_closed m02
	no_nfs_client 10.77.0.12
	rebind_refused n02 m05 'its fence is not confirmed'
	# The daemon is killed, and the next one goes on.
	daemon_kill
	await 60 daemon_answers
	fence_is n02 '.phase == "work" and .steps.door and (.steps.power | not)'
	master nft delete table inet ssi-lab
	await 200 fence_is n02 '.phase == "confirmed"'
	in_state n02 off
	[ "$(lab status -o json | jq -r '.machines[] | select(.name == "m02") | .power')" = off ]
	lab power on m02
	await 300 joined_after n02 "$before"
}

switched_on_and_joined() { # INCARNATION
	lab power on m02
	joined_after n02 "$1"
}

@test "a BMC that says \"off\" while the machine runs on: the doors hold" {
	local before since at
	before=$(field n02 incarnation)
	since=$(last_event)
	node_sh n02 "(i=0; while :; do i=\$((i + 1)); echo \$i >>$SHARED/n02; sync $SHARED/n02; done) >/dev/null 2>&1 &"
	lab bmc lie m02
	lab power freeze m02
	await 15 in_state n02 detached
	ssi node fence n02
	fence_is n02 '.phase == "confirmed" and .steps.power'
	door_closed m02
	master sync
	at=$(master sha256sum "$SHARED/n02")
	lab power thaw m02
	# It hears that it is over and boots afresh, or it is found out when it knocks with its old key, and switched off for good.
	lab bmc good m02
	await 120 has_event_text "$since" 'its machine (asks for a boot script|boots afresh): this master is open|its machine speaks'
	[ "$(master sha256sum "$SHARED/n02")" = "$at" ]
	# Which may be after it was switched on again.
	await 300 switched_on_and_joined "$before"
	[ "$(master sha256sum "$SHARED/n02")" = "$at" ]
}

@test "a BMC that takes 20 s: fencing until then, and confirmed" {
	local before began
	before=$(field n02 incarnation)
	lab bmc slow m02
	lab power freeze m02
	await 15 in_state n02 detached
	began=$SECONDS
	ssi node fence n02 || true
	await 120 fence_is n02 '.phase == "confirmed"'
	echo "confirmed after $((SECONDS - began)) s"
	[ $((SECONDS - began)) -ge 18 ]
	in_state n02 off
	lab bmc good m02
	lab power on m02
	await 300 joined_after n02 "$before"
}
