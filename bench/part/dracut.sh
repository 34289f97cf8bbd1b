# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# dracut: the distribution's own way to a root over NFS, measured from the kernel's start to the root mounted. Sourced by boot.
#
# The initramfs is made by Debian's dracut with its own `nfs` module in a scratch tree that has what that module asks for (on Debian 12: procps
# for pgrep, isc-dhcp-client, arping). It is given every advantage: only the modules `base`, `udev-rules` and `nfs`, the network drivers of
# dracut's own choice, the same kernel, the same export, zstd. A hook at pre-pivot, where dracut has the root mounted, says so by /dev/kmsg;
# the time is the kernel's own in front of that line. Kernel and initramfs are put in memory by QEMU: fetching is not measured here.

DRACUT_PACKAGES=dracut-core,dracut-network,nfs-common,isc-dhcp-client,iproute2,iputils-arping,procps,kmod,zstd

dracut_build() { # FILE
	local dir=$WORK/dracut
	need mmdebstrap
	mkdir -p "$dir"
	cat >"$dir/mark.sh" <<-'END'
	#!/bin/sh
	echo "bench: root mounted" >/dev/kmsg
	sleep 1000
	END
	cat >"$dir/make.sh" <<-END
	#!/bin/sh
	exec dracut --force --no-hostonly -m "base udev-rules nfs" --add-drivers "virtio_pci virtio_net" --compress "zstd -19" \\
		--include /root/mark.sh /lib/dracut/hooks/pre-pivot/00-mark.sh /root/dracut.img $KVER
	END
	chmod 755 "$dir/mark.sh" "$dir/make.sh"
	# shellcheck disable=SC2016  # $1 is the tree, for mmdebstrap's shell
	(cd "$dir" && mmdebstrap --variant=minbase --include="linux-image-$KVER,$DRACUT_PACKAGES" \
		--customize-hook='copy-in mark.sh make.sh /root' --customize-hook='chroot "$1" /root/make.sh' \
		--customize-hook='copy-out /root/dracut.img .' bookworm /dev/null >log 2>&1) ||
		die "dracut's initramfs is not made: $(tail -n 3 "$dir/log")"
	mv "$dir/dracut.img" "$1"
}

dracut_one() { # NUMBER INITRAMFS
	local line lan
	: >"$WORK/dracut.console"
	# m01 is off: this is it, booting another way.
	lan=$(lan_netdev m01 lan) || exit
	space_run qemu-system-x86_64 "${QEMU[@]}" -daemonize -pidfile "$WORK/dracut.pid" -kernel "$KERNEL" -initrd "$2" -append "root=nfs4:10.77.0.1:/$GENERATION:ro ip=dhcp rd.neednet=1 $ARGS" \
		-netdev "$lan" -device "virtio-net-pci,netdev=lan,mac=$(machine_setting m01 mac),romfile=" \
		-serial "file:$WORK/dracut.console" -no-reboot </dev/null >/dev/null || die "dracut's machine does not start"
	await 180 grep -aq 'bench: root mounted' "$WORK/dracut.console" ||
		die "dracut did not mount the root: $(tail -n 3 "$WORK/dracut.console")"
	space_run kill -KILL "$(<"$WORK/dracut.pid")"
	line=$(grep -am 1 'bench: root mounted' "$WORK/dracut.console")
	line=${line#[}
	line=${line%%]*}
	figure dracut "${line// /}"
	progress "dracut $1: root mounted after $(tail -n 1 "$FIGURES/dracut") s"
}

dracut_measure() { # RUNS
	local i image=$CACHE/bench/dracut-$KVER.img
	mkdir -p "${image%/*}"
	[ -e "$image" ] || { progress "making dracut's initramfs"; dracut_build "$image"; }
	figure dracut-size "$(calc "$(stat -c %s "$image") / 1000000")"
	for ((i = 1; i <= $1; i++)); do
		dracut_one "$i" "$image"
	done
}
