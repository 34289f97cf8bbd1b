# shellcheck shell=bash disable=SC2317 # what await calls is reached
# SPDX-License-Identifier: GPL-2.0-or-later
# The bodies of zombies.bats: each runs in a network namespace of its own, with bootsvc.bash loaded and "set -e" on. The link is what nodes have to the daemon:
# port 7701, which a packet filter cuts in the namespace of the test. Programs talk to the test itself over loopback, so that they end when they are told to.

# shellcheck source=tests/bats/agents.bash
. "$(dirname "${BASH_SOURCE[0]}")/agents.bash"

ZOMBIES=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../../build/tests/zombies/zombies")
NODES=(n01 n02 n03 n04 n05)               # one for each parent

# A program for each case, by a name of its own: that is what stands in its record.
programs() {
	local p
	mkdir -p prog
	chmod 755 prog
	cp "$ZOMBIES" prog/zombies
	# An ELF file of 32 bit for a machine that has 64: what is wrong with it only the kernel knows.
	python3 - >prog/nothing <<-'END'
	import struct, sys
	machine = open("/proc/self/exe", "rb").read(20)[18:20]
	head = b"\x7fELF\1\1\1" + bytes(9) + struct.pack("<H2sIIIIIHHHHHH", 2, machine, 1, 0x10000, 52, 0, 0, 52, 32, 1, 0, 0, 0)
	sys.stdout.buffer.write(head + struct.pack("<8I", 1, 0, 0x10000, 0x10000, 84, 84, 5, 4096))
	END
	chmod 755 prog/nothing
	for p in waits ignores gone dies stopped; do
		ln prog/zombies prog/$p-exits
		ln prog/zombies prog/$p-killed
		ln prog/zombies prog/$p-dumps
		ln prog/nothing prog/$p-broken
	done
}

# What parents see, and what stands in the records.
seen() {
	cat <<-END
	waits-exits exit 41
	waits-killed signal 15
	waits-dumps signal 6
	waits-broken exit 126
	ignores-exits nobody
	ignores-killed nobody
	ignores-dumps nobody
	ignores-broken nobody
	gone-exits exit 43
	gone-killed signal 10
	gone-dumps signal 6
	gone-broken exit 126
	dies-exits exit 44
	dies-killed signal 14
	dies-dumps signal 6
	dies-broken exit 126
	stopped-exits exit 45
	stopped-killed signal 12
	stopped-dumps signal 6
	stopped-broken exit 126
	END
}

# What stands in the records: the program, why it ended, status, signal, core dump.
kept() {
	local p n=0 ended=(15 9 10 14 12)
	for p in waits ignores gone dies stopped; do
		echo "$p-exits exited $((41 + n)) 0 false"
		echo "$p-killed killed 0 ${ended[n]} false"
		echo "$p-dumps crashed 0 6 $DUMPS"
		echo "$p-broken not-started 126 0 false"
		n=$((n + 1))
	done
}

