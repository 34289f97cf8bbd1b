#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The whole initramfs of a node or a master, as the only dracut module in it: ssi-init as /init, the kernel modules
# that the recipe names, and a busybox that nothing starts but ssi.rescue. Sourced by dracut, which ssi-mkimage calls with:
#   SSI_PROGRAMS   where this project is installed ("/" or a staging root)
#   SSI_DRIVERS    kernel modules that belong to hardware: names, or "=ethernet" for every Ethernet driver
#   SSI_MODULES    the other kernel modules: file systems, block layers
#   SSI_TRIM       not empty: modules without trace events, type information and signatures. They load three times as fast;
#                  a kernel that is locked down (Secure Boot) refuses them
#   SSI_ISCSI      not empty: with open-iscsi's initiator, of this host, and the real OpenSSL, which it needs for CHAP
#   SSI_BUSYBOX    the busybox
# What it does not do: firmware is taken along only as far as the tree has it and a chosen module asks for it.

check() {
	[[ $SSI_PROGRAMS ]] || return 1
	return 0
}

depends() {
	return 0
}

# "=ethernet" for dracut-install: every module below drivers/net/ethernet, and what is elsewhere but an Ethernet driver too.
ssi_drivers() {
	local word
	for word in $SSI_DRIVERS; do
		case $word in
			=ethernet) echo "=drivers/net/ethernet =drivers/net/phy virtio_net vmxnet3 hv_netvsc xen-netfront virtio_pci" ;;
			*) echo "$word" ;;
		esac
	done
}

installkernel() {
	# shellcheck disable=SC2046,SC2086  # these are lists of words
	hostonly='' instmods $(ssi_drivers) $SSI_MODULES
	[[ ! $SSI_TRIM ]] || ssi_trim
}

# The copies in the initramfs, never the tree's own: each trace event of a module costs it time in tracefs when it loads.
ssi_trim() {
	local section
	local -a remove=()
	[[ -d ${initdir:?}/lib/modules ]] || return 0
	for section in _ftrace_events _ftrace_eval_map .BTF; do
		remove+=(--remove-section="$section" --remove-section=".rela$section")
	done
	find "$initdir/lib/modules/" -name '*.ko' -type f -exec objcopy --strip-unneeded "${remove[@]}" {} \;
}

install() {
	local root=${SSI_PROGRAMS%/} helper
	inst_binary "$root/usr/sbin/ssi-init" /init || return 1
	for helper in "$root"/usr/libexec/ssi/init-*; do
		[[ ! $SSI_ISCSI && $helper = */init-iscsi ]] && continue
		[[ ! -x $helper ]] || inst_binary "$helper" "${helper#"$root"}" || return 1
	done
	inst_binary "$SSI_BUSYBOX" /bin/busybox || return 1
	ln -sfn busybox "$initdir/bin/sh"
	mkdir -p "$initdir"/{dev,proc,sys,run,tmp,sysroot,etc}
	if [[ $SSI_ISCSI ]]; then
		inst_multiple /usr/sbin/iscsistart /usr/sbin/iscsid || return 1
		inst_simple "$root/usr/libexec/ssi/libiscsistart-eager.so" /usr/libexec/ssi/libiscsistart-eager.so || return 1
		inst_simple "${moddir:?}/iscsid.conf" /etc/iscsi/iscsid.conf
		return
	fi
	ssi_crypto "$root/usr/libexec/ssi/libcrypto-none.so"
}

# Only libkmod asks for OpenSSL, a quarter of a small initramfs, and only to name a module's signer: a stand-in (ssi-init/nocrypto.c) takes
# its place where it satisfies the dynamic linker for every program here.
# dracut resolves libraries after this and leaves alone what stands.
ssi_crypto() {
	local standin=$1 real file try
	real=$(ldd "$initdir"/usr/libexec/ssi/* "$initdir/init" 2>/dev/null | awk '$1 == "libcrypto.so.3" { print $3; exit }')
	[[ $real && -e $standin ]] || return 0
	try=$(mktemp -d "$initdir/../ssi-crypto.XXXXXX") || return 0
	ln -s "$standin" "$try/libcrypto.so.3"
	for file in "$initdir/init" "$initdir"/usr/libexec/ssi/* "$initdir/bin/busybox"; do
		if LD_LIBRARY_PATH=$try ldd -r "$file" 2>&1 | grep -q -e 'undefined symbol' -e 'not found' -e 'no version information'; then
			dwarn "90ssi: $file needs the real libcrypto"
			standin=
		fi
	done
	[[ ! $standin ]] || inst_simple "$standin" "$(readlink -f "${real%/*}")/libcrypto.so.3"
	rm -r "$try"
}
