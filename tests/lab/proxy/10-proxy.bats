#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Beside a foreign DHCP server; and what a lab leaves behind: nothing.

load ../lab.bash
teardown() { show_trouble; }

@test "check names the foreign DHCP server" {
	run master ssi-bootsvc check
	echo "$output"
	[[ $output == *10.77.0.254* ]]
}

@test "with a foreign DHCP server on the segment BIOS and UEFI machines boot and join by proxy DHCP" {
	ssi node power 'n[01-02]' on
	await 300 in_state 'n[01-02]' joined
}

@test "the foreign server gave the addresses that the firmware used" {
	master grep -q 52:54:00:00:00:01 /run/foreign.leases
	master grep -q 52:54:00:00:00:02 /run/foreign.leases
}

@test "a second lab does not see the first, and down leaves no process and no file" {
	local first=$SSI_LAB second=$SSI_LAB-second dir
	[ "$(lab list | grep -c "^$first\$")" = 1 ]
	dir=${XDG_RUNTIME_DIR:-/tmp}/ssi-lab-$(id -u)/$second
	SSI_LAB=$second lab up -n 1
	[ "$(SSI_LAB=$second lab exec master ssi status -o json | jq '.systems[0].joined')" = 0 ]
	SSI_LAB=$second lab power on m01
	SSI_LAB=$second lab down
	[ ! -e "$dir" ]
	run pgrep -f "$dir/"
	[ "$status" -ne 0 ]
	in_state 'n[01-02]' joined
}
