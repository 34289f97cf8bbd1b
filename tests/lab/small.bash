# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A lab of three nodes, which boot often; so firmware that is quick. A folder's setup_suite.bash says the lab's name, and reads this.

setup_suite() {
	# shellcheck source=SCRIPTDIR/lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	lab down 2>/dev/null || true
	suite_up -n 3 --firmware bios --memory 768
}

teardown_suite() {
	# shellcheck source=SCRIPTDIR/lab.bash
	. "$BATS_TEST_DIRNAME/../lab.bash"
	suite_down
}
