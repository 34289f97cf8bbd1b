# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab of the process space: a master, where people are, and three nodes.

export SSI_LAB=${SSI_LAB:-check-space}

setup_suite() {
	# shellcheck source=SCRIPTDIR/../lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	lab down 2>/dev/null || true
	suite_up -n 3 --firmware bios --memory 768
}

teardown_suite() {
	# shellcheck source=SCRIPTDIR/../lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	suite_down
}
