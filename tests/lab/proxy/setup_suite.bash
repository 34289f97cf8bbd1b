# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A lab on whose LAN another DHCP server gives the addresses, and the master only says where to boot from. The LAN is what it is where the host
# makes no taps.

export SSI_LAB=${SSI_LAB:-check-proxy} SSI_LAB_LAN=multicast

setup_suite() {
	# shellcheck source=SCRIPTDIR/../lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	lab down 2>/dev/null || true
	suite_up -n 2 --dhcp proxy --foreign-dhcp --firmware bios,uefi
}

teardown_suite() {
	# shellcheck source=SCRIPTDIR/../lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	suite_down
}
