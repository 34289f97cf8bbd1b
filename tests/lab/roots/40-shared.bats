#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A file system that all nodes share: seen at once, with the same owner, by whatever root and PID 1; and the master's power goes while all of them write to it and to
# their state volumes. n01 has its root over NFS, n02 over iSCSI, n03 in memory (and systemd).

load ../lab.bash

CONF=/etc/ssi/nodes.d/80-shared.ini
ALL='n[01-03]'

cycle() { # NODE...
	local node
	for node; do
		lab power cut "m${node#n}"
		lab power on "m${node#n}"
	done
}

# The nodes boot anew, and are joined by a later incarnation each.
again() { # NODE...
	local node
	local -A before=()
	for node; do
		before[$node]=$(field "$node" incarnation)
	done
	cycle "$@"
	for node; do
		await 300 joined_after "$node" "${before[$node]}"
	done
	for node; do
		await 60 answer "$node"
	done
}

share() { # TEXT
	master sh -c "printf '[system lab]\nshared = %s\n' '$1' >$CONF"
}

as_ann() { # NODE SCRIPT
	node_sh "$1" "runuser -u ann -- sh -c '$2'"
}

exported() { # WHAT
	master exportfs -v | tr -d '\n\t' | grep -qF "$1"
}

not_exported() { # WHAT
	! exported "$1"
}

# The lab's master has its root on an overlay, which NFS cannot export: /home is a folder of its state disk, after a start of the master too.
setup_file() {
	master sh -c 'mkdir -p /run/ssi/root/rw/home && echo "/run/ssi/root/rw/home /home none bind 0 0" >>/etc/fstab && systemctl daemon-reload && mount /home'
	master useradd -u 2001 -m ann
	master sh -c 'groupadd -g 2100 -U ann lab && mkdir -m 1777 /home/open'
	share /home
	master ssi-bootsvc reload
	ssi node set "$ALL" state=disk state_size=512M state_on_upgrade=keep
	ssi node set n01 root=nfs init=ssi
	ssi node set n02 root=iscsi init=ssi
	ssi node set n03 root=ram init=systemd
	again n01 n02 n03
	touch "$BATS_FILE_TMPDIR/set-up"
}

teardown() { show_trouble; }

# No teardown is called for a setup_file that failed.
teardown_file() {
	[ -e "$BATS_FILE_TMPDIR/set-up" ] || show_trouble 2>&1 | sed 's/^/# /' >&3
}

@test "a folder that is not there: reload says where that stands, and changes nothing; check says it too" {
	share '/home /nowhere'
	run master ssi-bootsvc reload
	[ "$status" -ne 0 ]
	[[ $output == *"80-shared.ini:2: shared = /nowhere: there is no such folder on this master"* ]]
	run master ssi-bootsvc check shared
	[ "$status" -ne 0 ]
	[[ $output == *"there is no folder /nowhere on this master"* ]]
	share /home
	master ssi-bootsvc reload
	master ssi-bootsvc check shared
	exported '/run/ssi/export/shared+home10.77.0.0/24('
}

@test "what an ordinary user writes on n01 is there on n02 at once, with the same owner" {
	node_sh n01 'grep " /home nfs4 rw,nosuid,nodev,.*hard" /proc/mounts'
	node_sh n02 'grep " /home nfs4 rw,nosuid,nodev,.*hard" /proc/mounts'
	node_sh n01 'grep -q "^shared " /run/ssi/timeline'
	node_sh n02 'if cat /home/ann/hello; then exit 1; fi'
	as_ann n01 'umask 027; echo "from n01" >/home/ann/hello'
	[ "$(node_sh n02 'runuser -u ann -- cat /home/ann/hello')" = 'from n01' ]
	[ "$(node_sh n02 'stat -c "%U %u %G %g %a" /home/ann/hello')" = "$(master stat -c '%U %u %G %g %a' /home/ann/hello)" ]
	[ "$(node_sh n02 'stat -c "%U %u" /home/ann/hello')" = 'ann 2001' ]
	as_ann n02 'echo "from n02" >>/home/ann/hello'
	[ "$(as_ann n01 'cat /home/ann/hello' | tail -n 1)" = 'from n02' ]
	[ "$(node_sh n02 'id -Gn ann')" = 'ann lab' ]
	node_sh n01 'getent passwd ann | grep -q "^ann:\*:2001:2001:"'
}

@test "a node's root is nobody there, and is root where nodes.d says so" {
	run node_sh n01 'touch /home/mine'
	[ "$status" -ne 0 ]
	node_sh n01 'echo x >/home/open/file'
	[ "$(master stat -c %u /home/open/file)" = 65534 ]
	share /home:no_root_squash
	master ssi-bootsvc reload
	await 30 master grep -q '/shared+home.*,no_root_squash,' /var/lib/nfs/etab
	await 30 node_sh n01 'touch /home/mine'
	[ "$(master stat -c %u /home/mine)" = 0 ]
	share /home
	master ssi-bootsvc reload
	await 30 node_sh n01 '! touch /home/mine2 2>/dev/null'
}

