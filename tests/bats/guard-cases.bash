# shellcheck shell=bash disable=SC2016,SC2317 # words for other shells; what await calls is reached
# SPDX-License-Identifier: GPL-2.0-or-later
# The bodies of guard.bats: each runs in a network namespace of its own, with bootsvc.bash loaded and "set -e" on.

# shellcheck source=tests/bats/agents.bash
. "$(dirname "${BASH_SOURCE[0]}")/agents.bash"

other() { setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nowhere "$@"; }

case_jobs() {
	mkdir -m 755 prog
	# The folder is there for its user to read; whatever he could put there would be in the node's memory, where no bound of the job counts it.
	cat >prog/script <<-'END'
	#!/bin/sh
	at=${0%/*/*}
	[ -r "$0" ] || exit 2
	for d in "$at" "$at"/*; do
		touch "$d/file" 2>/dev/null && exit 3
		mkdir "$d/folder" 2>/dev/null && exit 4
		mv "$0" "$d/moved" 2>/dev/null && exit 5
		chmod 777 "$d" 2>/dev/null && exit 6
	done
	ls /run/ssi/jobs >/dev/null 2>&1 && exit 7
	exit 0
	END
	chmod 755 prog/script
	# What nodes have for a hard limit, and who starts a program has more.
	(ulimit -l 64; agents_up 1)
	DAEMON=$(pgrep -x ssi-bootsvc)
	other ssi run "$PWD/prog/script"
	[ "$(ulimit -Sl 40 && ulimit -Hl 128 && other ssi run sh -c 'ulimit -Hl; ulimit -Sl')" = $'64\n40' ]
	[ "$(ulimit -l 32 && other ssi run sh -c 'ulimit -Hl; ulimit -Sl')" = $'32\n32' ]
	# All the connections that one user may have, and some more.
	ulimit -n 16384
	other python3 - "$PWD/run/jobs.sock" >held <<-'END' &
	import socket, sys, time
	held = []
	for i in range(4600):
	    s = socket.socket(socket.AF_UNIX)
	    s.connect(sys.argv[1])
	    held.append(s)
	s.settimeout(50)
	if s.recv(1) == b"":
	    print("held, but for the last", flush=True)
	time.sleep(1000)
	END
	OTHERS+=($!)
	await 60 grep -q last held
	[ "$(ssi run echo all the same)" = "all the same" ]
}

case_view() {
	export SSI_VIEW_DIR=$PWD/run/view
	unset SSI_VIEW
	agents_up 1
	# A name that is two lines.
	cp "$(command -v sleep)" $'sleep\ner'
	on_node n01 "$PWD/"$'sleep\ner' 705 </dev/null >/dev/null 2>&1 &
	OTHERS+=($!)
	echo secret >secret
	chmod 600 secret
	exec 9<secret
	ssi shell bash -euo pipefail -c '
		find() { pid=$(pgrep -f "er 705$" | sort -n | tail -n 1) && [ "$pid" -ge $((1 << 21)) ]; }
		for i in $(seq 100); do find && break; sleep 0.1; done
		kill -0 "$pid"
		if grep "^er" "/proc/$pid/status"; then exit 4; fi
		# Who counts processes otherwise means another one, or none.
		if unshare --pid --fork kill -9 "$pid" 2>/dev/null; then exit 2; fi
		if unshare --user --pid --fork kill -9 "$pid" 2>/dev/null; then exit 3; fi
		sleep 0.3
		kill -0 "$pid"
		kill -TERM "$pid"
		for i in $(seq 100); do kill -0 "$pid" 2>/dev/null || exit 0; sleep 0.1; done
		exit 1'
	# Those behind a session: nothing of who began it.
	ssi shell sh -c 'echo ready; sleep 1000' >said &
	OTHERS+=($!)
	await 20 grep -q ready said
	local pid n=0
	for pid in $(pgrep -f '^ssi-view --(guard|serve)'); do
		n=$((n + 1))
		[ "$(awk '/^[UG]id:/ { print $2 + $3 + $4 + $5 }' "/proc/$pid/status" | paste -sd' ')" = "0 0" ]
		[ "$(readlink "/proc/$pid/cwd")" = / ]
		[ "$(tr '\0' '\n' <"/proc/$pid/environ" | cut -d= -f1 | paste -sd' ')" = PATH ]
		if readlink "/proc/$pid"/fd/* | grep secret; then fail "it has what its user had open"; fi
	done
	[ "$n" -ge 2 ]
	agents_down
}
