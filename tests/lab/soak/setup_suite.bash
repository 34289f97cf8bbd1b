# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab of the long runs: four machines that die again and again, and one to take a node over.

export SSI_LAB=${SSI_LAB:-check-soak}

setup_suite() {
	# shellcheck source=SCRIPTDIR/../lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	lab down 2>/dev/null || true
	suite_up -n 4 --machines 5 --known 4
}

teardown_suite() {
	# shellcheck source=SCRIPTDIR/../lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	suite_down
}
