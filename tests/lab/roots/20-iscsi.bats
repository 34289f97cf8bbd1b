#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Roots over iSCSI: one generation over NFS, iSCSI and in memory side by side; who is let in; a daemon that goes away and comes back.

# shellcheck disable=SC2016  # what stands in single quotes is expanded on the node

load ../lab.bash

IQN=iqn.2026-11.internal.ssi:lab
TARGET=/sys/kernel/config/target/iscsi/$IQN/tpgt_1

teardown() { show_trouble; }

boot_with() { # NODE KEY=VALUE...
	local node=$1
	shift
	INC=$(field "$node" incarnation)
	ssi node set "$node" "$@"
	lab power cut "m${node#n}"
	lab power on "m${node#n}"
}

door() { # NODE INCARNATION
	master test -e "$TARGET/acls/$IQN:$1:$2/lun_0/ssi"
}

# The class of the target's answer to a login's first word (RFC 7143, 11.13.5): 0 go on, 2 refused, or it hangs up.
login() { # INITIATOR AUTH
	master python3 -c '
import socket, struct, sys
text = b"".join(k + b"\0" for k in (b"InitiatorName=" + sys.argv[1].encode(), b"TargetName=" + sys.argv[2].encode(), b"SessionType=Normal", b"AuthMethod=" + sys.argv[3].encode()))
head = struct.pack(">BBBBI6sHIHHII16x", 0x43, 0x81, 0, 0, len(text), b"\x80\0\0\0\0\1", 0, 1, 0, 0, 1, 0)
s = socket.create_connection(("10.77.0.1", 3260), 10)
s.sendall(head + text + b"\0" * (-len(text) % 4))
answer = b""
while len(answer) < 48:
    more = s.recv(48 - len(answer))
    if not more: sys.exit(print("hung up"))
    answer += more
print(answer[36])' "$1" "$IQN" "$2"
}

refused() { # INITIATOR
	[ "$(login "$1" CHAP)" = 2 ]
}

# How long the login took is a stage of its own; the figure itself is bench/roots' business, for a machine with nothing else to do.
login_told() { # NODE
	ssi node show "$1" -o json | jq -e '.[0].boot | (map({ (.stage): (.end_ms - .start_ms) }) | add) as $ms | ($ms | { kernel, login } | stderr) | .login > 0'
}

session() { # NODE
	node_sh "$1" 'cat /sys/class/iscsi_session/session*/state'
}

logged_in() { # NODE
	[ "$(session "$1")" = LOGGED_IN ]
}

nothing_of_ours() {
	master sh -c '! ls -d /sys/kernel/config/target/iscsi/iqn* /sys/kernel/config/target/core/iblock_* /sys/kernel/config/target/core/fileio_* 2>/dev/null'
}

# Reads of the image without end, and says so when a read fails. What is read comes from no cache; the node has to be heard meanwhile.
reader() { # NODE
	node_sh "$1" 'rm -f /run/reader.*; (set -e; trap "echo failed >/run/reader.failed" EXIT; n=0
		while :; do echo 1 >/proc/sys/vm/drop_caches; cat /usr/lib/x86_64-linux-gnu/libgnutls.so.30 /usr/bin/perl >/dev/null; n=$((n + 1)); echo $n >/run/reader.count; sleep 0.5; done) >/dev/null 2>/run/reader.errors &'
}

reads() { # NODE
	node_sh "$1" 'cat /run/reader.count 2>/dev/null || echo 0' || echo 0
}

reads_on() { # NODE COUNT
	[ "$(reads "$1")" -gt "$2" ]
}

setup_file() {
	all_up
}

