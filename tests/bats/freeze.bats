#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# node-freeze, which makes a node's state file system stand still for a snapshot: whatever becomes of who started it, the file system goes on.
bats_require_minimum_version 1.5.0

setup() {
	FREEZE=$(dirname "$(command -v ssi)")/../libexec/ssi/node-freeze
	FOLDER=$BATS_TEST_TMPDIR/mnt
	PATH=$PATH:/usr/sbin:/sbin
	mkdir "$FOLDER"
	truncate -s 64M "$BATS_TEST_TMPDIR/disk"
	mkfs.ext4 -q -F "$BATS_TEST_TMPDIR/disk"
	mount -o loop "$BATS_TEST_TMPDIR/disk" "$FOLDER" 2>/dev/null || skip "no file system can be mounted here"
}

teardown() {
	fsfreeze -u "$FOLDER" 2>/dev/null || true
	! mountpoint -q "$FOLDER" || umount "$FOLDER"
}

# Start it with an input that stays open until "let_go"; it has said "frozen" when this returns.
freeze() { # SECONDS
	local word
	mkfifo "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
	"$FREEZE" "$FOLDER" "$1" <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	PID=$!
	exec 8>"$BATS_TEST_TMPDIR/in" 9<"$BATS_TEST_TMPDIR/out"
	read -r -t 10 word <&9
	[ "$word" = frozen ]
}

# A write that nobody waits for: true when it is done within half a second.
writes() {
	rm -f "$BATS_TEST_TMPDIR/wrote"
	(echo x >"$FOLDER/probe" && : >"$BATS_TEST_TMPDIR/wrote") 3>&- 8>&- 9>&- &
	local i
	for ((i = 0; i < 10; i++)); do
		[ ! -e "$BATS_TEST_TMPDIR/wrote" ] || return 0
		sleep 0.05
	done
	return 1
}

goes_on() { # SECONDS
	local end=$((SECONDS + $1))
	until [ -e "$BATS_TEST_TMPDIR/wrote" ]; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
	writes
}

@test "it stands still until it is told to go on, and is closed on its disk meanwhile" {
	freeze 20
	if writes; then false; fi
	if dumpe2fs -h "$BATS_TEST_TMPDIR/disk" 2>/dev/null | grep -q needs_recovery; then false; fi
	exec 8>&-
	wait "$PID"
	goes_on 5
}

@test "its time is over: it goes on by itself, and says so" {
	local status=0
	freeze 1
	if writes; then false; fi
	goes_on 10
	wait "$PID" || status=$?
	[ "$status" -eq 3 ]
	grep -q 'it went on by itself after 1 s' "$BATS_TEST_TMPDIR/err"
}

@test "whoever started it is killed: it goes on at once" {
	freeze 60
	if writes; then false; fi
	kill -KILL "$PID"
	goes_on 5
}

@test "its guardian is told to end: it goes on at once" {
	freeze 60
	if writes; then false; fi
	pkill -TERM -f -P "$PID" node-freeze
	goes_on 5
}

# shellcheck disable=SC2154 # run sets stderr
@test "what cannot stand still says so" {
	run --separate-stderr "$FREEZE" "$BATS_TEST_TMPDIR/nowhere" 5 </dev/null
	[ "$status" -eq 1 ]
	[[ $stderr == *'No such file or directory' ]]
	run --separate-stderr "$FREEZE" /proc 5 </dev/null
	[ "$status" -eq 1 ]
	[[ $stderr == '/proc: cannot be made to stand still: '* ]]
	run "$FREEZE" "$FOLDER" 0 </dev/null
	[ "$status" -eq 2 ]
}
