#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What the master exports and what it has as iSCSI targets is exactly what is wanted: before and after fifty random changes of nodes.d, while a node runs; after
# stop, nothing. What is wanted is worked out here from what was written, not asked of the daemon.

load ../lab.bash

CONF=/etc/ssi/nodes.d/80-changes.ini
NET=10.77.0.0/24
IQN=iqn.2026-11.internal.ssi:lab
CHANGES=50

# What n01 runs with, which stays whatever nodes.d says: its root, and /srv/a.
setup_file() {
	# shellcheck disable=SC2016
	master sh -c 'for d in a b c; do mkdir -p /run/ssi/root/rw/srv/$d /srv/$d && mount --bind /run/ssi/root/rw/srv/$d /srv/$d; done'
	all_off
	master sh -c "printf '[system lab]\nshared = /srv/a\n' >$CONF && ssi-bootsvc reload"
	ssi node power n01 on
	await 300 in_state n01 joined
}

teardown() { show_trouble; }

# "PATH CLIENT rw|ro SQUASH" for each export; then the targets, their LUNs and doors, the disks behind them, loop devices and mounts, as the kernel has them.
actual() {
	master sh -c "exportfs -v | awk '/^\\// { path = \$1; where = \$2 } /^[ \\t]/ { where = \$1 } where != \"\" {
			client = where; sub(/\\(.*/, \"\", client); print \"export\", path, client, where ~ /[(,]rw[,)]/ ? \"rw\" : \"ro\",
			where ~ /no_root_squash/ ? \"root\" : \"squashed\"; where = \"\" }'
		cd /sys/kernel/config/target 2>/dev/null && ls -d iscsi/iqn* iscsi/iqn*/tpgt_1/acls/* core/iblock_*/ssi-* core/fileio_*/ssi-* 2>/dev/null | sed 's/iblock_[0-9]*/iblock/; s/^/target /'
		cd /sys/kernel/config/target 2>/dev/null && ls -d iscsi/iqn*/tpgt_1/lun/lun_*/ssi 2>/dev/null | sed 's/lun_[0-9]*/lun/; s/^/target /'
		awk '\$2 ~ /^\\/run\\/ssi\\/export/ { print \"mount\", \$2 }' /proc/mounts" | sort
}

# The same from ROOT (of each node in nodes.d), SHARED (path to "" or ":no_root_squash") and what n01 runs.
wanted() {
	local path name kinds
	kinds=" ${ROOT[*]} $RUNS "
	{
		if [[ $kinds == *' nfs '* ]]; then
			echo "export /run/ssi/export/$GENERATION $NET ro root"
			echo "mount /run/ssi/export/$GENERATION"
		fi
		for path in /srv/a /srv/b /srv/c; do
			name=/run/ssi/export/shared${path//\//+}
			if [ -n "${SHARED[$path]+there}" ]; then
				echo "export $name $NET rw $([ -n "${SHARED[$path]}" ] && echo root || echo squashed)"
				echo "mount $name"
			elif [ "$path" = /srv/a ] && [ -n "$RUNS" ]; then
				echo "export $name $NET rw squashed"
				echo "mount $name"
			fi
		done
		if [[ $kinds == *' nfs '* ]] || [ "${#SHARED[@]}" -gt 0 ] || [ -n "$RUNS" ]; then
			echo "export /run/ssi/export $NET ro root"
			echo "mount /run/ssi/export"
		fi
		if [[ $kinds == *' iscsi '* ]]; then
			echo "target iscsi/$IQN"
			echo "target iscsi/$IQN/tpgt_1/lun/lun/ssi"
			echo "target core/iblock/ssi-${GENERATION:7:32}"
		fi
	} | sort
}

write_conf() {
	local i path shared=''
	for path in "${!SHARED[@]}"; do
		shared+=" $path${SHARED[$path]}"
	done
	{
		printf '[system lab]\nshared =%s\n' "$shared"
		for i in 1 2 3 4 5 6; do
			printf '[node n%02d]\nroot = %s\nstate = %s\n' "$i" "${ROOT[$i]}" "${STATE[$i]}"
		done
	} >"$BATS_TEST_TMPDIR/conf"
	master sh -c "printf '%s' '$(<"$BATS_TEST_TMPDIR/conf")' >$CONF && ssi-bootsvc reload"
}

agree() {
	[ "$(actual)" = "$(wanted)" ]
}

show_difference() {
	diff <(wanted) <(actual)
}

# One thing at random: a node's root or its state, a folder shared or not or with root.
change() {
	local kinds=(nfs iscsi ram) states=(none disk) paths=(/srv/a /srv/b /srv/c) path
	case $((RANDOM % 4)) in
	0 | 1) ROOT[RANDOM % 6 + 1]=${kinds[RANDOM % 3]} ;;
	2) STATE[RANDOM % 6 + 1]=${states[RANDOM % 2]} ;;
	3)
		path=${paths[RANDOM % 3]}
		case $((RANDOM % 3)) in
		0) unset "SHARED[$path]" ;;
		1) SHARED[$path]='' ;;
		2) SHARED[$path]=:no_root_squash ;;
		esac
		;;
	esac
}

