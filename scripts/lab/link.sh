# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A machine's link to the LAN: the cable, by QEMU's monitor, and how well it works, by netem in the machine itself. Sourced by ssi-lab.
#
# The LAN is a multicast group: there is no switch that could lose or delay. What a machine sends passes its own queueing discipline, so there it is lost
# and delayed; for both directions impair both ends. tc is run by way of the master, whose own impaired link it survives.

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
