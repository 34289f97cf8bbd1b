# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab of roots and of what lies over and beside them.

export SSI_LAB=${SSI_LAB:-check-roots}

# shellcheck source=SCRIPTDIR/../small.bash
. "$(dirname "${BASH_SOURCE[0]}")/../small.bash"
