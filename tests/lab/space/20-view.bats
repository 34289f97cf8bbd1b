#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What runs on the nodes, seen from the master: by ssi's own verbs, and by the programs that everybody knows in a shell that shows the whole.

load ../lab.bash

ALL='n[01-03]'

# Programs that the master's image has not, and the scripts that use them and others; all as they are installed here.
tools() {
	local dir=$BATS_FILE_TMPDIR/view program
	mkdir -p "$dir/lib"
	for program in pstree killall pidstat htop; do
		command -v "$program" >/dev/null || { echo "needs $program"; return 1; }
		cp "$(command -v "$program")" "$dir"
	done
	ldd "$dir/htop" | awk '/libnl/ { print $3 }' | xargs -r cp -t "$dir/lib"
	cp "$TOP"/tests/bats/view-{script,wait}.bash "$dir"
	tar -C "$dir" -c . | "$TOP/scripts/ssi-lab" exec master sh -c 'mkdir -p /opt/view && tar -x --no-same-owner -C /opt/view'
}

setup_file() {
	lab power on m01 m02 m03
	await 300 in_state "$ALL" joined
	await 60 answer "$ALL"
	tools
}

teardown() { show_trouble; }

# The number by which a process of a node is known here.
number_of() { # NODE WORD
	ssi ps -e -n "$1" -o json | jq -r --arg word "$2" '[.[] | select((.args | join(" ")) == $word)][0].pid'
}

seen() { # NODE WORD
	[ "$(number_of "$1" "$2")" != null ]
}

unseen() {
	! seen "$@"
}

start_on() { # NODE COMMAND
	node_sh "$1" "$2 </dev/null >/dev/null 2>&1 &"
}

told() {
	ssi load -o json | jq -e 'length == 3 and all(.memory > 0 and .tasks > 0)' >/dev/null
}

@test "load: of each node what the node itself says" {
	await 20 told
	[ "$(ssi load n01 -o json | jq '.[0].cpus')" = "$(node_sh n01 nproc)" ]
}

@test "ps, kill: a process of a node by its number" {
	start_on n02 'sleep 4711'
	await 20 seen n02 'sleep 4711'
	ssi kill "$(number_of n02 'sleep 4711')"
	await 20 unseen n02 'sleep 4711'
	run node_sh n02 'pgrep -f "[s]leep 4711"'
	[ "$status" -ne 0 ]
}

@test "in ssi shell ps, pgrep, pkill and nproc see and reach all nodes" {
	local number cpus
	start_on n03 'sleep 4712'
	await 20 seen n03 'sleep 4712'
	number=$(number_of n03 'sleep 4712')
	[ "$(master ssi shell -c 'pgrep -f "[s]leep 4712"')" = "$number" ]
	master ssi shell -c "ps -p $number -o args=" | grep -q '^sleep 4712'
	master ssi shell -c 'ps -e' | grep -q ssi-bootsvc
	cpus=$(($(master nproc) + 3))
	[ "$(master ssi shell -c nproc)" = "$cpus" ]
	master ssi shell -c "kill -STOP $number"
	# shellcheck disable=SC2016 # the node's shell expands it
	await 20 node_sh n03 'grep -q "State:.T" /proc/$(pgrep -f "[s]leep 4712")/status'
	master ssi shell -c 'pkill -KILL -f "[s]leep 4712"'
	await 20 unseen n03 'sleep 4712'
	run node_sh n03 'pgrep -f "[s]leep 4712"'
	[ "$status" -ne 0 ]
}

@test "ps, pstree, top, htop, free, uptime, vmstat, lscpu, pidstat: what the nodes say; kill, killall, pkill, renice, taskset: what they do there" {
	node_sh n01 'cp /bin/sleep /root/sleeper'
	start_on n01 'exec sleep 701'
	start_on n01 'exec /root/sleeper 704'
	start_on n02 'exec setpriv --reuid=1234 --regid=1234 --clear-groups sleep 702'
	start_on n02 'exec sleep 703'
	start_on n02 'exec nice -n 5 bash -c "exec -a spinner bash -c \"while :; do :; done\""'
	# As natively, in bats/view-nodes.
	master sh -c "cd /opt/view && PATH=/opt/view:\$PATH LD_LIBRARY_PATH=/opt/view/lib exec ssi shell bash -euo pipefail ./view-script.bash n01 n02 n03"
}
