# shellcheck shell=bash disable=SC2317 # what await calls is reached
# SPDX-License-Identifier: GPL-2.0-or-later
# The bodies of load.bats: each runs in a network namespace of its own, with bootsvc.bash loaded and "set -e" on.

# shellcheck source=tests/bats/agents.bash
. "$(dirname "${BASH_SOURCE[0]}")/agents.bash"

of() { # NODE EXPRESSION, of the verb load
	ssi load "$1" -o json | jq -e ".[0] | $2"
}

case_load() {
	agents_up 3
	await 5 of n03 .load
	[ "$(ssi load -o json | jq -r '[.[].name] | join(" ")')" = "n01 n02 n03" ]
	ssi load 'n[01-02]' | grep -q '^n02  *joined  *[0-9]'
	of n01 ".cpus == $(nproc)"
	of n01 ".memory == $(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) * 1024"
	of n01 '.available > 0 and .available <= .memory and .tasks > 1 and .uptime_ms > 0 and (.pressure | has("cpu"))'
	fresh() { of "$1" '.age_ms < 1500'; }
	newer() { of "$1" ".age_ms < $2"; }
	await 5 newer n01 500
	# It is said what a node has that was asked for, and is silent.
	of n09 '.state == "off" and (has("load") | not)'
	# The agent dies, and another tells on.
	agent_kill n02
	agent_start n02
	await 10 grep -q 'joined again' nodes/n02/agent.log
	await 5 fresh n02
	# The view's file is there while somebody wants it.
	[ ! -e run/view/nodes ]
	exec 8<run/view/wanted
	flock -s 8
	await 5 test -e run/view/nodes
	[ "$(head -c 8 run/view/nodes)" = ssiload1 ]
	grep -q n03 run/view/nodes
	exec 8<&-
	await 5 test ! -e run/view/nodes
	kill_daemon
	start_daemon --no-dhcp
	await 10 fresh n01
	# Who is gone does nothing.
	agent_cut n03
	await 10 agent_state n03 detached
	[ "$(ssi load -o json | jq -r '[.[].name] | join(" ")')" = "n01 n02" ]
	of n03 '.state == "detached" and (has("load") | not)'
}
