#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# State volumes: n01 over NFS, n02 over iSCSI (with systemd, at first), n03 in memory, each with a volume of its own on the master.

load ../lab.bash

STORE=/var/lib/ssi/images/compute
ALL='n[01-03]'

teardown() {
	show_trouble
}

# All of them boot in the first test. Another file may have left n03 a volume.
setup_file() {
	ssi node set n03 state=none
	ssi node power n03 off
	await 60 in_state n03 off
	if [ "$(volume n03 uuid)" != null ]; then await 60 ssi node state rm n03; fi
}

cycle() { # NODE...
	local node
	for node; do lab power cut "m${node#n}"; done
	for node; do lab power on "m${node#n}"; done
}

# The incarnations of all three into INC, the newest event before into EVENT.
mark() {
	local i
	EVENT=$(last_event)
	for i in 1 2 3; do INC[i]=$(field n0$i incarnation); done
}

all_joined_after() {
	joined_after n01 "${INC[1]}" && joined_after n02 "${INC[2]}" && joined_after n03 "${INC[3]}" && answer "$ALL"
}

volume() { # NODE FIELD
	ssi node state list "$1" -o json | jq -r ".[0].$2"
}

is() { # NODE STATE
	[ "$(volume "$1" state)" = "$2" ]
}

file() { # NODE
	master sh -c "ls -1v /var/lib/ssi/volumes/*/$1/volume-*.img" | tail -n 1
}

# Another generation with the same files: only its manifest, and so its name, is another.
new_generation() {
	master sh -c "cd $STORE && cp -a \$(readlink current) .new &&
		sed 's/^{/{\"note$RANDOM$RANDOM\":1,/' current/manifest.json >.new/manifest.json &&
		name=sha256-\$(sha256sum .new/manifest.json | cut -d' ' -f1) && mv .new \$name && ln -sfn \$name current"
}

@test "state = disk over NFS, iSCSI and in memory: made at first use, mounted under the overlay" {
	mark
	ssi node set "$ALL" state=disk state_size=512M
	ssi node set n01 root=nfs
	ssi node set n02 root=iscsi init=systemd
	ssi node set n03 root=ram
	cycle n01 n02 n03
	await 400 all_joined_after
	local node
	for node in n01 n02 n03; do
		node_sh "$node" 'grep "^/dev/sd[a-z]* /run/ssi/root/rw ext4 rw" /proc/mounts'
		node_sh "$node" 'grep "^overlay / overlay .*upperdir=/run/ssi/root/rw/upper" /proc/mounts'
		is "$node" open
		has_event "$EVENT" state "$node" '^state volume made: 512.0 MiB of ext4'
		node_sh "$node" "echo $node was here >/etc/kept && mkdir -p /srv/deep && echo $node >/srv/deep/file && rm /etc/issue.net"
	done
	[ "$(field n01 root) $(field n02 root) $(field n03 root)" = 'nfs iscsi ram' ]
	node_sh n01 'grep " /run/ssi/root/lower nfs4 " /proc/mounts'
	node_sh n02 'grep " /run/ssi/root/lower erofs " /proc/mounts'
	node_sh n03 'grep "^/dev/loop[0-9]* /run/ssi/root/lower erofs " /proc/mounts'
	[ "$(master stat -c %a "$(file n01)")" = 600 ]
}

logged_in() { # NODE
	[ "$(node_sh "$1" 'cat /sys/class/iscsi_session/session*/state')" = LOGGED_IN ]
}

# shellcheck disable=SC2016 # the node's shell expands it
@test "systemd as PID 1 would spare the session's keeper, and keeps the session over a stop and a start of the daemon" {
	node_sh n02 'cat /proc/1/comm' | grep -qx systemd
	node_sh n02 'pid=$(pgrep -of ^@iscsid) && ps -o args= -p $(ps -o ppid= -p "$pid") | grep "^@"'
	master ssi-bootsvc stop
	master systemctl start ssi-bootsvc
	await 60 daemon_answers
	await 120 in_state "$ALL" joined
	await 120 answer "$ALL"
	await 60 logged_in n02
	node_sh n02 'echo 1 >/proc/sys/vm/drop_caches; cat /usr/bin/* >/dev/null'
}

kept() { # NODE
	[ "$(node_sh "$1" 'cat /etc/kept /srv/deep/file')" = "$1 was here"$'\n'"$1" ] && node_sh "$1" '[ ! -e /etc/issue.net ]'
}

