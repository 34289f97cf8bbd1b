# shellcheck shell=bash disable=SC2317 # what await calls is reached
# SPDX-License-Identifier: GPL-2.0-or-later
# The bodies of state.bats: as bootsvc-cases.bash, whose nodes these are, for state volumes. Nobody mounts them here: what is written into one stands for it.

# shellcheck source=SCRIPTDIR/bootsvc-cases.bash
. "${BASH_SOURCE[0]%/*}/bootsvc-cases.bash"

MAC=52:54:00:00:00:01

# An image whose nodes can log in to disks of the master's.
with_initiator() {
	[ ! -e store/compute/current/initramfs-iscsi ] || return 0
	cp -r store/compute/current/ store/compute/.new
	echo initiator >store/compute/.new/initramfs-iscsi
	jq -c --arg sha "$(sha256sum store/compute/.new/initramfs-iscsi | cut -d' ' -f1)" '.files["initramfs-iscsi"] = {size: 10, sha256: $sha}' \
		store/compute/current/manifest.json >store/compute/.new/manifest.json
	publish .new
}

with_state() { # KEY = VALUE...
	with_initiator
	printf '[node n01]\nstate = disk\nstate_size = 512M\n' >nodes.d/20-state.ini
	[ $# = 0 ] || printf '%s\n' "$@" >>nodes.d/20-state.ini
}

booted() {
	boot "$MAC" >script
	grep -q '^kernel' script
}

volume() { # FIELD
	ssi node state list n01 -o json | jq -r ".[0].$1"
}

is() { # STATE
	[ "$(volume state)" = "$1" ]
}

file() {
	find state/volumes/demo/n01 -name 'volume-*.img' | sort -V | tail -n 1
}

# The node boots, has its volume, and is joined; then it is off again, in order.
up() {
	await 20 booted
	node_up "$MAC"
	await 20 joined
}

joined() {
	[ "$(node n01 state)" = joined ] && [ "$(volume incarnation)" = "$(node n01 incarnation)" ]
}

off() {
	nsenter -t "$(cat "agent-$MAC")" -m sh -c 'echo poweroff >/run/ssi/shutdown'
	kill "$(cat "agent-$MAC")" "$(cat "init-$MAC")" 2>/dev/null || :
	await 15 node_is off
}

node_is() {
	[ "$(node n01 state)" = "$1" ]
}

said() { # KIND PATTERN
	events "$1" | grep -q "$2"
}

new_generation() {
	cp -r "store/compute/$(readlink store/compute/current)" store/compute/.new
	sed -i "s/^{/{\"note$RANDOM$RANDOM\":1,/" store/compute/.new/manifest.json
	publish .new
}

case_first_use() {
	with_state "state_fs = ${1:-ext4}"
	start_daemon --no-dhcp
	[ "$(ssi node state list)" != '' ]
	is none
	boot "$MAC" >script
	grep -q 'n01 cannot boot yet: its state volume is being made' script
	grep -q '^sleep 1$' script       # which takes a moment
	await 20 booted
	[ "$(arg state <script)" = "disk:UUID=$(volume uuid)" ]
	[ "$(blkid -o value -s UUID "$(file)")" = "$(volume uuid)" ]
	[ "$(blkid -o value -s TYPE "$(file)")" = "${1:-ext4}" ]
	[ "$(stat -c '%a %s' "$(file)")" = '600 536870912' ]
	[ "$(stat -c %a state/volumes/demo/n01)" = 700 ]
	[ "$(du -k "$(file)" | cut -f 1)" -lt 131072 ]
	said state 'state volume made: 512.0 MiB of'
	# The same at the next question, and after a restart.
	kill_daemon
	start_daemon --no-dhcp
	boot "$MAC" >again
	[ "$(arg state <again)" = "$(arg state <script)" ]
	if boot 52:54:00:00:00:02 | grep -q ssi.state; then fail 'it should not'; fi
}

case_first_use_xfs() {
	case_first_use xfs
}

case_killed_while_made() {
	local i
	with_state
	for i in 1 2 3 4 5; do
		start_daemon --no-dhcp
		boot "$MAC" >script
		sleep "0.00$i"
		kill_daemon
	done
	start_daemon --no-dhcp
	await 20 booted
	e2fsck -fn "$(file)"
	[ "$(find state/volumes -name '*.tmp' | wc -l)" = 0 ]
	[ "$(find state/volumes -name '*.img' | wc -l)" = 1 ]
}

case_lost_file() {
	with_state
	start_daemon --no-dhcp
	await 20 booted
	mv "$(file)" away
	boot "$MAC" >script
	grep -q 'n01 cannot boot: the file of its state volume is gone' script
	is missing
	[ "$(find state/volumes -name '*.img' | wc -l)" = 0 ]
	# Another file system in its place is not taken for it.
	truncate -s 512M state/volumes/demo/n01/volume-1.img
	mkfs.ext4 -q -F state/volumes/demo/n01/volume-1.img
	boot "$MAC" | grep -q 'is another file system'
	mv away state/volumes/demo/n01/volume-1.img
	booted
	# Begun anew by order alone.
	local uuid
	uuid=$(volume uuid)
	rm "$(file)"
	ssi node state rm n01
	is none
	await 20 booted
	[ "$(volume uuid)" != "$uuid" ]
	# And the other way round: the store is lost, the volume is there.
	bootsvc stop
	wait "$DAEMON" || :
	rm state/bootsvc.db*
	start_daemon --no-dhcp
	boot "$MAC" | grep -q 'is a state volume that the daemon.s store does not know'
	[ "$(find state/volumes -name '*.img' | wc -l)" = 1 ]
}

# What a power cut leaves: mounted, with a journal to be replayed. The master's own file of it is changed as a mount would.
unclean() {
	debugfs -w -R 'feature needs_recovery' "$(file)" 2>/dev/null
	is "$1"
}

case_check() {
	local uuid
	with_state
	start_daemon --no-dhcp
	up
	uuid=$(volume uuid)
	unclean open
	# It is its own while it runs: whoever asks in its machine's name gets a script, and nothing is done to the volume.
	booted
	dumpe2fs -h "$(file)" 2>/dev/null | grep -q needs_recovery
	if ssi node state restore n01 nothing 2>err; then fail 'a snapshot that is none'; fi
	grep -q 'n01: n01 has no snapshot nothing' err
	if ssi node state rm n01 2>err; then fail 'removed in use'; fi
	grep -q 'it runs with its volume' err
	off
	# Its next boot takes it, and it is checked in between.
	up
	said state 'was not closed: checked, it is sound'
	if dumpe2fs -h "$(file)" 2>/dev/null | grep -q needs_recovery; then fail 'it should not'; fi
	[ "$(volume uuid)" = "$uuid" ]
	[ "$(volume incarnation)" = 2 ]
}

case_damaged() {
	with_state
	start_daemon --no-dhcp
	up
	off
	ssi node state snapshot n01 good
	unclean unclean
	# The root directory's inode is no more; e2fsck -p does not decide that by itself.
	debugfs -w -R 'clri <2>' "$(file)" 2>/dev/null
	asked() { boot "$MAC" | grep -q 'n01 cannot boot: its state volume is damaged (e2fsck: '; }
	await 20 asked
	is damaged
	said state 'is damaged, and not given out'
	ssi node state restore n01 good
	up
	ssi node state show n01 --names | grep -q '^before-restore-'
}

case_upgrade_ask() {
	local uuid
	with_state
	start_daemon --no-dhcp
	up
	uuid=$(volume uuid)
	off
	new_generation
	boot "$MAC" >script
	grep -q "n01 cannot boot yet: its image.s generation is another .*ssi node state accept n01 keep" script
	is asks
	[ "$(events state | grep -c 'it waits until')" = 1 ]
	boot "$MAC" >/dev/null
	[ "$(events state | grep -c 'it waits until')" = 1 ]
	if ssi node state accept n01 maybe 2>err; then fail 'neither keep nor fresh'; fi
	[ "$(ssi node state accept n01 keep)" = 'n01: decided; its machine goes on by itself' ]
	if ssi node state accept n01 fresh 2>err; then fail 'twice'; fi
	grep -q 'waits for no decision' err
	up
	[ "$(volume uuid)" = "$uuid" ]
	[ "$(volume generation)" = "$(readlink store/compute/current)" ]
	off
	# Once decided it is not asked again; the next generation is another question.
	booted
	new_generation
	boot "$MAC" | grep -q 'ssi node state accept n01 keep'
	ssi node state accept n01 fresh
	up
	[ "$(volume uuid)" != "$uuid" ]
	[ "$(volume 'snapshots[0].how')" = moved ]
	[ "$(blkid -o value -s UUID state/volumes/demo/n01/volume-1.img)" = "$uuid" ]
	[ "$(blkid -o value -s UUID state/volumes/demo/n01/volume-2.img)" = "$(volume uuid)" ]
}

case_upgrade_policy() {
	local uuid
	with_state 'state_on_upgrade = keep'
	start_daemon --no-dhcp
	up
	uuid=$(volume uuid)
	off
	new_generation
	up
	[ "$(volume uuid)" = "$uuid" ]
	said state 'the volume is kept, and lies over the new one'
	off
	with_state 'state_on_upgrade = fresh'
	bootsvc reload
	new_generation
	await 20 booted
	[ "$(arg state <script)" != "disk:UUID=$uuid" ]
	# Armed alone it is not exchanged, and the daemon may be killed in between.
	[ "$(volume uuid)" = "$uuid" ]
	kill_daemon
	start_daemon --no-dhcp
	up
	[ "$(volume uuid)" != "$uuid" ]
	[ "$(volume 'snapshots | length')" = 1 ]
	# What was kept can be had back.
	off
	ssi node state restore n01 "$(volume 'snapshots[0].name')"
	[ "$(volume uuid)" = "$uuid" ]
	[ "$(volume 'snapshots | length')" = 2 ]
}

case_snapshot() {
	local name
	with_state
	start_daemon --no-dhcp
	up
	off
	printf 'first\n' >content
	debugfs -w -R 'write content kept' "$(file)" 2>/dev/null
	[ "$(ssi node state snapshot n01 one)" = 'n01: snapshot one' ]
	if ssi node state snapshot n01 one 2>err; then fail 'the same name twice'; fi
	grep -q 'has a snapshot one already' err
	for name in ../x .x 'a b'; do
		if ssi node state snapshot n01 "$name" 2>err; then fail "a snapshot named $name"; fi
	done
	ssi node state snapshot n01 -o json | jq -e '.snapshot | startswith("at-")'
	printf 'second\n' >content
	debugfs -w -R 'rm kept' "$(file)" 2>/dev/null
	debugfs -w -R 'write content kept' "$(file)" 2>/dev/null
	ssi node state restore n01 one
	[ "$(debugfs -R 'cat kept' "$(file)" 2>/dev/null)" = first ]
	e2fsck -fn "$(file)"
	[ "$(volume 'snapshots | length')" = 3 ]
	[ "$(stat -c %a state/volumes/demo/n01/snapshot-one.img)" = 600 ]
	ssi node state rm n01 one
	[ ! -e state/volumes/demo/n01/snapshot-one.img ]
	if ssi node state rm n01 one 2>err; then fail 'removed twice'; fi
	grep -q 'has no snapshot one' err
	up
	# Copied sparse.
	[ "$(du -k "$(file)" | cut -f 1)" -lt 65536 ]
	# Of a node that runs, its file system stands still; this one has no such program, or no such folder.
	if ssi node state snapshot n01 two 2>err; then fail 'an open volume without a freeze'; fi
	grep -qE 'n01: .*(stand still|No such file)' err
	[ "$(find state/volumes -name '*two*' | wc -l)" = 0 ]
	off
	ssi node state rm n01
	is none
	[ "$(ssi node state show n01 --names | wc -l)" = 2 ]
	name=$(ssi node state show n01 --names | head -n 1)
	ssi node state restore n01 "$name"
	is closed
	up
}

# What doc/state.md says of "keep", with the options that ssi-init mounts with: a layer that was written over one generation lies over the next.
overlay_on() { # LOWER
	mount -t overlay overlay -o "lowerdir=$1,upperdir=rw/upper,workdir=rw/work,index=off,metacopy=off,redirect_dir=off,xino=off" top
}

case_overlay() {
	mkdir -p one/dir one/replaced two/dir two/replaced rw top
	mount -t tmpfs none rw
	mkdir rw/upper rw/work
	overlay_on one 2>/dev/null && umount top || return 77
	echo first | tee one/changed one/same one/removed one/dir/old one/replaced/old >/dev/null
	echo second | tee two/changed two/same two/removed two/dir/old two/dir/new two/replaced/new two/added >/dev/null
	overlay_on one
	echo mine >>top/changed
	echo mine >top/dir/mine
	rm -r top/removed top/replaced
	mkdir top/replaced
	if perl -e 'exit !rename "top/dir", "top/renamed"'; then fail 'a directory of the image was renamed'; fi
	umount top
	overlay_on two
	[ "$(cat top/changed)" = $'first\nmine' ]
	[ "$(cat top/same) $(cat top/added)" = 'second second' ]
	[ ! -e top/removed ]
	[ "$(echo top/dir/*)" = 'top/dir/mine top/dir/new top/dir/old' ]
	[ "$(cat top/dir/old)" = second ]
	[ -z "$(ls top/replaced)" ]
	umount top
	umount rw
}
