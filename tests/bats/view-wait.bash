# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the scripts that run in the view share. They run beside nodes of agents.bash (view-nodes.bats), and in the lab (tests/lab/space/20-view.bats).

await() { # COMMAND...
	local i
	for ((i = 0; i < 100; i++)); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
	echo "never: $*"
	return 1
}
stat_is() { [[ $(ps -o stat= -p "$1") == $2* ]]; }     # PID STATE
nice_is() { [ "$(ps -o ni= -p "$1" | tr -d ' ')" = "$2" ]; }     # PID NICE
is_not_there() { [ ! -e "/proc/$1" ]; }     # PID

htop_shows() { # TEXT
	local script status=0
	TERM=xterm script -qfc 'stty rows 300 cols 200; exec htop -d 5 --no-color' htop.out </dev/null >/dev/null 2>&1 &
	script=$!
	await grep -aq "$1" htop.out || status=1
	kill "$script"
	wait "$script" || :
	return $status
}

# Runs a command on a node: as an administrator at its console (agents.bash has the same outside of the view); in the lab by the daemon.
on_node() { # NODE COMMAND...
	if [ -d nodes ]; then
		nsenter -t "$(cat "nodes/$1/init.pid")" --pid --mount --uts -- "${@:2}"
	else
		ssi exec --no-prefix "$1" -- "${@:2}"
	fi
}