# Does a dump come about on this machine at all?
dumps() {
	mkdir dumps
	DUMPS=$(cd dumps && ulimit -c "$(ulimit -Hc)" && python3 -c 'import os
print(str(os.WCOREDUMP(os.waitpid(os.fork() or os.abort(), 0)[1])).lower())')
}

link_cut() {
	nft -f - <<-END
	table inet cut {
		chain in {
			type filter hook input priority 0
			tcp sport 7701 drop
			tcp dport 7701 drop
		}
	}
	END
}
link_mend() { nft delete table inet cut; }

# --- what is told to the twenty, and heard of them ---
tell() { echo "$1" >&7; }
hear() { # LINE
	local line=''
	read -r -t 70 -u 8 line || :             # more than they wait themselves, who say for whom
	[ "$line" = "$1" ] || fail "'$line' is heard, not '$1'"
}

keepers() {
	local n
	for n in "${NODES[@]}"; do pgrep --ns "$(cat "nodes/$n/init.pid")" --nslist pid -x ssi-keeper || :; done
}
on_disk() { # N records
	[ "$(find nodes/*/jobs -mindepth 2 -maxdepth 2 -name exit | wc -l)" -eq "$1" ]
}
folders() { # N, of jobs
	[ "$(find nodes/*/jobs -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -eq "$1" ]
}

# All that there are; and once more: one may just have been made, by a keeper that stands still now.
keepers_stop() {
	for _ in 1 2; do
		mapfile -t STOPPED < <(keepers)
		kill -STOP "${STOPPED[@]}"
	done
}

# Twenty are started and brought to where they wait. Those that cannot be executed wait for their keeper, which stands still.
begin() {
	LAST=$(ssi jobs -a -o json | jq '[.[].job] | max // 0')
	[ -p words ] || mkfifo words heard
	"$ZOMBIES" "$PWD/prog" "${NODES[@]}" <words >heard 2>>said &
	PID=$!
	exec 7>words 8<heard
	hear running
	[ "${1-}" = up ] || keepers_stop
	tell more
	hear all
	[ "${1-}" = up ] || await 30 folders 20
}

# All is over: who saw what, what is on record, and what is left over, which is nothing.
finish() { # WHAT PARENTS SEE, WHAT IS KEPT
	local job
	tell rest
	timeout 120 cat <&8 >got
	wait "$PID" || fail "$(cat got said; ssi jobs; ls nodes/*/jobs; tail -n 8 nodes/*/agent.log log)"
	diff <(sort <<<"$1") <(sort got)
}
over() { # WHAT IS KEPT
	local job
	await 30 none
	for job in $(ssi jobs -a -o json | jq ".[].job | select(. > $LAST)"); do
		ssi job show "$job" -o json | jq -r '[.command, .cause, .status, .signal, .core] | join(" ")'
	done >got
	diff <(sort <<<"$1") <(sort got)
	await 10 nothing || fail "left: $(ps -eo pid,ppid,stat,args | awk '$3 ~ "Z" || /ssi-keeper/'; ls nodes/*/jobs)"
}
none() { [ "$(ssi jobs -o json)" = "[]" ]; }
known() { [ "$(ssi jobs -o json | jq 'map(select(.state == "ended")) | length')" -eq "$1" ]; }     # N, records that nobody has acknowledged

# No zombie, anywhere; no job's folder, and of keepers a few on each node that stand ready.
nothing() {
	! grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | grep -q . && folders 0 && [ "$(keepers | wc -l)" -le 25 ]
}

# All have ended, and nothing that a node says of it gets through.
ended_unheard() {
	begin
	link_cut
	kill -CONT "${STOPPED[@]}"
	tell go
	hear "ended 20"
	await 30 on_disk 20
}

# --- the four states of the link ---
link_up() {
	begin up
	tell go
	read -r -t 70 -u 8 _
	finish "$(seen)"
	over "$(kept)"
}

link_record() { # the record cannot come before the link is mended
	ended_unheard
	tell alive
	hear "ended 20"
	mend "$1"
	finish "$(seen)"
	over "$(kept)"
}

link_ack() { # the record comes, and who waited is gone; that it came the node learns afterwards
	local deputies
	begin
	tell go
	hear "ended 20"
	# Who would acknowledge it stands still while it comes: however long that takes, it is there before the link is cut, and not acknowledged.
	mapfile -t deputies < <(ssi jobs -o json | jq '.[].pid')
	kill -STOP "${deputies[@]}"
	kill -CONT "${STOPPED[@]}"
	await 30 known 20
	link_cut
	kill -CONT "${deputies[@]}"
	finish "$(seen)"
	await 30 none
	on_disk 20
	mend "$1"
	over "$(kept)"
}

link_dead() { # the record is there, and lost with its node
	local n
	ended_unheard
	for n in "${NODES[@]}"; do
		agent_cut "$n"
		rm -r "nodes/$n/jobs"                # it was in its memory
	done
	sed -i 's/^detach = .*/detach = 1500ms/' nodes.d/10-demo.ini
	bootsvc reload >reloaded
	finish "$(seen | sed '/nobody/!s/ .*/ signal 9/')"
	over "$(kept | sed 's/ .*/ node-lost 0 9 false/')"
	link_mend
}

mend() { # HOW: the link as it was; another agent; another daemon
	local n
	case $1 in
	agent) for n in "${NODES[@]}"; do agent_kill "$n"; done ;;
	daemon) kill_daemon ;;
	esac
	link_mend
	case $1 in
	agent) for n in "${NODES[@]}"; do agent_start "$n"; done ;;
	daemon) start_daemon --no-dhcp ;;
	esac
}

up() {
	export HOME=$PWD
	programs
	dumps
	# A machine that has much else to do is not a node that is lost.
	sed -i 's/^discovery = .*/&\ndetach = 5m/' nodes.d/10-demo.ini
	agents_up ${#NODES[@]}
}

# Nobody complains of what cannot be.
calm() { ! grep -inE 'assert|panic|sanitizer|runtime error|leak' log nodes/*/*.log said; }

case_matrix() {
	up
	link_up
	link_record link
	link_ack link
	link_dead
	calm
}

case_others() {
	up
	link_up
	link_record agent
	link_ack agent
	link_record daemon
	link_ack daemon
	calm
}
