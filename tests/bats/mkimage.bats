#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# ssi-mkimage with real tools (mkfs.erofs, dracut, veritysetup) on a small tree: what is built, what is done again, what an interrupt leaves,
# and the store's verbs. A whole Debian image is built by the lab. The programs are those in PATH.
# shellcheck disable=SC2154 # run sets stderr
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir tree store cache tools
	PROGRAMS=$(readlink -f "$(dirname "$(command -v ssi-mkimage)")/../..")
	make_tree tree
	mkdir -p overlay/etc
	echo one >overlay/etc/motd
	write_recipe >small.ini
}

make_tree() { # DIR: what a build needs of a tree, and traces that it must remove
	local modules=$1/lib/modules/1.0-test
	mkdir -p "$1"/{boot,etc,usr/share/doc/x,var/log,tmp,run} "$modules/kernel/drivers/net" "$modules/kernel/sound"
	echo kernel >"$1/boot/vmlinuz-1.0-test"
	as -o "$modules/kernel/drivers/net/fast_nic.ko" /dev/null
	as -o "$modules/kernel/sound/beep.ko" /dev/null
	touch "$modules/modules.order" "$modules/modules.builtin"
	depmod -b "$1" 1.0-test
	echo host-of-the-build >"$1/etc/machine-id"
	echo 'root:*:19999:0:99999:7:::' >"$1/etc/shadow"
	echo log >"$1/var/log/dpkg.log"
	echo text >"$1/usr/share/doc/x/copyright"
	echo program >"$1/usr/program"
	[ "$(id -u)" -ne 0 ] || chown 33:42 "$1/usr/program"
	chmod 750 "$1/usr/program"
	find "$1" -exec touch -h -d '2020-02-02 UTC' {} +
}

