# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What procs.bats does, in a network of its own: the processes of real agents' machines as ps, top and kill show and reach them.
# shellcheck source=tests/bats/agents.bash
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

# What is shown is what the node itself sees.
shows_truth() { # NODE
	ssi ps -e -n "$1" -o npid,ni,nlwp,comm | awk 'NR > 1 { print $1, $2, $3, $4 }' | sort >shown
	on_node "$1" ps -eo pid,ni,nlwp,comm --no-headers | awk '$4 != "ps" { print $1, $2, $3, $4 }' | sort >truth
	[ -s truth ] && diff truth shown
}

case_ps() {
	local n
	export SSI_VIEW_DIR=$PWD/run/view
	agents_up 2
	run_on n01 sleep 601
	run_on n02 setpriv --reuid=1234 --clear-groups sleep 602
	await 5 has n01 'sleep 601'
	await 5 has n02 'sleep 602'
	await 10 shows_truth n01 || { diff truth shown; false; }
	# Numbers: each once, in their range, and the same when asked again; parents are processes of that node, or 1.
	ssi ps -e -o pid | tail -n +2 | sort >numbers
	[ -z "$(uniq -d numbers)" ]
	awk '$1 < 2097152 || $1 >= 4194304 { exit 1 }' numbers
	n=$(number_of n01 'sleep 601')
	[ "$n" = "$(number_of n01 'sleep 601')" ]
	ssi ps -e -o json >all
	jq -e '(map({ key: (.pid | tostring), value: .node }) | from_entries) as $of | all(.[]; .ppid <= 1 or $of[.ppid | tostring] == .node)' all
	# Whose: one's own unless asked for more.
	[ "$(ssi ps -u 1234 -o uid,comm | tail -n +2)" = '1234  sleep' ]
	[[ $(ssi ps -o args) != *602* ]]
	[[ $(ssi ps -ef) == *'sleep 602'* ]]
	ssi ps -e -n n02 -o pid --sort -pid | tail -n +2 >sorted
	sort -c -rn sorted
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

# It computes, and uses all of a processor or what others leave of it.
is_first() { [ "$(ssi top -b -n 2 -d 1 | awk '/ PID / { n = 0 } { n++ } n == 2 { line = $0 } END { print line }' | awk '{ print $2, $NF, ($10 > 5) }')" = 'n02 bash 1' ]; }

case_top() {
	export SSI_VIEW_DIR=$PWD/run/view
	agents_up 2
	# shellcheck disable=SC2016
	run_on n02 nice -n -5 bash -c 'while :; do :; done'
	await 10 is_first
	ssi top -b -n 1 --all --node n01 | awk '/ PID / { on = 1; next } on && NF && $2 != "n01" { exit 1 }'
	ssi top -o json | jq -e '.nodes.count == 2 and .nodes.cpus > 0 and (.processes | length) > 0'
	run ssi top
	[ "$status" = 2 ] && [[ $output == *'no terminal'* ]]
	# shellcheck disable=SC2094      # the key is pressed when the screen is there
	# On a terminal: a screen, then q; nothing stays behind of it.
	script -qec 'stty -a >before; ssi top -d 30; stty -a >after' /dev/null >screen < <(trap - EXIT; until grep -qs 'processes' screen; do sleep 0.05; done; printf q; sleep 1)
	grep -q 'COMMAND' screen
	diff before after
	agents_down
}

job_shown() { [ "$(ssi ps -e -o pid,job,npid,comm | awk '$2 == "yes" { print $1, $4 }')" = "$1 sleep" ]; }     # PID

# A job has one number everywhere, and a signal to that number reaches it.
case_job() {
	local pid run
	export SSI_VIEW_DIR=$PWD/run/view
	agents_up 1
	ssi run -n n01 sleep 621 >/dev/null 2>&1 &
	run=$!
	await 10 has n01 'sleep 621'
	pid=$(ssi jobs -o json | jq '.[0].pid')
	await 10 job_shown "$pid"
	ssi kill -TERM "$pid"
	status=0
	wait "$run" || status=$?
	[ "$status" = 143 ]
	await 5 has_not n01 'sleep 621'
	agents_down
}

as_user() { # UID COMMAND...
	setpriv --reuid="$1" --regid="$1" --clear-groups --no-new-privs "${@:2}"
}

state_is() { [ "$(ssi ps -e -o json | jq -r --argjson p "$1" '.[] | select(.pid == $p) | .state')" = "$2" ]; }     # PID STATE

# RUN lies below a folder that everybody may enter; what users may not see is theirs by its own mode.
case_kill() {
	local mine other
	export SSI_VIEW_DIR=$PWD/run/view
	agents_up 2
	run_on n01 sleep 611
	run_on n02 setpriv --reuid=1234 --clear-groups sleep 612
	await 5 has n01 'sleep 611'
	await 5 has n02 'sleep 612'
	other=$(number_of n01 'sleep 611') mine=$(number_of n02 'sleep 612')
	# A user sees all and stops, continues and ends his own; not root's, and is asked for nothing else.
	[ "$(as_user 1234 ssi ps -o pid --sort pid | tail -n +2 | tr -d ' ')" = "$mine" ]
	run as_user 1234 ssi kill "$other"
	[ "$status" = 1 ] && [[ $output == *"another user's"* ]]
	as_user 1234 ssi kill -STOP "$mine"
	await 5 state_is "$mine" T
	as_user 1234 ssi kill -s CONT "$mine"
	await 5 state_is "$mine" S
	run as_user 1234 ssi node list
	[ "$status" = 1 ] && [[ $output == *'not allowed'* ]]
	as_user 1234 ssi kill "$mine"
	await 5 has_not n02 'sleep 612'
	# Root may; what is not there any more, or never was, is an error and hits nobody.
	[ "$(ssi kill -9 "$other" -o json | jq -c .)" = "[{\"pid\":$other}]" ]
	await 5 has_not n01 'sleep 611'
	run ssi kill "$other" "$((other == 4194303 ? 4194302 : 4194303))"
	[ "$status" = 1 ] && [ "$(grep -c 'no such process' <<<"$output")" = 2 ]
	run ssi kill 1
	[ "$status" = 2 ] && [[ $output == *'no number of a process'* ]]
	run ssi kill -NONSENSE 2097152
	[ "$status" = 2 ] && [[ $output == *"no signal 'NONSENSE'"* ]]
	agents_down
}

ask_as() { printf '%s\n' "{\"verb\":\"$2\",\"args\":{$3}}" | as_user "$1" socat -t 5 - "UNIX-CONNECT:run/user.sock"; }     # UID VERB ARGS

# Nice values and processors, for whom they are.
case_act() {
	local p
	export SSI_VIEW_DIR=$PWD/run/view
	agents_up 1
	run_on n01 setpriv --reuid=1234 --clear-groups sleep 631
	await 5 has n01 'sleep 631'
	p=$(number_of n01 'sleep 631')
	ask_as 1234 procs.nice "\"pid\":$p,\"nice\":39" | jq -e .ok
	[ "$(on_node n01 ps -o ni= -C sleep | tr -d ' ')" = 19 ]
	[ "$(ask_as 1234 procs.nice "\"pid\":$p,\"nice\":20" | jq .data.errno)" = 13 ]      # not less nice: EACCES
	[ "$(ask_as 1235 procs.nice "\"pid\":$p,\"nice\":39" | jq .data.errno)" = 1 ]
	[ "$(ask_as 1235 procs.affinity "\"pid\":$p,\"mask\":\"1\"" | jq .data.errno)" = 1 ]
	ask_as 1234 procs.affinity "\"pid\":$p,\"mask\":\"1\"" | jq -e .ok
	[ "$(ask_as 1235 procs.affinity "\"pid\":$p" | jq -r .data.mask)" = 1 ]
	on_node n01 taskset -p "$(on_node n01 pgrep -x sleep)" | grep -q 'mask: 1$'
	[[ $(ask_as 1234 procs.affinity "\"pid\":$p,\"mask\":\"x\"" | jq -r .error) == *hexadecimal* ]]
	[[ $(ask_as 1234 procs.signal "\"pid\":$p,\"signal\":65" | jq -r .error) == *'no signal'* ]]
	# One's own and no more.
	[ "$(ask_as 1234 procs '' | jq -c '[.data[].comm]')" = '["sleep"]' ]
	[[ $(ask_as 1234 node.reboot '"range":"n01"' | jq -r .error) == *'not allowed'* ]]
	agents_down
}

# A bats helper's like, for cases.
run() {
	status=0
	output=$("$@" 2>&1) || status=$?
}
