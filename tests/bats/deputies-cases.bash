# shellcheck shell=bash disable=SC2016,SC2317 # words for other shells; what await calls is reached
# SPDX-License-Identifier: GPL-2.0-or-later
# The bodies of deputies.bats: each runs in a network namespace of its own, with bootsvc.bash loaded and "set -e" on.

# shellcheck source=tests/bats/agents.bash
. "$(dirname "${BASH_SOURCE[0]}")/agents.bash"

state() { [ "$(ssi job show "$1" -o json | jq -r .state)" = "$2" ]; }     # PID STATE
over() { [ -n "$(ssi jobs -a -o json | jq -c --argjson p "$1" --arg c "$2" '.[] | select(.pid == $p and .cause == $c)')" ]; }     # PID CAUSE
stat_of() { sed 's/.*) \(.\).*/\1/' "/proc/$1/stat"; }
stat_is() { [ "$(stat_of "$1")" = "$2" ]; }     # PID STATE
lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }     # FILE COUNT

# The store hears of a job within 0.1 s; it does of those before one that takes longer.
stored() { ssi run sleep 0.3; }

# The machine dies, with all that runs on it, and boots: the kernel has another boot id then.
next_life() { # PID...
	stored
	kill_daemon
	kill -9 "$@"
	wait "$@" 2>/dev/null || :
	uuidgen >boot_id 2>/dev/null || cat /proc/sys/kernel/random/uuid >boot_id
	mount --bind boot_id /proc/sys/kernel/random/boot_id
	start_daemon --no-dhcp
}

case_next_life() {
	local jobs=() i user
	agents_up 2
	mkdir -m 777 user
	for i in 1 2 3 4; do
		ssi run -n n01 sh -c 'trap "echo caught; echo error >&2; exit 3" TERM; echo begun; i=0; while :; do sleep 0.05; done' >"out$i" 2>/dev/null &
		jobs+=($!)
	done
	(cd / && exec setpriv --reuid 65534 --regid 65534 --clear-groups ssi run -n n02 sh -c 'echo begun; cat; exit 5') <> <(:) >out5 &
	user=$!
	for i in 1 2 3 4 5; do await 20 lines "out$i" 1; done
	user=$(ssi jobs -o json | jq '.[] | select(.uid == 65534) | .pid')
	next_life "${jobs[@]}" "$user"
	[ "$(cat /proc/sys/kernel/ns_last_pid)" -ge 65536 ]
	for i in "${jobs[@]}"; do
		[ "$(cat "/proc/$i/comm")" = ssi-deputy ]
		await 20 state "$i" running
	done
	# As its user, who reads what the job wrote from then on. The input that it reads has come to its end.
	await 20 over "$user" exited
	[ "$(ssi job show "$user" -o json | jq -c '[.state, .status]')" = '["ended",5]' ]
	[ "$(stat -c '%u %a' "$(ssi job show "$user" -o json | jq -r .stdout)")" = "65534 600" ]
	[ "$(setpriv --reuid 65534 --regid 65534 --clear-groups tail -n 1 "$(ssi job show "$user" -o json | jq -r .stdout)")" = begun ]
	# Signals.
	kill "${jobs[0]}"
	await 20 over "${jobs[0]}" exited
	[ "$(ssi job show "${jobs[0]}" -o json | jq .status)" = 3 ]
	[ "$(tail -n 1 "$(ssi job show "${jobs[0]}" -o json | jq -r .stdout)")" = caught ]
	[ "$(cat "$(ssi job show "${jobs[0]}" -o json | jq -r .stderr)")" = error ]
	kill -STOP "${jobs[1]}"
	await 20 state "${jobs[1]}" stopped
	kill -CONT "${jobs[1]}"
	await 20 state "${jobs[1]}" running
	kill -9 "${jobs[1]}"
	await 20 over "${jobs[1]}" killed
	ssi job kill "${jobs[2]}"
	await 20 over "${jobs[2]}" killed
	# They outlive the daemon alone, and have ended as their jobs did.
	kill_daemon
	stat_is "${jobs[3]}" S
	start_daemon --no-dhcp
	await 20 state "${jobs[3]}" running
	kill "${jobs[3]}"
	await 20 over "${jobs[3]}" exited
	[ "$(ssi jobs -o json)" = "[]" ]
	gone() { ! pgrep -x ssi-deputy >/dev/null; }
	await 20 gone
}

case_daemon_away() {
	local one two
	agents_up 1
	ssi run sleep 1000 &
	one=$!
	ssi run sleep 1000 &
	two=$!
	await 20 state "$one" running
	await 20 state "$two" running
	stored
	kill_daemon
	kill -STOP "$two"
	kill -9 "$one"
	start_daemon --no-dhcp
	await 20 over "$one" killed
	await 20 state "$two" stopped
	kill -CONT "$two"
	await 20 state "$two" running
	kill "$two"
	await 20 over "$two" killed
}

case_restart() {
	local first second job
	agents_up 3
	ssi run --restart sh -c 'true' <<<'' 2>err && fail "input that cannot be read again"
	grep -q 'read again' err
	! ssi run --restart -n n01 true 2>err
	grep -q 'a policy places' err
	# The same pid, the same input, and one status.
	seq 3 >input
	ssi run --restart sh -c 'trap "exit 6" TERM; hostname; cat; echo end; sleep 1000 & wait' <input >out 2>err &
	job=$!
	await 20 grep -q end out
	first=$(head -n 1 out)
	agent_cut "$first"
	await 30 lines out 10
	second=$(sed -n 6p out)
	[ "$first" != "$second" ]
	[ "$(paste -sd' ' out)" = "$first 1 2 3 end $second 1 2 3 end" ]
	[ "$(ssi jobs -o json | jq -c '[.[] | [.pid, .node]]')" = "[[$job,\"$second\"]]" ]
	[ "$(ssi jobs -a -o json | jq -r '.[0].cause')" = node-lost ]
	kill "$job"
	await 20 over "$job" exited
	local status=0
	wait "$job" || status=$?
	[ "$status" = 6 ]
	# Of many, the one.
	ssi run -N 2 --restart --no-prefix sh -c 'trap "exit 6" TERM; echo "$(hostname) $$"; sleep 1000 & wait' >out 2>err &
	job=$!
	await 20 lines out 2
	agent_cut "$second"
	await 30 lines out 3
	# On the last one that there is, under the deputy that it had.
	[ "$(sed -n 3p out | cut -d' ' -f2)" = "$(sed -n "s/^$second //p" out)" ]
	[ "$(cut -d' ' -f1 out | sort | uniq -c | sort -n | awk '{ print $1 }' | paste -sd' ')" = "1 2" ]
	kill "$job"
	status=0
	wait "$job" || status=$?
	[ "$status" = 1 ]
	[ "$(grep -c '^n0[1-3]  *6' err)" = 2 ]
}