@test "what was written outlives a reboot in order, by ssi-init and by systemd, which leaves the volume closed" {
	mark
	ssi node reboot "$ALL"
	await 400 all_joined_after
	kept n01 && kept n02 && kept n03
	if has_event_text "$EVENT" 'was not closed'; then false; fi
}

@test "and a power cut: checked, nothing that was synced is lost" {
	local node
	ssi node set n02 init=ssi
	for node in n01 n02 n03; do
		# shellcheck disable=SC2016 # the node's shell expands it
		node_sh "$node" 'i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo "record $i" >>/srv/records; sync /srv/records; done
			(while :; do echo more >>/srv/more; cp /usr/bin/env /srv/copy; done) >/dev/null 2>&1 &'
	done
	mark
	cycle n01 n02 n03
	await 400 all_joined_after
	for node in n01 n02 n03; do
		kept "$node"
		[ "$(node_sh "$node" 'wc -l </srv/records; tail -n 1 /srv/records')" = $'50\nrecord 50' ]
		has_event "$EVENT" state "$node" 'was not closed: checked, it is sound'
	done
}

@test "a snapshot of a node that runs and writes is consistent, and the node goes on" {
	local path
	# shellcheck disable=SC2016 # the node's shell expands it
	ssi exec n02 -- sh -c '(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo "$i" >>/srv/counted; mkdir -p /srv/many/$i; cp /etc/kept /srv/many/$i; done) >/dev/null 2>&1 &'
	ssi node state snapshot n02 live
	node_sh n02 'timeout 10 sh -c "echo goes on >/srv/after"'
	path=$(master sh -c 'echo /var/lib/ssi/volumes/*/n02/snapshot-live.img')
	master e2fsck -fn "$path"
	[ "$(master debugfs -R 'cat upper/etc/kept' "$path" 2>/dev/null)" = 'n02 was here' ]
	master debugfs -R 'stat upper/srv/after' "$path" 2>&1 | grep -q 'not found'
	ssi node state show n02 | grep -q live
	[ "$(volume n02 'snapshots[0].how')" != null ]
	[ "$(field n02 state)" = joined ]
}

@test "a master that dies while a node stands still for it leaves no node standing" {
	local before
	before=$(node_sh n01 'date +%s')
	# Its input is open, and stays so until the connection goes.
	local caller
	(timeout 60 "$TOP/scripts/ssi-lab" exec master ssi exec -i n01 -- /usr/libexec/ssi/node-freeze /run/ssi/root/rw 100 < <(sleep 30) >/dev/null 2>&1 3>&-) 3>&- &
	caller=$!
	sleep 3
	daemon_kill
	await 60 daemon_answers
	await 120 answer n01
	node_sh n01 'timeout 20 sh -c "echo goes on >/srv/after-freeze && sync /srv/after-freeze"'
	[ $(($(node_sh n01 'date +%s') - before)) -lt 100 ]
	wait "$caller" || true
}

@test "restore by content, refused while the node runs" {
	mark
	node_sh n02 'pkill -f "[s]rv/counted" || true; echo changed >/etc/kept; sync'
	run ssi node state restore n02 live
	[ "$status" -ne 0 ]
	[[ $output == *'it runs with its volume'* ]]
	ssi node power n02 off
	await 60 in_state n02 off
	await 60 ssi node state restore n02 live
	lab power on m02
	await 300 joined_after n02 "${INC[2]}"
	await 60 answer n02
	kept n02
	node_sh n02 '[ ! -e /srv/after ]'
	# What was restored over is kept, too.
	volume n02 'snapshots[].name' | grep -q '^before-restore-'
	ssi node state rm n02 live
	run ssi node state rm n02
	[ "$status" -ne 0 ]
}

@test "another generation: asked about, and kept; then fresh, the one before being a snapshot" {
	local old
	mark
	old=$(volume n03 uuid)
	new_generation
	cycle n03
	await 200 is n03 asks
	has_event "$EVENT" state n03 "it waits until 'ssi node state accept n03 keep'"
	ssi node state accept n03 keep
	await 300 joined_after n03 "${INC[3]}"
	await 60 answer n03
	kept n03
	[ "$(volume n03 uuid)" = "$old" ]
	[ "$(volume n03 generation)" = "$(field n03 generation)" ]
	mark
	ssi node set n03 state_on_upgrade=fresh
	new_generation
	cycle n03
	await 300 joined_after n03 "${INC[3]}"
	await 60 answer n03
	node_sh n03 '[ ! -e /etc/kept ] && [ -e /etc/issue.net ]'
	[ "$(volume n03 uuid)" != "$old" ]
	volume n03 'snapshots[].name' | grep -q '^before-2'
}
