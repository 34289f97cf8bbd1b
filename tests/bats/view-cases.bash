# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What view-nodes.bats does: unmodified programs in a view of real agents' machines.
# shellcheck source=tests/bats/agents.bash
. "$(dirname "${BASH_SOURCE[0]}")/agents.bash"

# Runs a program on a node.
run_on() { # NODE COMMAND...
	on_node "$1" "${@:2}" </dev/null >/dev/null 2>&1 &
	OTHERS+=($!)
}

case_view() {
	export SSI_VIEW_DIR=$PWD/run/view
	unset SSI_VIEW
	agents_up 2
	run_on n01 sleep 701
	run_on n02 setpriv --reuid=1234 --regid=1234 --clear-groups sleep 702
	run_on n02 sleep 703
	cp "$(command -v sleep)" sleeper
	run_on n01 "$PWD/sleeper" 704
	# shellcheck disable=SC2016 # for the shell there
	run_on n02 nice -n 5 bash -c 'exec -a spinner bash -c "while :; do :; done"'
	ssi shell bash -euo pipefail "$(dirname "${BASH_SOURCE[0]}")/view-script.bash" n01 n02
	await 5 bash -c '! pgrep -f "^sleep 70|^spinner"'
	agents_down
}

case_deputies() {
	export SSI_VIEW_DIR=$PWD/run/view HOME=$PWD
	unset SSI_VIEW
	agents_up 2
	ssi shell bash -euo pipefail "$(dirname "${BASH_SOURCE[0]}")/view-deputies.bash"
	agents_down
}
