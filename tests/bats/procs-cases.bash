# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What procs.bats does, in a network of its own: the processes of real agents' machines as ps, top and kill show and reach them.
. "$(dirname "${BASH_SOURCE[0]}")/agents.bash"

# The number in the merged system of the process that has these words for its command line; nothing if there is none.
number_of() { # NODE COMMAND
	ssi ps -e -n "$1" -o json | jq -r --arg c "$2" '.[] | select((.args | join(" ")) == $c) | .pid'
}

has() { [ -n "$(number_of "$1" "$2")" ]; }     # NODE COMMAND
has_not() { [ -z "$(number_of "$1" "$2")" ]; }

# Runs a program on a node; its number out here is in nodes/NODE/run.pid.
run_on() { # NODE COMMAND...
	on_node "$1" "${@:2}" </dev/null >/dev/null 2>&1 &
	OTHERS+=($!)
}

case_ps() {
	local n view pid
	export SSI_VIEW_DIR=$PWD/run/view
	agents_up 2
	run_on n01 sleep 601
	run_on n02 setpriv --reuid=1234 --clear-groups sleep 602
	await 5 has n01 'sleep 601'
	await 5 has n02 'sleep 602'
	# What is shown is what the node itself sees.
	ssi ps -e -n n01 -o npid,state,ni,nlwp,comm | tail -n +2 | awk '{ print $1, $3, $4, $5 }' | sort >shown
	on_node n01 ps -eo pid,ni,nlwp,comm --no-headers | awk '$4 != "ps" { print $1, $2, $3, $4 }' | sort >truth
	diff truth shown
	# Numbers: each once, in their range, and the same when asked again; parents are processes of that node, or 1.
	ssi ps -e -o pid | tail -n +2 | sort >numbers
	[ -z "$(uniq -d numbers)" ]
	awk '$1 < 2097152 || $1 >= 4194304 { exit 1 }' numbers
	n=$(number_of n01 'sleep 601')
	[ "$n" = "$(number_of n01 'sleep 601')" ]
	ssi ps -e -o json | jq -e 'map({ key: (.pid | tostring), value: .node }) | from_entries as $of | all(.[]; .) and true' >/dev/null
	ssi ps -e -o json >all
	jq -e '(map({ key: (.pid | tostring), value: .node }) | from_entries) as $of | all(.[]; .ppid <= 1 or $of[.ppid | tostring] == .node)' all
	# Whose: one's own unless asked for more.
	[ "$(ssi ps -u 1234 -o uid,comm | tail -n +2)" = '1234  sleep' ]
	! ssi ps -o args | grep -q 602
	ssi ps -ef | grep -q 'sleep 602'
	[ "$(ssi ps -e -n n02 -o comm --sort -pid | sed -n 2p)" = sleep ]
	run ssi ps -o nonsense
	[ "$status" = 2 ] && [[ $output == *"no column 'nonsense'"* ]]
	# It ends, and is gone; another agent has the same numbers for who is still there.
	agent_kill n01
	agent_start n01
	await 10 has n01 'sleep 601'
	[ "$n" = "$(number_of n01 'sleep 601')" ]
	pkill -f '^sleep 601'
	await 5 has_not n01 'sleep 601'
	# Nobody looks: no file is written.
	await 5 test ! -e run/view/processes
	agents_down
}

# A bats helper's like, for cases.
run() {
	status=0
	output=$("$@" 2>&1) || status=$?
}
