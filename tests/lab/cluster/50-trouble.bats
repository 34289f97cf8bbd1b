#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A boot that cannot work: what, where and what next, on the console and to the master; and recovery when the cause is gone.

load ../lab.bash

setup() {
	all_up
	BEFORE=$(field n03 incarnation)
	SINCE=$(last_event)
	SIZE=$(console_size m03)
	STORE=/var/lib/ssi/images/compute
	GENERATION=$(master readlink "$STORE/current")
}

teardown() {
	show_trouble
	master rpc.nfsd 8
	master sh -c "umount /usr/sbin/exportfs 2>/dev/null && ssi-bootsvc reload" || true
	master sh -c "cd '$STORE/$GENERATION' && [ ! -e initramfs.whole ] || mv initramfs.whole initramfs; [ ! -e '$STORE/gone' ] || mv '$STORE/gone' '$STORE/$GENERATION'" || true
}

again() {
	lab power cut m03
	await 15 in_state n03 detached
	lab power on m03
}

@test "the NFS server does not answer: said on the console and in the events; the boot works once it does" {
	master rpc.nfsd 0
	again
	await 150 has_event "$SINCE" boot-failed n03 root
	console_says m03 "$SIZE" 'ssi-init: FAILED at root'
	master rpc.nfsd 8
	await 300 joined_after n03 "$BEFORE"
}

# The daemon puts back what somebody takes away by hand, so the cause has to last: exportfs itself does not work for a while.
@test "a root that cannot be exported: said on the console and in the events; the boot goes on once it can" {
	lab power cut m03
	await 15 in_state n03 detached
	master sh -c "cp /usr/sbin/exportfs /run/exportfs && mount --bind /bin/false /usr/sbin/exportfs && /run/exportfs -u 10.77.0.0/24:/run/ssi/export/$GENERATION"
	await 30 has_event_text "$SINCE" 'failed: exportfs'
	lab power on m03
	await 90 console_says m03 "$SIZE" 'ssi: n03 cannot boot yet: its image compute is not exported yet'
	master umount /usr/sbin/exportfs
	await 300 joined_after n03 "$BEFORE"
}

@test "a damaged initramfs: said on the console and in the events; the boot works once it is whole" {
	master sh -c "cd '$STORE/$GENERATION' && cp initramfs initramfs.whole && dd if=/dev/zero of=initramfs bs=4096 seek=64 count=64 conv=notrunc status=none"
	again
	await 150 has_event_text "$SINCE" 'initramfs.*damaged|damaged.*initramfs'
	await 60 console_says m03 "$SIZE" 'ssi: .*initramfs'
	master sh -c "cd '$STORE/$GENERATION' && mv initramfs.whole initramfs"
	await 300 joined_after n03 "$BEFORE"
}

@test "an image removed under a node: the node runs on, a boot says what is missing, and works when it is back" {
	master mv "$STORE/$GENERATION" "$STORE/gone"
	await 30 has_event "$SINCE" image-missing ''
	node_sh n03 'ls / >/dev/null'
	again
	await 90 console_says m03 "$SIZE" 'ssi: n03 cannot boot: image compute'
	master mv "$STORE/gone" "$STORE/$GENERATION"
	await 30 has_event "$SINCE" image-back ''
	await 300 joined_after n03 "$BEFORE"
}