begin() {
	local i
	declare -gA SHARED=([/srv/a]='')
	declare -ga ROOT=() STATE=()
	for i in 1 2 3 4 5 6; do
		ROOT[i]=nfs STATE[i]=none
	done
	RUNS=nfs
	GENERATION=$(master readlink /var/lib/ssi/images/compute/current)
}

@test "fifty random changes of nodes.d: exports and targets are exactly what is wanted after each" {
	local i
	begin
	await 60 agree || show_difference
	RANDOM=${SSI_LAB_SEED:-30}
	for ((i = 1; i <= CHANGES; i++)); do
		change
		write_conf >/dev/null
		if ! await 60 agree >/dev/null; then
			echo "after change $i:"
			cat "$BATS_TEST_TMPDIR/conf"
			show_difference
			false
		fi
	done
	answer n01
	node_sh n01 'echo written >/srv/a/x 2>/dev/null; ls /srv/a >/dev/null && ls /usr/bin >/dev/null'
}

@test "targetcli and exportfs show the same" {
	local i
	begin
	for i in 2 3; do
		ROOT[i]=iscsi
	done
	write_conf
	await 60 agree || show_difference
	master targetcli ls / >"$BATS_TEST_TMPDIR/targets"
	cat "$BATS_TEST_TMPDIR/targets"
	grep -q 'o- iscsi .*\[Targets: 1\]' "$BATS_TEST_TMPDIR/targets"
	grep -q "o- $IQN " "$BATS_TEST_TMPDIR/targets"
	grep -q 'o- block .*\[Storage Objects: 1\]' "$BATS_TEST_TMPDIR/targets"
	grep -q "o- ssi-${GENERATION:7:32} " "$BATS_TEST_TMPDIR/targets"
	grep -q 'o- fileio .*\[Storage Objects: 0\]' "$BATS_TEST_TMPDIR/targets"
	grep -q 'o- luns .*\[LUNs: 1\]' "$BATS_TEST_TMPDIR/targets"
	[ "$(master exportfs -v | grep -c '^/')" = 3 ]
}

@test "a stop takes away what nobody stands on: n01 runs on; kill -9 and a start change nothing" {
	local before
	master systemctl stop ssi-bootsvc
	RUNS=nfs GENERATION=$(master readlink /var/lib/ssi/images/compute/current)
	declare -gA SHARED=()
	declare -ga ROOT=()
	await 30 agree || show_difference
	agree
	master grep -q shared+srv+a /etc/exports.d/ssi-bootsvc.exports
	master systemctl start ssi-bootsvc
	await 60 daemon_answers
	await 30 answer n01
	node_sh n01 'ls /srv/a >/dev/null; echo 3 >/proc/sys/vm/drop_caches; ls -R /usr/share >/dev/null; ! dmesg | grep -i stale'
	before=$(actual)
	daemon_kill
	await 60 daemon_answers
	sleep 2
	[ "$(actual)" = "$before" ]
}

@test "after stop, with all nodes off: nothing" {
	ssi node power n01 off
	await 60 in_state 'n[01-06]' off
	master ssi-bootsvc stop
	actual
	[ -z "$(actual)" ]
	[ -z "$(master exportfs -v)" ]
	master test ! -e /etc/exports.d/ssi-bootsvc.exports
	master sh -c '! losetup -a | grep -E "root.erofs|ssi"'
	master targetcli ls / >"$BATS_TEST_TMPDIR/targets"
	cat "$BATS_TEST_TMPDIR/targets"
	grep -q 'o- iscsi .*\[Targets: 0\]' "$BATS_TEST_TMPDIR/targets"
	[ "$(grep -c 'Storage Objects: 0' "$BATS_TEST_TMPDIR/targets")" = "$(grep -c 'Storage Objects' "$BATS_TEST_TMPDIR/targets")" ]
}
