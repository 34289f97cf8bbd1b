# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The LAN, and a machine's link to it: the cable, by QEMU's monitor, and how well it works, by netem in the machine itself. Sourced by ssi-lab.
#
# The LAN is a bridge in the lab's network namespace, with a tap for each card: what a busy machine has not taken yet waits there. Where no bridge or
# tap can be made it is a multicast group on the namespace's loopback: every QEMU hears every frame then, and a busy host loses some of them.
#
# What a machine sends passes its own queueing discipline, so there it is lost and delayed; for both directions impair both ends. tc is run by way of
# the master, whose own impaired link it survives.

LAN_GROUP=230.77.0.1:17701

# Prints what the LAN is, and makes it. Run in the namespace.
lan_make() {
	ip link set lo up
	if [ "${SSI_LAB_LAN:-bridge}" = bridge ] && lan_bridge; then
		echo bridge
	else
		ip link set lo multicast on
		ip route add 224.0.0.0/4 dev lo
		echo multicast
	fi
}

# Its own end of a card speaks to nobody: no IPv6 there. And the first tap is one to try.
lan_bridge() {
	echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
	ip link add lan type bridge mcast_snooping 0 && ip link set lan up && ip tuntap add dev try mode tap && ip link set try master lan && ip link del try
} 2>/dev/null

# What QEMU's -netdev takes for a machine's card. The tap stays when the machine's power goes.
lan_netdev() { # MACHINE NAME
	local tap=$1-$2
	if ! grep -qx bridge "$LAB/lan" 2>/dev/null; then
		echo "socket,id=$2,mcast=$LAN_GROUP,localaddr=127.0.0.1"
		return
	fi
	space_run ip link show "$tap" >/dev/null 2>&1 || {
		space_run ip tuntap add dev "$tap" mode tap && space_run ip link set "$tap" master lan up
	} || die "$1 gets no place on the LAN"
	echo "tap,id=$2,ifname=$tap,script=no,downscript=no"
}

link_set() { # MACHINE down|up
	machine_qmp "$1" "{\"execute\":\"set_link\",\"arguments\":{\"name\":\"lan\",\"up\":$([ "$2" = up ] && echo true || echo false)}}" >/dev/null
}

# The node that a machine plays.
link_node() { # MACHINE
	local node
	node=$(master_ssh ssi node list -o json </dev/null | jq -r --arg mac "$(machine_setting "$1" mac)" '.[] | select(.machine == $mac) | .name')
	[ -n "$node" ] || die "$1 plays no node"
	echo "$node"
}

link_impair() { # MACHINE LOSS DELAY
	local node script="dev=\$(ip -o -4 addr show to 10.77.0.0/24 | cut -d ' ' -f 2)
		tc qdisc del dev \$dev root 2>/dev/null
		[ $2$3 = 00 ] || tc qdisc add dev \$dev root netem loss $2% delay ${3}ms limit 100000"
	if [ "$1" = master ]; then
		master_ssh sh -c "$script" </dev/null || die "the master's link cannot be impaired"
	else
		node=$(link_node "$1") || exit
		master_ssh ssi exec "$node" -- sh -c "$script" </dev/null || die "the link of $1 cannot be impaired"
	fi
}
