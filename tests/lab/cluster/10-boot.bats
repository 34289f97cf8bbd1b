#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# From power on to one system: firmware, network cards, root, totals.

load ../lab.bash
teardown() { show_trouble; }

@test "three machines power on at once through their BMCs, boot over PXE and join" {
	ssi node power 'n[01-03]' on
	await 300 in_state 'n[01-03]' joined
}

@test "the totals are the sum of the nodes" {
	local status nodes name
	status=$(ssi status -o json)
	nodes=$(ssi node list 'n[01-03]' -o json)
	[ "$(jq '.systems[0].joined' <<<"$status")" = 3 ]
	[ "$(jq '.systems[0].cpus' <<<"$status")" = "$(jq 'map(.cpus) | add' <<<"$nodes")" ]
	[ "$(jq '.systems[0].memory' <<<"$status")" = "$(jq 'map(.memory) | add' <<<"$nodes")" ]
	for name in n01 n02 n03; do
		[ "$(node_sh "$name" 'nproc')" = "$(jq --arg name "$name" '.[] | select(.name == $name) | .cpus' <<<"$nodes")" ]
	done
	ssi status
}

@test "a node's root is the Debian image: read-only below, writable above" {
	node_sh n02 'grep -q "^ID=debian" /etc/os-release'
	node_sh n02 'grep -q " / overlay " /proc/mounts'
	node_sh n02 'grep " /run/ssi/root/lower " /proc/mounts | grep -q nfs4'
	node_sh n02 'echo mine >/etc/written && grep -q mine /etc/written && rm /etc/debian_version && ! test -e /etc/debian_version'
	run node_sh n02 'touch /run/ssi/root/lower/etc/written'
	[ "$status" -ne 0 ]
	[[ $output == *"Read-only file system"* ]]
	node_sh n01 '! test -e /etc/written && test -e /etc/debian_version'
}

@test "exec tells a command's own status, and both of its streams" {
	run node_sh n01 'echo out; echo err >&2; exit 7'
	[ "$status" -ne 0 ]
	[[ $output == *out* && $output == *err* ]]
	run ssi exec 'n[01-03]' -- uname -s
	[ "$status" -eq 0 ]
	[ "$(grep -c Linux <<<"$output")" = 3 ]
}

@test "BIOS and UEFI machines boot" {
	node_sh n02 'test -d /sys/firmware/efi'
	run node_sh n01 'test -d /sys/firmware/efi'
	[ "$status" -ne 0 ]
}

@test "the drivers of virtio-net-pci, e1000e and rtl8139 are found by themselves" {
	# shellcheck disable=SC2016       # for the node's shell
	local driver='basename "$(readlink -f /sys/class/net/eth0/device/driver)"'
	[ "$(node_sh n01 "$driver")" = virtio_net ]
	[ "$(node_sh n02 "$driver")" = e1000e ]
	[[ $(node_sh n03 "$driver") == 8139* ]]
}

@test "a machine with 512 MB is a node" {
	[ "$(node_sh n01 "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")" -lt 524288 ]
}

@test "node show says where a value comes from and where a boot's seconds went" {
	local node
	node=$(ssi node show n02 -o json)
	jq -e '.[0].values | any(.key == "machine" and (.file | test("10-lab.ini")) and .line > 0)' <<<"$node"
	jq -e '.[0].boot | map(.stage) | index("root") and index("joined")' <<<"$node"
}

@test "the time from ssi-init's first instruction to joined is told" {
	ssi node show n01 -o json | jq -e '.[0].boot | map(select(.stage == "joined")) | .[0].end_ms > 0'
}