@test "one word and a reboot each: the same generation over NFS, iSCSI and in memory" {
	boot_with n02 root=iscsi
	local old=$INC
	boot_with n03 root=ram
	await 300 joined_after n02 "$old"
	await 300 joined_after n03 "$INC"
	ssi node list
	node_sh n01 'grep " /run/ssi/root/lower nfs4 " /proc/mounts'
	node_sh n02 'grep "^/dev/sd[a-z]* /run/ssi/root/lower erofs ro," /proc/mounts'
	node_sh n03 'grep "^/dev/loop[0-9]* /run/ssi/root/lower erofs ro," /proc/mounts'
	[ "$(field n01 root) $(field n02 root) $(field n03 root)" = 'nfs iscsi ram' ]
	[ "$(field n02 generation)" = "$(field n01 generation)" ]
	[ "$(field n03 generation)" = "$(field n01 generation)" ]
	logged_in n02
	node_sh n02 'grep -q " / overlay " /proc/mounts && ! grep -q nfs4 /proc/mounts'
}

@test "the login is a stage of the boot, with its time" {
	ssi node show n02
	login_told n02
}

@test "the image is one write-protected LUN, its disk is the generation's, nobody can write to it" {
	local generation inc
	generation=$(field n02 generation)
	inc=$(field n02 incarnation)
	door n02 "$inc"
	[ "$(master cat "$TARGET/acls/$IQN:n02:$inc/lun_0/write_protect" "$TARGET/enable" "$TARGET/attrib/generate_node_acls" "$TARGET/attrib/authentication")" = $'1\n1\n0\n1' ]
	[ "$(master sh -c "ls -d $TARGET/lun/lun_* | wc -l")" = 1 ]
	[ "$(master sh -c "ls $TARGET/acls")" = "$IQN:n02:$inc" ]
	master targetcli ls /iscsi | grep -q "$IQN:n02:$inc"
	master targetcli ls /backstores/block | grep -q "ssi-${generation:7:32}"
	node_sh n02 'tail -c +5 /sys/block/sd*/device/vpd_pg80' | grep -q "${generation:7:32}"
	run node_sh n02 'echo x >$(grep -o "^/dev/sd[a-z]*" /proc/mounts)'
	[ "$status" -ne 0 ]
}

@test "an image and a state volume: two disks, one session, one login" {
	boot_with n03 root=iscsi state=disk state_size=512M
	await 300 joined_after n03 "$INC"
	[ "$(node_sh n03 'ls -d /sys/class/iscsi_session/session* | wc -l')" = 1 ]
	node_sh n03 'grep "^/dev/sd[a-z]* /run/ssi/root/lower erofs ro," /proc/mounts && grep "^/dev/sd[a-z]* /run/ssi/root/rw ext4 rw," /proc/mounts'
	ssi node show n03
	login_told n03
	master targetcli ls / | tee /dev/stderr | grep -q 'ssi-n03:'
	[ "$(master sh -c "cat $TARGET/acls/$IQN:n03:*/lun_1/write_protect")" = 0 ]
	master sh -c "! ls -d $TARGET/acls/$IQN:n02:*/lun_1"
}

@test "an ordered stop and a start while the node reads its image: it waits and goes on, no read fails" {
	local count
	reader n02
	await 60 reads_on n02 0
	master ssi-bootsvc stop
	await 30 nothing_of_ours
	master sh -c '! losetup -a | grep ssi-iscsi'
	[ "$(master targetcli ls /iscsi | grep -c iqn || true)" = 0 ]
	master systemctl start ssi-bootsvc
	await 60 daemon_answers
	await 120 in_state n02 joined
	await 120 answer n02
	await 60 logged_in n02
	count=$(reads n02)
	await 120 reads_on n02 $((count + 1))
	node_sh n02 '! test -e /run/reader.failed && ! test -s /run/reader.errors'
}

@test "nobody else may log in, and not without the secret" {
	local inc
	inc=$(field n02 incarnation)
	refused "$IQN:n02:$((inc + 1))"
	refused "$IQN:n02:$((inc - 1))"
	refused "$IQN:n01:$(field n01 incarnation)"
	refused iqn.1993-08.org.debian:01:stranger
	[ "$(login "$IQN:n02:$inc" None)" != 0 ]
	# It asks for CHAP, and goes on from there.
	[ "$(login "$IQN:n02:$inc" CHAP)" = 0 ]
	await 60 logged_in n02
}

