# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What is plugged into a running machine, and out of it, by QEMU's monitor. Sourced by ssi-lab.
#
# A device is called by what it is and a number: cpu1, memory1, nic2. QEMU itself is asked which there are (qom-list), nothing is kept beside it. What a
# person plugs in is gone when the machine's power is.

DEVICE_CPUS=4                         # sockets, more than are taken
DEVICE_SLOTS=4                        # for memory
DEVICE_MEMORY=4096                    # MiB that may be added
DEVICE_PORTS=2                        # PCI Express ports that hold nothing yet

# The part of a machine's QEMU command line that leaves room, one argument a line. The ports have high addresses, so that no other device moves.
device_args() { # MACHINE
	local dir=$LAB/$1 cpus memory i
	cpus=$(<"$dir/cpus")
	memory=$(<"$dir/memory")
	printf '%s\n' -smp "$cpus,maxcpus=$((cpus > DEVICE_CPUS ? cpus : DEVICE_CPUS))" -m "$memory,slots=$DEVICE_SLOTS,maxmem=$((memory + DEVICE_MEMORY))M"
	for ((i = 1; i <= DEVICE_PORTS; i++)); do
		printf '%s\n' -device "pcie-root-port,id=spare$i,chassis=$i,slot=$i,addr=0x1$i"
	done
}

# The devices of a kind that were plugged in, a number each.
device_numbers() { # MACHINE KIND
	machine_qmp "$1" '{"execute":"qom-list","arguments":{"path":"/machine/peripheral"}}' |
		jq -r --arg kind "$2" '.return[].name | capture("^" + $kind + "(?<n>[0-9]+)$") | .n' | sort -n
}

device_there() { # MACHINE DEVICE
	machine_qmp "$1" '{"execute":"qom-list","arguments":{"path":"/machine/peripheral"}}' | jq -e --arg name "$2" 'any(.return[]; .name == $name)' >/dev/null
}

# The first number that no device of a kind has.
device_next() { # MACHINE KIND
	local n=1 taken
	for taken in $(device_numbers "$1" "$2"); do
		[ "$taken" != "$n" ] || n=$((n + 1))
	done
	echo "$n"
}

device_add_cpu() { # MACHINE NUMBER
	local place
	# A place nobody sits in yet; QEMU lists the last one first.
	place=$(machine_qmp "$1" '{"execute":"query-hotpluggable-cpus"}' | jq -c '[.return[] | select(has("qom-path") | not)] | last // empty')
	[ -n "$place" ] || die "$1 has no room for another processor"
	machine_qmp "$1" "$(jq -cn --argjson place "$place" --arg id "cpu$2" '{execute: "device_add", arguments: ({driver: $place.type, id: $id} + $place.props)}')" >/dev/null
}

device_add_memory() { # MACHINE NUMBER MIB
	machine_qmp "$1" "$(jq -cn --arg id "ram$2" --argjson size "$3" \
		'{execute: "object-add", arguments: {"qom-type": "memory-backend-ram", id: $id, size: ($size * 1048576)}}')" >/dev/null
	machine_qmp "$1" "$(jq -cn --arg id "memory$2" --arg ram "ram$2" '{execute: "device_add", arguments: {driver: "pc-dimm", id: $id, memdev: $ram}}')" >/dev/null
}

device_add_nic() { # MACHINE NUMBER MODEL
	local mac lan
	[ "$2" -le "$DEVICE_PORTS" ] || die "$1 has no port for another network card"
	mac=$(machine_setting "$1" mac)
	lan=$(lan_netdev "$1" "lan$2") || exit
	machine_qmp "$1" "$(jq -cn --arg lan "$lan" '($lan | split(",")) as $words |
		{execute: "netdev_add", arguments: ({type: $words[0]} + ($words[1:] | map(split("=") | {(.[0]): .[1]}) | add))}')" >/dev/null
	machine_qmp "$1" "$(jq -cn --arg id "nic$2" --arg lan "lan$2" --arg bus "spare$2" --arg mac "${mac:0:12}1$2:${mac:15:2}" --arg model "$3" \
		'{execute: "device_add", arguments: {driver: $model, id: $id, netdev: $lan, bus: $bus, mac: $mac}}')" >/dev/null
}

device_add() { # MACHINE KIND [WHAT]
	local number
	number=$(device_next "$1" "$2") || exit
	case $2 in
	cpu) device_add_cpu "$1" "$number" ;;
	memory) device_add_memory "$1" "$number" "${3:-256}" ;;
	nic) device_add_nic "$1" "$number" "${3:-virtio-net-pci}" ;;
	esac
	echo "$2$number"
}

# Ask the machine to let go of the last device of a kind, and wait until it has; then what stood behind it goes too.
device_rm() { # MACHINE KIND
	local number
	number=$(device_numbers "$1" "$2" | tail -n 1)
	[ -n "$number" ] || die "$1 has no $2 that was plugged in"
	machine_qmp "$1" "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"$2$number\"}}" >/dev/null
	wait_until 20 eval "! device_there $1 $2$number" || die "$1 does not let go of $2$number"
	case $2 in
	memory) machine_qmp "$1" "{\"execute\":\"object-del\",\"arguments\":{\"id\":\"ram$number\"}}" >/dev/null ;;
	nic) machine_qmp "$1" "{\"execute\":\"netdev_del\",\"arguments\":{\"id\":\"lan$number\"}}" >/dev/null ;;
	esac
	echo "$2$number"
}