@test "with its root in memory and systemd as PID 1 a node has it as well, before it joins" {
	node_sh n03 'grep " /home nfs4 rw,nosuid,nodev," /proc/mounts && ! grep " /run/ssi/root/lower nfs" /proc/mounts'
	[ "$(node_sh n03 'cat /proc/1/comm')" = systemd ]
	[ "$(as_ann n03 'tail -n 1 /home/ann/hello')" = 'from n02' ]
	ssi node show n03 -o json | jq -e '.[0].boot | (map(select(.stage == "shared"))[0].end_ms) <= (map(select(.stage == "switch"))[0].start_ms)'
}

# Numbered records, each on the master's disk before its number is noted: to a file of /home, which stays open and locked, and to the node's own state volume.
# shellcheck disable=SC2016
writer='use IO::Handle; my $host = shift; my @files = ("/home/ann/records.$host", "/var/tmp/records");
	my @f = map { open(my $h, ">", $_) or die "open $_: $!"; $h->autoflush(1); flock($h, 2) or die "flock: $!"; $h } @files;
	for ($i = 1; !-e "/tmp/stop"; $i++) {
		for my $h (@f) { printf $h "%08d\n", $i or die "write: $!"; $h->sync or die "sync: $!"; }
		open(A, ">", "/tmp/acknowledged") or die; print A "$i\n"; close A; select(undef, undef, undef, 0.02);
	} for (@f) { close($_) or die "close: $!"; } print "whole\n";'

# And reads of the image without end.
# shellcheck disable=SC2016
reader='(set -e; trap "echo failed >/tmp/reader.failed" EXIT
	while [ ! -e /tmp/stop ]; do echo 1 >/proc/sys/vm/drop_caches; cat /usr/lib/x86_64-linux-gnu/libgnutls.so.30 /usr/bin/perl >/dev/null; sleep 0.5; done; trap - EXIT) >/dev/null 2>/tmp/reader.errors &'

acknowledged() { # NODE
	local number
	number=$(node_sh "$1" 'cat /tmp/acknowledged' 2>/dev/null) || :
	echo "${number:-0}"              # it is empty for a moment each time it is written
}

past() { # NODE NUMBER
	[ "$(acknowledged "$1")" -gt "$2" ]
}

boot_ids() {
	boot_id n01 && boot_id n02 && boot_id n03
}

@test "the master's power goes and comes back while three nodes write over NFS and iSCSI: they wait and go on, every record is there once, no error" {
	local node after ids
	local -A before
	ids=$(boot_ids)
	for node in n01 n02 n03; do
		node_sh $node "rm -f /tmp/stop; $reader printf '%s' '$writer' >/tmp/writer; chmod 777 /tmp/writer; >/tmp/acknowledged; chmod 666 /tmp/acknowledged
			setsid runuser -u ann -- perl /tmp/writer $node >/tmp/said 2>&1 </dev/null & sleep 0.1"
	done
	for node in n01 n02 n03; do
		await 60 past $node 30
		before[$node]=$(acknowledged $node)
	done
	lab power cut master
	sleep 3
	lab power on master
	await 180 daemon_answers
	await 120 answer "$ALL"
	for node in n01 n02 n03; do await 120 past $node $((${before[$node]} + 50)); done
	[ "$(boot_ids)" = "$ids" ]
	# The lock outlived the master.
	run node_sh n02 'runuser -u ann -- flock -n /home/ann/records.n01 true'
	[ "$status" -ne 0 ]
	ssi exec "$ALL" -- touch /tmp/stop
	for node in n01 n02 n03; do
		await 60 node_sh $node 'grep -q whole /tmp/said'
		[ "$(node_sh $node 'cat /tmp/said')" = whole ]
		after=$(acknowledged $node)
		echo "$node: ${before[$node]} records acknowledged before the cut, $after at the end"
		seq -f %08g 1 "$after" >"$BATS_TEST_TMPDIR/wanted"
		master cat /home/ann/records.$node | cmp - "$BATS_TEST_TMPDIR/wanted"
		node_sh $node 'cat /var/tmp/records' | cmp - "$BATS_TEST_TMPDIR/wanted"
		node_sh $node '! test -e /tmp/reader.failed && ! test -s /tmp/reader.errors && ! dmesg | grep -iE "stale|I/O error|lost [0-9]+ locks|EXT4-fs error"'
	done
	node_sh n02 'runuser -u ann -- flock -w 30 /home/ann/records.n01 true'
}

nothing_of_ours() {
	master sh -c '! ls -d /sys/kernel/config/target/iscsi/iqn* /sys/kernel/config/target/core/iblock_* /sys/kernel/config/target/core/fileio_* 2>/dev/null'
}

@test "what running nodes have mounted stays exported when nodes.d says otherwise; when they have booted, in order, nothing of it is left and every volume is clean" {
	local node
	local -A before
	master sh -c "rm $CONF; ssi-bootsvc reload"
	sleep 2
	exported shared+home
	as_ann n01 'echo more >>/home/ann/hello'
	ssi node set "$ALL" state= root= init=
	for node in n01 n02 n03; do before[$node]=$(field $node incarnation); done
	ssi node reboot "$ALL"
	for node in n01 n02 n03; do await 300 joined_after $node "${before[$node]}"; done
	await 60 not_exported shared+home
	await 60 nothing_of_ours
	node_sh n01 '! grep " /home " /proc/mounts && ! ls /sys/class/iscsi_session'
	for node in n01 n02 n03; do
		master sh -c "e2fsck -fn \"\$(ls -v /var/lib/ssi/volumes/*/$node/volume-*.img | tail -n 1)\""
	done
}