@test "the session's keeper and iscsid live in memory, apart from the root, and systemd would spare them" {
	node_sh n02 'pid=$(pgrep -f ^@iscsid) && [ -n "$pid" ] && readlink /proc/$pid/root && ! grep -q " / overlay " /proc/$pid/mounts &&
		[ "$(cat /proc/$pid/oom_score_adj)" -le -900 ] && grep -q "^Name:.*iscsid" /proc/$pid/status'
}

@test "the daemon is killed: nothing changes on the target, no session is lost" {
	local before
	before=$(master sh -c 'find /sys/kernel/config/target/core/iblock_* /sys/kernel/config/target/iscsi/iqn* -maxdepth 6 | sort')
	daemon_kill
	await 60 daemon_answers
	await 120 answer 'n[01-03]'
	[ "$(master sh -c 'find /sys/kernel/config/target/core/iblock_* /sys/kernel/config/target/iscsi/iqn* -maxdepth 6 | sort')" = "$before" ]
	logged_in n02
}

# The first word of a login from a node, and its answer; what should come next never does. ARGV: initiator, target.
half_a_login='use IO::Socket::INET; my $t = join("", map { "$_\0" } "InitiatorName=$ARGV[0]", "TargetName=$ARGV[1]", "SessionType=Normal", "AuthMethod=CHAP");
	my $h = pack("C4 N a6 n N n n N N x16", 0x43, 0x81, 0, 0, length $t, "\x80\0\0\0\0\1", 0, 1, 0, 0, 1, 0);
	my $s = IO::Socket::INET->new("10.77.0.1:3260") or die; $s->autoflush(1); print $s $h, $t, "\0" x (-length($t) % 4); sysread($s, $a, 48) == 48 or die;
	open(F, ">", "/run/half") or die; print F ord(substr($a, 36, 1)); close F; sleep 600;'

@test "a machine that dies in the middle of a login keeps nobody else out" {
	local old inc
	old=$(field n03 incarnation)
	inc=$(field n02 incarnation)
	node_sh n03 "setsid perl -e '$half_a_login' $IQN:n03:$old $IQN >/dev/null 2>&1 </dev/null & sleep 0.1"
	await 30 node_sh n03 'grep -qx 0 /run/half'
	lab power cut m03
	await 15 in_state n03 detached
	sleep 1
	[ "$(login "$IQN:n02:$inc" CHAP)" = 0 ]
	lab power on m03
	await 300 joined_after n03 "$old"
	logged_in n02
}

in_at() { # NODE ADDRESS
	[ "$(node_sh "$1" 'cat /sys/class/iscsi_connection/connection*/persistent_address')" = "$2" ]
}

@test "a second portal: the target is at both, and a node logs in at the one that answers" {
	master sh -c 'ip addr add 10.77.0.9/24 dev "$(ip -o -4 addr show to 10.77.0.1 | cut -d " " -f 2)"; printf "[system lab]\nportal = 10.77.0.9\n" >/etc/ssi/nodes.d/95-portal.ini; ssi-bootsvc reload'
	await 60 master test -e "$TARGET/np/10.77.0.9:3260"
	master test -e "$TARGET/np/10.77.0.1:3260"
	local old
	old=$(field n03 incarnation)
	ssi node reboot n03
	await 300 joined_after n03 "$old"
	in_at n03 10.77.0.1
	master sh -c 'nft add table inet lab72; nft add chain inet lab72 in "{ type filter hook input priority 0; }"; nft add rule inet lab72 in ip daddr 10.77.0.1 tcp dport 3260 reject with tcp reset'
	boot_with n03 root=iscsi
	await 300 joined_after n03 "$INC"
	in_at n03 10.77.0.9
	master sh -c 'nft delete table inet lab72; rm /etc/ssi/nodes.d/95-portal.ini; ssi-bootsvc reload; ip addr del 10.77.0.9/24 dev "$(ip -o -4 addr show to 10.77.0.9 | cut -d " " -f 2)"'
	await 60 master sh -c "! test -e '$TARGET/np/10.77.0.9:3260'"
}
