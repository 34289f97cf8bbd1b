# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab's master: the recipes' own master image, with everything that makes it this lab's master on its state disk. Sourced by ssi-lab.
#
# The state disk is the writable layer of a disk-booted machine: upper/ is what the image's files are overlaid with. So the image knows nothing
# of the lab; what a person would type on a real master (nodes.d, the network, a key for ssh) stands there as files.

MASTER_SSH_PORT=2222

master_make() {
	local dir=$LAB/master
	machine_make master 52:54:00:00:00:fe bios virtio-net-pci "$LAB_MASTER_MEMORY" 2
	ln -s "$(generation_dir master)" "$dir/image"
	[ -e "$LAB/key" ] || ssh-keygen -q -t ed25519 -N '' -C ssi-lab -f "$LAB/key"
	master_state "$dir"
}

# The state disk: a sparse ext4 whose files are all root's, made without being root.
master_state() { # DIRECTORY
	local tree=$1/tree upper=$1/tree/upper
	local -a root=()
	[ "$(id -u)" = 0 ] || root=(unshare --user --map-root-user)
	mkdir -p "$upper"
	[ -z "$LAB_OVERLAY" ] || cp -a --no-preserve=ownership --reflink=auto "$LAB_OVERLAY/." "$upper/" || die "the overlay cannot be copied to $LAB"
	mkdir -p "$tree/work" "$upper"/{root/.ssh,etc/ssh,etc/ssi/nodes.d,var/lib/ssi/images}
	chmod 755 "$tree" "$upper" "$upper"/{etc,etc/ssh,etc/ssi,etc/ssi/nodes.d,var,var/lib,var/lib/ssi,var/lib/ssi/images}
	chmod 700 "$upper/root" "$upper/root/.ssh"
	cp "$LAB/key.pub" "$upper/root/.ssh/authorized_keys"
	ssh-keygen -q -t ed25519 -N '' -C master -f "$upper/etc/ssh/ssh_host_ed25519_key"
	printf '[127.0.0.1]:%s %s\n' "$MASTER_SSH_PORT" "$(<"$upper/etc/ssh/ssh_host_ed25519_key.pub")" >"$LAB/known_hosts"
	write_file "$upper/etc/hostname" master
	master_network "$upper"
	master_nodes >"$upper/etc/ssi/nodes.d/10-lab.ini"
	write_file "$upper/etc/ssi/bmc.password" "$BMC_PASSWORD"
	chmod 600 "$upper/etc/ssi/bmc.password"
	[ -z "$LAB_FOREIGN" ] || master_foreign "$upper"
	cp -a --no-preserve=ownership --reflink=auto "$LAB_STORE/compute" "$upper/var/lib/ssi/images/" || die "the compute image cannot be copied to $LAB"
	rm -f "$1/state.img"
	truncate -s 8G "$1/state.img"
	"${root[@]}" mke2fs -q -t ext4 -L state -E lazy_itable_init=1,lazy_journal_init=1 -O ^has_journal -d "$tree" "$1/state.img" || die "no state disk"
	tune2fs -j "$1/state.img" >/dev/null || die "no journal on the state disk"
	rm -rf "$tree"
}

# eth0 leads to the developer's machine (ssh, the BMCs), eth1 is the cluster's.
master_network() { # UPPER
	local net=$1/etc/systemd/network wants=$1/etc/systemd/system/multi-user.target.wants
	mkdir -p "$net" "$wants"
	write_file "$net/10-eth0.network" "[Match]
Name=eth0
[Network]
Address=10.0.2.15/24
LinkLocalAddressing=no
IPv6AcceptRA=no"
	write_file "$net/10-eth1.network" "[Match]
Name=eth1
[Network]
Address=10.77.0.1/24
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
ConfigureWithoutCarrier=yes"
	ln -s /lib/systemd/system/systemd-networkd.service "$wants/systemd-networkd.service"
	ln -s /dev/null "$1/etc/systemd/system/systemd-networkd-wait-online.service"
}

# A foreign DHCP server: a dnsmasq behind its own card and address, in its own network namespace, that knows nothing of the cluster.
master_foreign() { # UPPER
	local wants=$1/etc/systemd/system/multi-user.target.wants
	write_file "$1/etc/systemd/system/lab-foreign-dhcp.service" "[Unit]
Description=A foreign DHCP server on the lab's LAN
[Service]
ExecStartPre=-/sbin/ip netns add foreign
ExecStartPre=/sbin/ip link set eth2 netns foreign
ExecStartPre=/sbin/ip -n foreign addr add 10.77.0.254/24 dev eth2
ExecStartPre=/sbin/ip -n foreign link set eth2 up
ExecStart=/sbin/ip netns exec foreign /usr/sbin/dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --no-ping --interface=eth2 \\
 --bind-interfaces --pid-file= --dhcp-leasefile=/run/foreign.leases --dhcp-range=10.77.0.100,10.77.0.150,255.255.255.0,1h
[Install]
WantedBy=multi-user.target"
	ln -s ../lab-foreign-dhcp.service "$wants/lab-foreign-dhcp.service"
}

