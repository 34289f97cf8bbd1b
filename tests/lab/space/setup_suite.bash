# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab of the process space: a master, where people are, and three nodes.

export SSI_LAB=${SSI_LAB:-check-space}

# shellcheck source=SCRIPTDIR/../small.bash
. "$(dirname "${BASH_SOURCE[0]}")/../small.bash"
