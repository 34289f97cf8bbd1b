# shellcheck shell=bash disable=SC2317 # what await calls is reached
# SPDX-License-Identifier: GPL-2.0-or-later
# The body of leak.bats. So many jobs at once, then so many in a row, on two nodes; then all that can be counted is counted; then the same once more, and it is
# counted again. The first time fills what is kept and bounded: records, caches, the heap.

# shellcheck source=tests/bats/agents.bash
. "$(dirname "${BASH_SOURCE[0]}")/agents.bash"

LEAK_AT_ONCE=${LEAK_AT_ONCE:-100} LEAK_ROW=${LEAK_ROW:-300} LEAK_FIRST=${LEAK_FIRST:-100}
LEAK_SLACK=8                             # of anything: one more or less may be there just now, never one for each job
LEAK_KIB=1024                            # so much more memory nobody may have afterwards,
LEAK_ALL_KIB=12288                       # and so much at all: what many had on their way at once does not stay
MANY=${AGENTS_SIM%/*}/tests/soak/many-jobs

# The daemon, and the agents: "NAME PID".
who() {
	local name
	echo "master $DAEMON"
	for name in n01 n02; do echo "$name $(cat "nodes/$name/agent.pid")"; done
}

count() { find "$@" 2>/dev/null | wc -l; }     # as for find

# What is not to grow: "NUMBER WHAT" in lines.
things() {
	local name pid
	who | while read -r name pid; do
		# An agent has a file open of each process that there is; of those there are not more either.
		echo "$(count "/proc/$pid/fd" -mindepth 1 -not -lname '/proc/*/stat') descriptors of $name"
		echo "$(count "/proc/$pid/task" -mindepth 1 -maxdepth 1) threads of $name"
	done
	for name in n01 n02; do
		echo "$(on_node "$name" sh -c 'ls -d /proc/[0-9]*' | wc -l) processes on $name"
		echo "$(count "/proc/$(cat "nodes/$name/agent.pid")/fd" -lname '/proc/*/stat') files of processes in the agent of $name"
		echo "$(count "nodes/$name/blobs" -mindepth 1) blobs on $name"
		[ -z "$AGENTS_CGROUPS" ] || echo "$(count "$AGENTS_CGROUPS/${WORK##*/}-$name" -type d) control groups on $name"
	done
}

# Nothing of any job is there.
over() {
	[ "$(ssi jobs -o json)" = "[]" ] || return
	[ "$(count nodes/*/jobs -mindepth 1 -maxdepth 1)" = 0 ] || return
	[ "$(count nodes/*/blobs -type f -links +1)" = 0 ] || return
}

# Lines "NUMBER WHAT" of a first file and a second one: nowhere more than so many more.
no_more() { # FIRST SECOND SLACK
	paste "$1" "$2" | awk -v slack="$3" '{ half = NF / 2; if ($(half + 1) - $1 > slack) { print; bad = 1 } } END { exit bad }'
}

settled() { over && things >now && no_more before now $LEAK_SLACK; }

# KiB that are nobody else's: "KIB KiB of NAME" in lines.
memory() {
	local name pid
	who | while read -r name pid; do echo "$(awk '/^RssAnon/ { print $2 }' "/proc/$pid/status") KiB of $name"; done
}

turns() { # COUNT
	"$MANY" --wait "$LEAK_AT_ONCE" "$LEAK_AT_ONCE" 'n[01-02]' prog/echo | tee said
	grep -q " $LEAK_AT_ONCE at once" said
	"$MANY" 2 "$1" 'n[01-02]' prog/echo
}

case_leak() {
	export HOME=$PWD SSI_JOBS=$PWD/run/jobs.sock
	mkdir prog
	printf '#include <stdio.h>\nint main(void) { int c; while ((c = getchar()) != EOF) putchar(c); return 0; }\n' | cc -x c -static -o prog/echo -
	agents_up 2
	turns "$LEAK_FIRST"
	await 20 over
	things >before
	memory >memory.before
	turns "$LEAK_ROW"
	await 20 settled || { paste before now; return 1; }
	memory >memory.after
	paste memory.before memory.after
	no_more memory.before memory.after $LEAK_KIB
	no_more <(sed 's/^[0-9]*/0/' memory.after) memory.after $LEAK_ALL_KIB
}