write_recipe() {
	cat <<-END
		[image]
		name = small
		source = directory
		path = tree
		[overlay]
		copy = overlay
		[modules]
		drop = sound
		[clean]
		remove = usr/share/doc boot/*
	END
}

build() { # ARGS...
	run --separate-stderr timeout 100 ssi-mkimage build --store store --cache cache --programs "$PROGRAMS" "$@" small.ini
}

mkimage() { # VERB ARGS...
	run --separate-stderr timeout 100 ssi-mkimage --store store --cache cache "$@"
}

built() {
	build
	[ "$status" -eq 0 ] || { echo "$stderr" >&2; return 1; }
	GENERATION=$(readlink store/small/current)
}

# A tool in front of the real one that says it was called and then waits to be ended.
stall() { # NAME
	cat >"tools/$1" <<-END
		#!/bin/sh
		echo > "$PWD/stalled"
		exec sleep 60
	END
	chmod +x "tools/$1"
	PATH=$PWD/tools:$PATH
}

unstall() {
	PATH=${PATH#"$PWD"/tools:}
	rm -rf tools/* stalled
}

until_true() { # COMMAND...: at most 30 s
	local _
	for _ in $(seq 300); do
		"$@" && return 0
		sleep 0.1
	done
	echo "never: $*" >&2
	return 1
}

listing() {
	find store -printf '%P %s %l\n' | sort
}

@test "a build makes a generation, named by its manifest, and current" {
	built
	[[ "$GENERATION" == sha256-* ]]
	[ "$(sha256sum <"store/small/$GENERATION/manifest.json" | cut -d' ' -f1)" = "${GENERATION#sha256-}" ]
	[ "$(find "store/small/$GENERATION" -type f -printf '%f\n' | sort | tr '\n' ' ')" = "initramfs manifest.json root.erofs root.verity vmlinuz " ]
	[ "$(cat "store/small/$GENERATION/vmlinuz")" = kernel ]
	[[ "$output" == "small/$GENERATION built in "* ]]
	[ -z "$(find store cache -name '.tmp-*')" ]
}

@test "the root holds the tree, the overlay, and no trace of where it was built" {
	built
	fsck.erofs --extract=out "store/small/current/root.erofs" >/dev/null
	[ "$(cat out/etc/motd)" = one ]
	[ ! -e out/usr/share/doc ] && [ ! -e out/boot/vmlinuz-1.0-test ] && [ ! -e out/var/log/dpkg.log ]
	[ ! -e out/lib/modules/1.0-test/kernel/sound ]
	[ ! -s out/etc/machine-id ]
	[ "$(cut -d: -f3 out/etc/shadow)" = $((1580601600 / 86400)) ]
	[ "$(stat -c %a out/usr/program)" = 750 ]
	[ "$(find out -newermt '2020-02-03')" = "" ]
	if [ "$(id -u)" = 0 ]; then
		[ "$(stat -c %u:%g out/usr/program)" = 33:42 ]
		[ "$(stat -c %u:%g out/etc/motd)" = 0:0 ]
	fi
}

@test "the initramfs has ssi-init, its helpers and busybox, all of root" {
	built
	zstd -dc store/small/current/initramfs >initramfs.cpio
	run cpio -tv --quiet <initramfs.cpio
	[ "$status" -eq 0 ]
	[[ "$output" == *" init"* && "$output" == *"/busybox"* && "$output" == *"libexec/ssi/init-drivers"* ]]
	[[ "$output" != *"usr/lib/dracut"* ]]
	[ "$(grep -c '^[bc]' <<<"$output")" = 0 ]        # no device: an ordinary user, who can make none, gets the same
	run ! grep -vE '^[^ ]+ +[0-9]+ root +root ' <<<"$output"
}

@test "the initramfs has the drivers that were asked for, and every index that libkmod opens" {
	local index
	printf '[initramfs]\ndrivers = fast-nic\n' >>small.ini
	built
	zstd -dc store/small/current/initramfs >initramfs.cpio
	run cpio -t --quiet <initramfs.cpio
	[[ "$output" == *"/kernel/drivers/net/fast_nic.ko"* && "$output" != *beep.ko* ]]
	for index in dep alias symbols builtin; do
		[[ "$output" == *"/modules.$index.bin"* ]] || { echo "no modules.$index.bin" >&2; return 1; }
	done
}

@test "with nothing changed a second build does nothing, in less than 3 s" {
	local before start
	built
	before=$(listing)
	start=$(date +%s%N)
	built
	[ $(($(date +%s%N) - start)) -lt 3000000000 ]
	[[ "$output" == *"is as it was"* ]]
	[ "$(listing)" = "$before" ]
}

@test "a changed overlay makes a new root only" {
	local first
	built
	first=$GENERATION
	echo two >overlay/etc/motd
	built
	[ "$GENERATION" != "$first" ]
	[ "$(readlink store/small/previous)" = "$first" ]
	[[ "$stderr" == *"initramfs"*"as before"* ]]
	cmp "store/small/$first/initramfs" store/small/current/initramfs
	# And back: the old results are still known.
	echo one >overlay/etc/motd
	built
	[ "$GENERATION" = "$first" ]
	[[ "$stderr" == *"root"*"as before"* ]]
}

@test "the same inputs give the same digest, wherever they lie, whenever and under whatever umask they are built" {
	built
	mkdir -p elsewhere/store
	cp -a tree overlay small.ini elsewhere/
	cd elsewhere
	umask 077
	# Nothing of the first build's cache is used.
	run --separate-stderr timeout 100 ssi-mkimage build --store store --cache other-cache --programs "$PROGRAMS" small.ini
	[ "$status" -eq 0 ]
	[ "$(readlink store/small/current)" = "$GENERATION" ]
	cmp store/small/current/root.erofs ../store/small/current/root.erofs
	cmp store/small/current/initramfs ../store/small/current/initramfs
	cmp store/small/current/root.verity ../store/small/current/root.verity
}

@test "SOURCE_DATE_EPOCH: no file is newer; what is no time is refused before anything is done" {
	local wrong
	for wrong in soon -1 4294967296 18446744073709551616; do
		SOURCE_DATE_EPOCH=$wrong build
		[ "$status" -eq 1 ] && [[ "$stderr" == *"SOURCE_DATE_EPOCH is '$wrong'"* ]]
	done
	[ -z "$(find store cache -mindepth 1)" ]
	SOURCE_DATE_EPOCH=1500000000 build
	[ "$status" -eq 0 ]
	fsck.erofs --extract=out store/small/current/root.erofs >/dev/null
	[ "$(find out -type f -newermt '@1500000000')" = "" ]
	[ "$(jq -r .inputs.epoch store/small/current/manifest.json)" = 1500000000 ]
}

@test "--dry-run prints the plan and changes nothing" {
	build --dry-run
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
	[[ "$output" == *unpack*initramfs*overlay*modules*clean*root*verity*publish* ]]
	[ -z "$(find store cache -mindepth 1)" ]
	build --dry-run -o json
	[ "$(jq -r '[.plan[] | select(.cached)] | length' <<<"$output")" = 0 ]
	built
	build --dry-run -o json
	[ "$(jq -r '[.plan[] | select(.cached) | .step] | join(" ")' <<<"$output")" = "initramfs root" ]
}

@test "--refresh does everything again, and loses nothing when it fails" {
	local first
	built
	first=$GENERATION
	stall mkfs.erofs
	printf '#!/bin/sh\nexit 1\n' >tools/mkfs.erofs
	build --refresh
	[ "$status" -eq 1 ]
	unstall
	build
	[ "$status" -eq 0 ] && [[ "$stderr" == *root*"as before"* ]]
	build --refresh
	[ "$status" -eq 0 ] && [[ "$stderr" != *"as before"* ]]
	[ "$(readlink store/small/current)" = "$first" ]
}

@test "build -o json says what was built" {
	build -o json
	[ "$status" -eq 0 ]
	[ "$(jq -r .generation <<<"$output")" = "$(readlink store/small/current)" ]
	[ "$(jq .new <<<"$output")" = true ]
}

@test "list, show: what there is" {
	mkimage list
	[ "$status" -eq 0 ] && [[ "$output" == "no images in "* ]]
	mkimage verify
	[ "$status" -eq 0 ] && [[ "$output" == "no images in "* ]]
	built
	mkimage list
	[ "$status" -eq 0 ] && [[ "$output" == *IMAGE*GENERATION*BUILT*SIZE* && "$output" == *small*1.0-test*current* ]]
	mkimage list -o json
	[ "$(jq -r '.[0].generation, .[0].current' <<<"$output" | tr '\n' ' ')" = "$GENERATION true " ]
	mkimage show small
	[ "$status" -eq 0 ] && [[ "$output" == *"$GENERATION"*"1.0-test"*root.erofs* ]]
	mkimage show "small/${GENERATION:0:14}" -o json
	[ "$(jq -r '.[0].manifest.verity.root_hash | length' <<<"$output")" = 64 ]
	mkimage show nothing
	[ "$status" -eq 1 ] && [[ "$stderr" == *"there is no image 'nothing'"* ]]
	mkimage list nothing
	[ "$status" -eq 1 ]
}

@test "verify finds a changed byte, a missing file, a foreign file, a changed manifest" {
	local dir
	built
	dir=store/small/$GENERATION
	mkimage verify
	[ "$status" -eq 0 ] && [ "$output" = "small/$GENERATION: ok" ]
	chmod -R u+w "$dir"
	printf X | dd of="$dir/root.erofs" bs=1 seek=5000 conv=notrunc status=none
	mkimage verify small
	[ "$status" -eq 1 ] && [[ "$output" == *DAMAGED*"root.erofs: is damaged"* && "$output" == *"root.verity: does not fit"* ]]
	rm "$dir/vmlinuz"
	touch "$dir/foreign"
	echo >>"$dir/manifest.json"
	mkimage verify small/current -o json
	[ "$status" -eq 1 ]
	run jq -r '.[0].faults[]' <<<"$output"
	[[ "$output" == *"vmlinuz: "*"No such file"* && "$output" == *"foreign: is not in the manifest"* && "$output" == *"manifest.json: was changed"* ]]
}

@test "a build mends a generation that lost a file" {
	local file
	built
	for file in initramfs root.verity manifest.json; do
		rm -f "store/small/$GENERATION/$file"
		built
		mkimage verify
		[ "$status" -eq 0 ]
	done
}

@test "rm removes, but not what is current and not what is in use" {
	local first
	built
	first=$GENERATION
	echo two >overlay/etc/motd
	built
	mkimage rm small
	[ "$status" -eq 1 ] && [[ "$stderr" == *"say which generation"* ]]
	mkimage rm small/current
	[ "$status" -eq 1 ] && [[ "$stderr" == *"is current"* ]]
	exec 7<"store/small/$first/manifest.json"
	flock -s 7
	mkimage rm small/previous --force
	[ "$status" -eq 1 ] && [[ "$stderr" == *"in use by "* ]]
	[ -e "store/small/$first/root.erofs" ]
	mkimage list -o json
	[ "$(jq -r '.[] | select(.used) | .generation' <<<"$output")" = "$first" ]
	exec 7<&-
	mkimage rm "small/$first"
	[ "$status" -eq 0 ]
	[ ! -e "store/small/$first" ] && [ ! -L store/small/previous ]
	mkimage rm small/current --force
	[ "$status" -eq 0 ]
	[ ! -e store/small ]
}

@test "an interrupt at any step leaves the store as it was" {
	local before tool pid
	built
	before=$(listing)
	echo two >overlay/etc/motd
	for tool in cp mkfs.erofs veritysetup; do
		stall "$tool"
		timeout 100 ssi-mkimage build --store store --cache cache --programs "$PROGRAMS" small.ini >log 2>&1 &
		pid=$!
		until_true test -e stalled
		kill -INT "$(pgrep -P "$pid" -x ssi-mkimage)"
		wait "$pid" && return 1
		grep -q 'interrupted' log
		unstall
		[ "$(listing)" = "$before" ]
		[ -z "$(find store cache -name '.tmp-*')" ]
	done
	built
	[ "$GENERATION" != "$(readlink store/small/previous)" ]
}

@test "kill -9 at any step leaves the store as it was, and the next build sweeps" {
	local before tool pid child
	built
	before=$(listing)
	for tool in cp zstd mkfs.erofs veritysetup; do
		echo "$tool" >overlay/etc/motd
		[ "$tool" != zstd ] || rm -rf cache/initramfs-*
		stall "$tool"
		ssi-mkimage build --store store --cache cache --programs "$PROGRAMS" small.ini >log 2>&1 &
		pid=$!
		until_true test -e stalled
		child=$(pgrep -P "$pid")
		kill -9 "$pid"
		wait "$pid" || true
		unstall
		# The tool ends with its parent.
		until_true eval "! kill -0 $child 2>/dev/null"
		[ "$(listing | grep -v '^\.')" = "$(grep -v '^\.' <<<"$before")" ]
		[ -n "$(find cache store -maxdepth 1 -name '.tmp-*')" ]
	done
	built
	[ -z "$(find store cache -name '.tmp-*')" ]
	mkimage verify
	[ "$status" -eq 0 ]
}

@test "two builds at once do not disturb each other" {
	local one two
	ssi-mkimage build --store store --cache cache --programs "$PROGRAMS" small.ini >log1 2>&1 &
	one=$!
	sed 's/^name = small/name = other/' small.ini >other.ini
	ssi-mkimage build --store store --cache cache --programs "$PROGRAMS" other.ini >log2 2>&1 &
	two=$!
	wait "$one"
	wait "$two"
	mkimage verify
	[ "$status" -eq 0 ] && [ "${#lines[@]}" = 2 ]
}

@test "what a build counts on is not pruned by another that is done before it" {
	local one i
	built
	echo two >overlay/etc/motd
	# Its initramfs is the one that was not used for longest, and as many are there as are kept.
	touch -d '2020-02-02 UTC' cache/initramfs-*
	for i in 1 2 3 4 5 6; do mkdir "cache/initramfs-$i"; done
	touch -d '2020-02-03 UTC' cache/initramfs-?
	printf '#!/bin/sh\necho >%q\nuntil [ -e %q ]; do sleep 0.1; done\nexec %q "$@"\n' "$PWD/stalled" "$PWD/go" "$(command -v mkfs.erofs)" >tools/mkfs.erofs
	chmod +x tools/mkfs.erofs
	PATH=$PWD/tools:$PATH timeout 100 ssi-mkimage build --store store --cache cache --programs "$PROGRAMS" small.ini >log 2>&1 &
	one=$!
	until_true test -e stalled
	sed 's/^name = small/name = other/' small.ini >other.ini
	printf '[initramfs]\ndrivers = fast-nic\n' >>other.ini
	timeout 100 ssi-mkimage build --store store --cache cache --programs "$PROGRAMS" other.ini
	[ "$(find cache -name "initramfs-?" | wc -l)" -lt 6 ]
	touch go
	wait "$one" || { cat log >&2; return 1; }
	mkimage verify
	[ "$status" -eq 0 ]
}

@test "mistakes that only the tree shows are told with file and line" {
	printf '[initramfs]\ndrivers = e1000e no_such_driver\n' >>small.ini
	build
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"small.ini:12: kernel 1.0-test has no module 'e1000e'"* ]]
	write_recipe >small.ini
	printf '[services]\nenable = ssh.service\n' >>small.ini
	build
	[ "$status" -eq 1 ] && [[ "$stderr" == *"small.ini:12: cannot enable 'ssh.service'"* ]]
	write_recipe >small.ini
	rm -rf tree/boot
	build
	[ "$status" -eq 1 ] && [[ "$stderr" == *"no boot/vmlinuz-1.0-test"* ]]
	rm -rf tree/lib
	build
	[ "$status" -eq 1 ] && [[ "$stderr" == *"the tree has no kernel"* ]]
	[ -z "$(find store -mindepth 1 ! -name .lock)" ]
}

@test "a malformed recipe changes nothing" {
	echo 'colour = red' >>small.ini
	build
	[ "$status" -eq 1 ] && [ "$stderr" = "small.ini:11: unknown key 'colour' in [clean]" ]
	[ -z "$(find store cache -mindepth 1)" ]
}

@test "where the project is not installed, build says what is missing" {
	run --separate-stderr ssi-mkimage build --store store --cache cache --programs tools small.ini
	[ "$status" -eq 1 ] && [[ "$stderr" == *"there is no "*"/usr/sbin/ssi-init"*"--programs DIR"* ]]
}

@test "from a folder that is gone, a relative --store is refused with the reason" {
	mkdir gone
	cd gone
	rmdir ../gone
	mkimage list
	[ "$status" -eq 1 ] && [[ "$stderr" == *"store: there is no folder to start from"* ]]
}

# As an ordinary user: with the ids of /etc/subuid. For root the test makes itself a user whom only a mount namespace knows.
as_user() { # SCRIPT
	if [ "$(id -u)" -ne 0 ]; then
		bash -euc "$1"
		return
	fi
	chown -R 4711:4711 "$BATS_TEST_TMPDIR"
	{ cat /etc/passwd; echo "ssi-builder:x:4711:4711::$PWD:/bin/sh"; } >"$BATS_TEST_TMPDIR/passwd"
	echo ssi-builder:300000:65536 >"$BATS_TEST_TMPDIR/subid"
	unshare --mount bash -euc "
		mount --bind '$BATS_TEST_TMPDIR/passwd' /etc/passwd
		touch /etc/subuid /etc/subgid
		mount --bind '$BATS_TEST_TMPDIR/subid' /etc/subuid
		mount --bind '$BATS_TEST_TMPDIR/subid' /etc/subgid
		HOME='$PWD' exec setpriv --reuid 4711 --regid 4711 --clear-groups bash -euc \"\$0\"" "$1"
}

# Where this is built may be a place that others cannot look into.
programs_at() { # FOLDER
	if [ "$PROGRAMS" = / ]; then ln -s / "$1"; else cp -a "$PROGRAMS" "$1"; fi
}

# In a chroot the kernel gives neither user namespaces nor private mount namespaces.
can_be_user() {
	if [ "$(id -u)" = 0 ]; then
		unshare --mount true 2>/dev/null && setpriv --reuid 4711 --regid 4711 --clear-groups unshare --user true 2>/dev/null
	else
		unshare --user true 2>/dev/null
	fi
}

@test "an ordinary user builds the same, in a user namespace; where there are none, they are told" {
	local path root
	local -a as=()
	if ! can_be_user; then
		programs_at stage
		chmod 755 "$BATS_RUN_TMPDIR"
		if [ "$(id -u)" = 0 ]; then
			chown -R nobody .
			as=(setpriv --reuid nobody --clear-groups)
		fi
		PATH=$PWD/stage/usr/bin:$PATH run --separate-stderr "${as[@]}" ssi-mkimage build --store store --cache cache --programs "${PWD}/stage" small.ini
		[ "$status" -eq 1 ] && [[ "$stderr" == *"build as root"* || "$stderr" == *"user namespaces are not allowed here"* ]]
		[ -z "$(find store -name 'sha256-*')" ]
		return
	fi
	# A place that the user can reach, whoever owns the folders above.
	path=$(mktemp -d /tmp/ssi-mkimage-user-XXXXXX)
	cp -a tree overlay small.ini "$path/"
	[ "$(id -u)" -ne 0 ] || chown -R 0:0 "$path/tree"
	cp -a "$path/tree" tree-of-root
	rm -rf tree
	mv tree-of-root tree
	if [ "$(id -u)" = 0 ]; then
		built
		root=$GENERATION
	fi
	programs_at "$path/stage"
	chmod 755 "$path"
	cd "$path"
	BATS_TEST_TMPDIR=$path as_user "cd $path; PATH=$path/stage/usr/bin:$PATH; ssi-mkimage build --store store --cache cache --programs $path/stage small.ini
		ssi-mkimage --store store verify; ssi-mkimage --store store list"
	[ -z "$(find store cache -name '.tmp-*')" ]
	[ -z "${root:-}" ] || [ "$(readlink store/small/current)" = "$root" ]
	cd /
	rm -rf "$path"
}
