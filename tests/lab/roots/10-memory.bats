#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A root in memory beside one over NFS, from one generation: n01 over NFS, n02 and n03 by turns in memory.

load ../lab.bash

STORE=/var/lib/ssi/images/compute

teardown() {
	show_trouble
	# Whatever it did: no damage stays for the next test.
	master sh -c "! grep -q ' $STORE/.*/root.erofs ' /proc/mounts || umount $STORE/current/root.erofs"
}

cycle() { # NODE
	lab power cut "m${1#n}"
	lab power on "m${1#n}"
}

# Give a node another root and let it boot; its old incarnation into INC, the newest event before into EVENT.
boot_with() { # NODE KEY=VALUE...
	local node=$1
	shift
	EVENT=$(last_event)
	INC=$(field "$node" incarnation)
	ssi node set "$node" "$@"
	cycle "$node"
}

failed_at_image() { # TEXT
	events_since "$EVENT" | jq -se --arg text "$1" 'any(.kind == "boot-failed" and (.text | test("^at image: ") and test($text)))' >/dev/null
}

fetching() { # NODE
	has_event "$EVENT" stage "$1" '^fetches root.erofs'
}

# The connections of a node to its NFS server: port 2049, established.
nfs_connections() { # NODE
	node_sh "$1" 'grep -c ":0801 01 " /proc/net/tcp || true'
}

setup_file() {
	all_up
}

@test "one word and a reboot: n02 has its root in memory beside n01 over NFS, both of one generation" {
	boot_with n02 root=ram
	await 300 joined_after n02 "$INC"
	fetching n02
	node_sh n02 'grep "^/dev/loop[0-9]* /run/ssi/root/lower erofs ro," /proc/mounts'
	node_sh n02 '! grep -q nfs /proc/mounts'
	node_sh n02 'grep -q " / overlay " /proc/mounts && grep -q "^ID=debian" /etc/os-release'
	node_sh n01 'grep " /run/ssi/root/lower nfs4 " /proc/mounts'
	[ "$(nfs_connections n02)" = 0 ]
	[ "$(nfs_connections n01)" = 1 ]
	[ "$(field n02 root) $(field n01 root)" = 'ram nfs' ]
	[ "$(field n02 generation)" = "$(field n01 generation)" ]
	ssi node show n02 | grep -qE '^ +root +ram$'
	ssi node show n02 -o json | jq -e '.[0].boot | any(.stage == "image" and .end_ms > .start_ms)'
}

@test "what is mounted there is the manifest's root.erofs, byte for byte, and cannot be changed" {
	local wanted
	wanted=$(master cat "$STORE/current/manifest.json" | jq -r '.files["root.erofs"].sha256')
	# The device may be longer than the file by less than a sector; the file is a whole number of blocks.
	[ "$(node_sh n02 'sha256sum /dev/loop0' | cut -d ' ' -f 1)" = "$wanted" ]
	run node_sh n02 'echo x >/dev/loop0'
	[ "$status" -ne 0 ]
	node_sh n02 'echo mine >/etc/written && grep -q mine /etc/written'
}

@test "a machine that is too small is refused before anything is fetched, and says so on its console and to the master" {
	local size old
	size=$(console_size m03)
	# Of a node that is out the boot counts from its script on: this one may fail before it has its key.
	lab power cut m03
	await 15 in_state n03 detached
	boot_with n03 root=ram 'args=console=ttyS0 mitigations=off norandmaps mem=256M'
	await 300 failed_at_image 'memory too small for root = ram: .* free, the image takes'
	if fetching n03; then false; fi
	console_says m03 "$size" 'FAILED at image: memory too small for root = ram'
	field n03 reason | grep -q 'memory too small'
	ssi node set n03 'args='
	old=$(field n03 incarnation)
	cycle n03
	await 300 joined_after n03 "$old"
	[ "$(field n03 root)" = ram ]
}

@test "an image that was damaged is refused, and taken when it is whole" {
	local size
	size=$(console_size m02)
	# Of the same size: the daemon serves it. NFS nodes read the whole one still.
	master sh -c "cp $STORE/current/root.erofs /var/tmp/damaged && printf damaged | dd of=/var/tmp/damaged bs=1 seek=50000000 conv=notrunc status=none &&
		mount --bind /var/tmp/damaged $STORE/current/root.erofs"
	boot_with n02 root=ram
	await 300 console_says m02 "$size" 'image: .*/root.erofs: it was damaged, on its way or on the master: its digest is .*; try 3 of 6'
	if joined_after n02 "$INC"; then false; fi
	master umount "$STORE/current/root.erofs"
	await 300 joined_after n02 "$INC"
	[ "$(field n02 incarnation)" = $((INC + 1)) ]
	ssi node show n02 -o json | jq -e '.[0].boot | any(.stage == "image" and .tries > 2)'
}

@test "no NFS server, and a daemon that is killed in the middle of the fetch: the node tries again and joins" {
	master systemctl stop nfs-server
	boot_with n02 root=ram
	# On the master itself: an image takes seconds, and so do question and order from here when the host is busy.
	master timeout 300 sh -c "until ssi-bootsvc events --since $EVENT | grep -q 'stage  *n02  *fetches root.erofs'; do sleep 0.1; done
		systemctl kill -s KILL --kill-who=main ssi-bootsvc"
	await 60 daemon_answers
	await 300 joined_after n02 "$INC"
	ssi node show n02 -o json | jq -e '.[0].boot | any(.stage == "image" and .tries > 1)'
	master systemctl start nfs-server
	await 120 answer 'n[01-02]'
}

# What it reads comes from nowhere else; over NFS it would wait. After more than 3 s it is detached, of course, and boots again when the master is back.
@test "without its master n02 reads its image" {
	local size
	size=$(console_size m02)
	ssi exec n02 -- sh -c '(sleep 5; echo 3 >/proc/sys/vm/drop_caches; cat /usr/lib/x86_64-linux-gnu/*.so* >/dev/null
		echo "read all the same" >/dev/console) >/dev/null 2>&1 &'
	lab link down master
	await 120 console_says m02 "$size" '^read all the same'
	lab link up master
	await 300 in_state 'n[01-03]' joined
	await 120 answer 'n[01-03]'
}
