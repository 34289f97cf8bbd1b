# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Floor: the least any boot of this kernel can take. QEMU gets kernel and initramfs in memory (-kernel), the initramfs is a busybox whose /init
# powers off. Measured is the whole of it, from starting QEMU to its end. Sourced by boot.

floor_initramfs() {
	local tree=$WORK/floor
	mkdir -p "$tree/bin"
	cp /bin/busybox "$tree/bin/busybox"
	cat >"$tree/init" <<-'END'
	#!/bin/busybox sh
	exec /bin/busybox poweroff -f
	END
	chmod 755 "$tree/init" "$tree/bin/busybox"
	(cd "$tree" && find . | cpio -o -H newc --quiet | zstd -q -19) >"$WORK/floor.img"
}

floor_measure() { # RUNS
	local i began
	need busybox cpio zstd
	floor_initramfs
	for ((i = 1; i <= $1; i++)); do
		began=$EPOCHREALTIME
		timeout 120 qemu-system-x86_64 "${QEMU[@]}" -kernel "$KERNEL" -initrd "$WORK/floor.img" -append "$ARGS" -serial "file:$WORK/floor.console" -no-reboot </dev/null ||
			die "the floor's machine did not end by itself: $(tail -n 2 "$WORK/floor.console")"
		figure floor "$(calc "$EPOCHREALTIME - $began")"
		progress "floor $i: $(tail -n 1 "$FIGURES/floor") s"
	done
}
