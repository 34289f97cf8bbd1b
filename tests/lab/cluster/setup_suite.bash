# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One lab for all files of this folder: three machines that nodes.d names, as different as they come, and three that nobody has heard of.

export SSI_LAB=${SSI_LAB:-check}

setup_suite() {
	# shellcheck source=SCRIPTDIR/../lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	lab down 2>/dev/null || true
	suite_up -n 6 --machines 6 --known 3 --firmware bios,uefi,bios --nic virtio-net-pci,e1000e,rtl8139,virtio-net-pci --memory 512,768
}

teardown_suite() {
	# shellcheck source=SCRIPTDIR/../lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	suite_down
}
