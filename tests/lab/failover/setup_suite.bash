# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab of lost machines: three nodes of six have one, and a machine is left over.

export SSI_LAB=${SSI_LAB:-check-failover}

setup_suite() {
	# shellcheck source=SCRIPTDIR/../lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	lab down 2>/dev/null || true
	suite_up -n 6 --machines 5 --known 3 --memory 768
}

teardown_suite() {
	# shellcheck source=SCRIPTDIR/../lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	suite_down
}