# nodes.d/10-lab.ini as a person would write it. The first LAB_KNOWN machines are bound to the nodes of their number; later ones are unknown.
master_nodes() {
	local i machine
	printf '[system lab]\ninterface = eth1\nnetwork   = 10.77.0.0/24\nmaster    = 10.77.0.1\ndhcp      = %s\n' "$LAB_DHCP"
	[ "$LAB_DHCP" = proxy ] || echo 'pool      = 10.77.0.200-10.77.0.250'
	printf 'discovery = %s\nimage     = compute\n\n' "$LAB_DISCOVERY"
	if [ "$LAB_NODES" -gt 0 ]; then
		printf '[node n[01-%02d]]\naddress   = 10.77.0.11\ninit      = %s\nargs      = %s\n' "$LAB_NODES" "$LAB_INIT" "$KERNEL_ARGS"
	fi
	for ((i = 1; i <= LAB_KNOWN; i++)); do
		machine=$(printf 'm%02d' "$i")
		printf '\n[node n%02d]\nmachine   = %s\n' "$i" "$(machine_setting "$machine" mac)"
		printf '\n[machine %s]\npower     = fence_ipmilan\npower.ip  = 10.0.2.2\npower.ipport   = %s\npower.lanplus  = 1\npower.cipher   = 3\n' \
			"$(machine_setting "$machine" mac)" "$(bmc_port "$machine")"
		printf 'power.username = %s\npower.password_file = /etc/ssi/bmc.password\n' "$BMC_USER"
	done
}

# The master's part of the QEMU command line, one argument a line.
master_args() { # NETDEV
	local dir=$LAB/master
	printf '%s\n' -kernel "$dir/image/vmlinuz" -initrd "$dir/image/initramfs" \
		-append "ssi.root=disk:/dev/vda ssi.state=disk:/dev/vdb ssi.init=systemd net.ifnames=0 $KERNEL_ARGS quiet" \
		-drive "if=none,id=root,format=raw,readonly=on,file=$dir/image/root.erofs" -device virtio-blk-pci,drive=root \
		-drive "if=none,id=state,format=raw,cache=writeback,file=$dir/state.img" -device virtio-blk-pci,drive=state \
		-netdev "user,id=host,hostfwd=tcp:127.0.0.1:$MASTER_SSH_PORT-:22" -device virtio-net-pci,id=nic0,netdev=host,mac=52:54:00:00:00:ff,romfile= \
		-netdev "$1" -device "virtio-net-pci,id=nic1,netdev=lan,mac=$(machine_setting master mac),romfile="
	[ -z "$LAB_FOREIGN" ] || printf '%s\n' \
		-netdev "$(lan_netdev master lan2)" -device virtio-net-pci,id=nic2,netdev=lan2,mac=52:54:00:00:00:fd,romfile=
}

# ssh to the master, over one connection that all commands share.
master_ssh_raw() { # OPTION... HOST [COMMAND]
	space_run ssh -F none -p "$MASTER_SSH_PORT" -l root -i "$LAB/key" -S "$LAB/ssh.sock" -q -o ConnectTimeout=10 \
		-o ServerAliveInterval=5 -o ServerAliveCountMax=6 -o UserKnownHostsFile="$LAB/known_hosts" -o StrictHostKeyChecking=yes \
		-o BatchMode=yes -o IdentitiesOnly=yes "$@"
}

# A command on the master, its words quoted for the shell there.
master_ssh() { # [-t] WORD...
	local -a tty=()
	local command=
	if [ "$1" = -t ]; then tty=(-t); shift; fi
	[ $# = 0 ] || printf -v command '%q ' "$@"
	[ -S "$LAB/ssh.sock" ] || master_ssh_raw -f -N -M 127.0.0.1 </dev/null >/dev/null 2>&1 || return 255
	master_ssh_raw "${tty[@]}" 127.0.0.1 "$command"
}

# Forget the shared connection, when the master's power went.
master_forget() {
	[ ! -S "$LAB/ssh.sock" ] || space_run timeout 3 ssh -F none -S "$LAB/ssh.sock" -O exit x 2>/dev/null || true
	rm -f "$LAB/ssh.sock"
}

# Wait until ssi-bootsvc answers.
master_wait() { # SECONDS
	local end=$((SECONDS + $1))
	while [ "$SECONDS" -lt "$end" ]; do
		machine_alive master || die "the master ended; see $0 log master"
		if master_ssh sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do ssi-bootsvc status >/dev/null 2>&1 && exit 0; sleep 0.3; done; exit 1' </dev/null; then return; fi
		sleep 0.3
	done
	die "the master does not answer within $1 s; see $0 log master"
}
