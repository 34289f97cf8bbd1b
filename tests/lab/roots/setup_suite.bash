# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab of roots and of what lies over and beside them: three nodes, which boot often; so firmware that is quick.

export SSI_LAB=${SSI_LAB:-check-roots}

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
