# shellcheck shell=bash disable=SC2016,SC2094,SC2317 # words for other shells; what await calls is reached
# SPDX-License-Identifier: GPL-2.0-or-later
# The bodies of run.bats: each runs in a network namespace of its own, with bootsvc.bash loaded and "set -e" on. What is run lies in ./prog: a job has a /tmp of its own,
# so nothing of that is there when it runs.

# shellcheck source=tests/bats/agents.bash
. "$(dirname "${BASH_SOURCE[0]}")/agents.bash"

up() { # N
	export HOME=$PWD                 # where digests are remembered
	agents_up "$1"
}

compile() { # NAME [OPTION...], of standard input
	cc -x c -o "prog/$1" - "${@:2}"
}

programs() {
	mkdir -p prog/lib
	chmod 755 prog prog/lib
	compile static -static <<-'END'
	#include <stdio.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		printf("static %s\n", argc > 1 ? argv[1] : "");
		return access(argv[0], F_OK) == 0 ? 1 : 7;	/* nothing of that name is there */
	}
	END
}

fails() { # STATUS COMMAND...: it ends with that
	local status=0
	"${@:2}" || status=$?
	[ "$status" -eq "$1" ] || { echo "status $status, not $1: ${*:2}" >&2; return 1; }
}

case_kinds() {
	programs
	up 1
	fails 7 ssi run "$PWD/prog/static" one >out
	[ "$(cat out)" = "static one" ]
	# A second time nothing is sent.
	fails 7 ssi run prog/static two >out
	[ "$(cat out)" = "static two" ]
	# With a library that is nowhere else.
	printf 'int answer(void) { return 42; }\n' | cc -x c -shared -fPIC -o prog/lib/libanswer.so -
	compile dynamic -Lprog/lib -lanswer -Wl,-rpath,"\$ORIGIN/lib" <<-'END'
	#include <stdio.h>
	int answer(void);
	int main(void) { printf("%d\n", answer()); return 0; }
	END
	[ "$(ssi run prog/dynamic)" = 42 ]
	printf '#!/usr/bin/python3\nimport sys\nprint("python", *sys.argv[1:])\n' >prog/script.py
	printf '#!/bin/sh\necho "shell $1 $0" >&2\nexit 3\n' >prog/script.sh
	chmod +x prog/script.*
	fails 3 ssi run prog/script.sh x 2>err
	grep -q '^shell x .*script.sh$' err
	[ ! -x /usr/bin/python3 ] || [ "$(ssi run prog/script.py a 'b c')" = "python a b c" ]
	[ "$(ssi run echo of the path)" = "of the path" ]
	# However large.
	cp prog/static prog/huge
	truncate -s +300000000 prog/huge
	fails 7 ssi run prog/huge three >out
	[ "$(cat out)" = "static three" ]
	cmp prog/huge "nodes/n01/blobs/$(sha256sum prog/huge | cut -d' ' -f1)"
	# Nothing is left of them.
	left() { [ "$(find nodes/n01/jobs -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -le 1 ]; }
	await 5 left
	[ "$(ssi jobs -o json)" = "[]" ]
	[ "$(ssi jobs -a -o json | jq -c '[.[] | .cause] | unique')" = '["exited"]' ]
}

# The node has no Python and no Perl at all: whiteouts (devices 0:0, as overlayfs has them) hide what this machine has. And nothing of prog.
interpreters_away() { # NODE
	local hide=$PWD/hide dir
	for dir in /usr/bin /usr/lib /usr/share "/usr/lib/$(uname -m)-linux-gnu"; do mkdir -p "$hide$dir"; done
	find /usr/bin /usr/lib /usr/share "/usr/lib/$(uname -m)-linux-gnu" -maxdepth 1 \( -name 'python3*' -o -name 'perl*' \) >away
	while read -r dir; do mknod "$hide$dir" c 0 0; done <away
	for dir in /usr/bin /usr/lib /usr/share; do on_node "$1" mount -t overlay overlay -o "xino=off,lowerdir=$hide$dir:$dir" "$dir"; done
	on_node "$1" mount -t tmpfs tmpfs "$PWD/prog"
}

modules() {
	mkdir -p prog/inner prog/lib
	printf 'WORD = "beside"\n' >prog/other.py
	printf 'from .part import PART\n' >prog/inner/__init__.py
	printf 'PART = "of a package"\n' >prog/inner/part.py
	cat >prog/script.py <<-'END'
	#!/usr/bin/python3
	import ctypes, decimal, hashlib, json, os, subprocess, sys, zlib
	import other, inner
	child = subprocess.run([sys.executable, "-c", "import email.message; print(email.message.__name__)"], capture_output=True, text=True)
	print(json.dumps([sys.argv[1:], sys.stdin.read(), other.WORD, inner.PART, child.stdout, os.path.basename(__file__), sys.path[1:4], sys.executable,
	                  sorted(name for name in os.environ if name.startswith("PYTHON"))]))
	sys.exit(5)
	END
	printf 'package Other; sub word { "beside" } 1;\n' >prog/Other.pm
	printf 'package Below; sub word { "below" } 1;\n' >prog/lib/Below.pm
	cat >prog/script.pl <<-'END'
	#!/usr/bin/perl -w
	use strict; use FindBin; use lib $FindBin::Bin, "$FindBin::Bin/lib"; use Other; use Below;
	use POSIX qw(floor); use Data::Dumper; use List::Util qw(sum); use Encode;
	print join(" ", Other::word(), Below::word(), floor(2.5), sum(1, 2), length(decode("UTF-8", "\xc3\xa4")), @ARGV), "\n";
	exit 6;
	END
	chmod +x prog/script.*
}

as_somebody() { # COMMAND...
	setpriv --reuid 12345 --regid 12345 --clear-groups "$@"
}

# With the standard library, and modules of its own beside it; as the same script runs here.
case_interpreters() {
	unset "${!PYTHON@}" "${!PERL@}"
	modules
	agent_before() { interpreters_away "$1"; }
	up 1
	[ "$(on_node n01 sh -c 'ls -d /usr/bin/python3* /usr/lib/python3* /usr/bin/perl /usr/share/perl' 2>/dev/null)" = "" ]
	fails 5 prog/script.py a 'b c' <<<in >want
	fails 5 ssi run prog/script.py a 'b c' <<<in >out
	cmp want out
	# Libraries of its library come, too.
	[ "$(ssi run /usr/bin/python3 -c 'import sqlite3, ssl, sys; print(sys.prefix)')" = /usr ]
	fails 6 prog/script.pl x y >want
	fails 6 ssi run prog/script.pl x y >out
	cmp want out
	# All of it came once.
	local blobs
	blobs=$(ls nodes/n01/blobs)
	[ "$(grep -c -- - <<<"$blobs")" -ge 3 ]
	fails 5 ssi run prog/script.py a 'b c' <<<in >out 2>err
	[ "$(ls nodes/n01/blobs)" = "$blobs" ]
	# A module that was changed is another one.
	echo 'WORD = "changed"' >prog/other.py
	fails 5 ssi run prog/script.py <<<in >out
	grep -q '"changed"' out
	# What lies over the node's folders is in the job's sight alone, and no program there makes its user more than he is; without a cache it travels, too.
	HOME=/nowhere as_somebody ssi run /usr/bin/python3 -c 'print([l for l in open("/proc/self/status") if l.startswith("NoNewPrivs")], open("/proc/self/mounts").read())' >out
	grep -q 'NoNewPrivs:.t1' out
	grep -q 'overlay /usr/lib overlay ro,nosuid,nodev' out
	[ "$(on_node n01 sh -c 'ls -d /usr/bin/python3* /usr/lib/python3* /usr/bin/perl /usr/share/perl' 2>/dev/null)" = "" ]
}

case_like_here() {
	up 1
	[ "$(ssi run printf '<%s>' a 'b c' '' $'d\ne')" = $'<a><b c><><d\ne>' ]
	[ "$(WORD='x y' ssi run sh -c 'echo "$WORD"')" = "x y" ]
	[ "$(umask 027 && ssi run sh -c umask)" = 0027 ]
	[ "$(ulimit -n 77 && ssi run sh -c 'ulimit -n')" = 77 ]
	[ "$(ssi run hostname)" = n01 ]
	# Its number there is that of its deputy here: of ssi run.
	ssi run sh -c 'echo $$' >out &
	wait $!
	[ "$(cat out)" = $! ]
	# Three streams, each its own.
	ssi run sh -c 'cat; echo err >&2; echo out' <<<in >out 2>err
	[ "$(cat out)" = $'in\nout' ]
	[ "$(cat err)" = err ]
	head -c 3000000 /dev/urandom >data
	ssi run cat <data | cmp data
	fails 5 ssi run sh -c 'cat; exit 5' <data >got
	cmp data got
	[ "$(ssi run wc -c </dev/null)" = 0 ]
	# A reader that goes away, a status, a signal, a program that is none.
	[ "$(ssi run yes | head -n 1)" = y ]
	fails 5 ssi run sh -c 'exit 5'
	fails 143 ssi run sh -c 'kill $$'
	fails 137 ssi run sh -c 'kill -9 $$'
	fails 127 ssi run no-such-program-at-all 2>err
	grep -q no-such-program err
	# A signal to it is one to the program.
	mkfifo said
	ssi run sh -c 'trap "echo caught; exit 9" USR1; echo ready; while :; do sleep 0.1; done' >said &
	local pid=$! line
	exec 9<said
	read -r -u 9 line
	[ "$line" = ready ]
	kill -USR1 $pid
	read -r -u 9 line
	[ "$line" = caught ]
	fails 9 wait $pid
	# Killed itself, it takes the program along.
	ssi run sleep 1000 &
	pid=$!
	running() { ssi jobs -o json | jq -e '.[0].state == "running"' >/dev/null; }
	await 5 running
	kill -9 $pid
	gone() { [ "$(ssi jobs -o json)" = "[]" ]; }
	await 5 gone
	[ "$(ssi jobs -a -o json | jq -r '.[-1] | .command + " " + .cause')" = "sleep killed" ]
	fails 137 ssi run --time 300ms sleep 1000 2>err
	grep -q 'time was over' err
}

case_terminal() {
	up 1
	# Its input does not end: what script types for that might come before the terminal is raw, and be a NUL then, which is shown.
	mkfifo idle
	fails 3 script -qec "stty rows 33 columns 99; ssi run -t sh -c 'tty; stty size; exit 3'" /dev/null <>idle >out
	grep -q '/dev/pts/' out
	grep -q '^33 99' out
	# Stopped, it stops; and goes on with it.
	ssi run sleep 1000 </dev/null &
	local pid=$!
	state() { ssi jobs -o json | jq -e ".[0].state == \"$1\"" >/dev/null; }
	await 5 state running
	kill -TSTP $pid
	await 5 state stopped
	here() { [ "$(sed 's/.*) \(.\).*/\1/' /proc/"$pid"/stat)" = T ]; }
	await 5 here
	kill -CONT $pid
	await 5 state running
	# Nobody tells it that it is stopped; it is seen.
	kill -STOP $pid
	await 20 state stopped
	kill -CONT $pid
	await 20 state running
	# What lets the program go on lets it go on.
	kill -STOP $pid
	await 20 state stopped
	ssi job signal CONT $pid
	goes() { [ "$(sed 's/.*) \(.\).*/\1/' /proc/"$pid"/stat)" = S ]; }
	await 20 goes
	await 20 state running
	kill $pid
	fails 143 wait $pid
}

case_files() {
	up 1
	mkdir -p in/sub
	echo one >in/a
	head -c 2000000 /dev/urandom >in/sub/b
	ssi run --input in --output back sh -c 'mkdir -p output/x && cat a && cp sub/b output/x/ && echo done >output/c' >out
	[ "$(cat out)" = one ]
	cmp in/sub/b back/x/b
	[ "$(cat back/c)" = "done" ]
	[ "$(ssi run --input in/a cat a)" = one ]
	# It has a place of its own, which is gone then.
	[ "$(ssi run sh -c 'ls | wc -l')" = 0 ]
}

case_refused() {
	programs
	up 1
	# Another machine's: an ELF header that says so.
	cp prog/static prog/other
	printf '\x16' | dd of=prog/other bs=1 seek=18 conv=notrunc status=none
	fails 126 ssi run prog/other 2>err
	grep -Eqi 's390|machine|arch' err
	printf '\x7fELF and no more' >prog/broken
	chmod +x prog/broken
	fails 126 ssi run prog/broken 2>err
	chmod -x prog/static
	fails 126 ssi run prog/static 2>err
	fails 126 ssi run -n n09 true 2>err
	grep -q 'n09.*not joined' err
	fails 126 ssi run -n n99 true 2>err
	grep -q 'no node n99' err
	ssi node drain n01
	fails 126 ssi run true 2>err
	# By name it runs on a drained one.
	ssi run -n n01 true
}

# A program of 6 MB that compresses to nothing less, on five nodes: one gets it from here, the others from each other; and if they cannot, from here.
case_tree() {
	mkdir prog
	printf '#include <stdio.h>\n#include <unistd.h>\nint main(void) { usleep(300000); puts("all of it"); return 0; }\n' | cc -x c -static -o prog/large -
	head -c 6000000 /dev/urandom >>prog/large
	agent_before() { on_node "$1" mount -t tmpfs tmpfs "$PWD/prog"; }
	up 5
	took() { cat nodes/*/agent.log | grep -c "node-carry: .* $1" || :; }
	[ "$(ssi run -n 'n[01-05]' prog/large | sort | paste -sd' ')" = "n01: all of it n02: all of it n03: all of it n04: all of it n05: all of it" ]
	# As a rule all but the first; one whose program has ended before its giver listened is none.
	local n
	n=$(took 'file taken')
	[ "$n" -ge 1 ]
	[ "$(sha256sum nodes/n0?/blobs/???* | cut -d' ' -f1 | sort -u)" = "$(sha256sum prog/large | cut -d' ' -f1)" ]
	# It is there: nobody gets it again.
	ssi run -n 'n[01-05]' prog/large >out
	[ "$(took 'file taken')" = "$n" ]
	# Nobody answers where nodes listen.
	sysctl -qw net.ipv4.ip_local_port_range='50000 50999'
	nft 'add table inet t; add chain inet t in { type filter hook input priority 0; }; add rule inet t in tcp dport 50000-50999 tcp flags syn / syn,ack reject with tcp reset'
	echo more >>prog/large
	[ "$(ssi run -n 'n[01-05]' --no-prefix prog/large | sort | uniq -c | tr -s ' ')" = " 5 all of it" ]
	[ "$(took 'file taken')" = "$n" ]
}

# What nodes say to each other, by the programs that say it: who has not the key gets nothing, and nobody gets what was not said, or what is another file.
case_carry() {
	local carry=${AGENTS_KEEPER%/*}/node-carry one two
	raw() { printf '%b' "$(fold -w 2 <<<"$1" | sed 's/^/\\x/' | tr -d '\n')"; }
	size() { raw "$(printf '%016x' "$1" | sed 's/\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)/\8\7\6\5\4\3\2\1/')"; }
	key() { printf "$1%.0s" {1..32}; }
	take() { { key "$1"; raw "$2"; size "$3"; } | "$carry" take b 127.0.0.1 "$(cat port)"; }     # KEY DIGEST SIZE
	mkdir a b
	head -c 300000 /dev/urandom >a/new && one=$(sha256sum <a/new | cut -c1-64) && mv a/new "a/$one"
	head -c 300000 /dev/urandom >a/new && two=$(sha256sum <a/new | cut -c1-64) && mv a/new "a/$two"
	{ key k; raw "$one"; } | "$carry" give a >port 2>/dev/null &
	OTHERS+=($!)
	await 10 test -s port
	fails 1 take x "$one" 300000
	fails 1 take k "$two" 300000
	fails 1 take k "$one" 299999
	[ "$(find b -type f -name '[0-9a-f]*')" = "" ]
	take k "$one" 300000
	cmp "a/$one" "b/$one"
	rm "b/$one"
	head -c 300000 /dev/urandom >"a/$one"
	fails 1 take k "$one" 300000
	rm "a/$one"
	fails 1 take k "$one" 300000
	[ "$(find b -type f -name '[0-9a-f]*')" = "" ]
}

case_many() {
	up 3
	ssi run -n 'n[01-03]' hostname >out
	[ "$(sort out)" = $'n01: n01\nn02: n02\nn03: n03' ]
	[ "$(ssi run -N 3 --no-prefix hostname | sort | paste -sd' ')" = "n01 n02 n03" ]
	fails 1 ssi run -n 'n[01-04]' sh -c 'echo hello; [ "$(hostname)" != n02 ] || exit 4' >out 2>err
	[ "$(sort out)" = $'n01: hello\nn02: hello\nn03: hello' ]
	grep -q '2 of 4 nodes failed' err
	grep -Eq '^n02 +4' err
	grep -Eq '^n04 +126 +it is not joined' err
	ssi run -n 'n[01-02]' --files kept --output back sh -c 'mkdir output; hostname >output/name; echo out; echo err >&2'
	[ "$(cat kept/n0[12].out kept/n0[12].err | paste -sd' ')" = "out out err err" ]
	[ "$(cat back/n0[12]/name | paste -sd' ')" = "n01 n02" ]
	[ "$(ssi run -n 'n[01-02]' -o json hostname | jq -c '[.[] | [.name, .status, .stdout]]')" = '[["n01",0,"n01\n"],["n02",0,"n02\n"]]' ]
	# Each has a deputy of its own, with its number.
	ssi run -n 'n[01-03]' sh -c 'trap "exit 5" TERM; echo $$; sleep 1000 & wait' >out 2>err &
	local pid=$! one two three
	all() { [ "$(wc -l <out)" = 3 ]; }
	await 20 all
	one=$(sed -n 's/^n01: //p' out) two=$(sed -n 's/^n02: //p' out) three=$(sed -n 's/^n03: //p' out)
	[ "$(ps -o ppid= "$one" "$two" "$three" | sort -u | tr -d ' ')" = $pid ]
	state() { ssi job show "$1" -o json | jq -e ".state == \"$2\"" >/dev/null; }
	kill -STOP "$one"
	await 20 state "$one" stopped
	state "$two" running
	kill -CONT "$one"
	await 20 state "$one" running
	ssi job signal STOP "$three"
	here() { [ "$(sed 's/.*) \(.\).*/\1/' /proc/"$1"/stat)" = "$2" ]; }
	await 20 here "$three" T
	ssi job signal CONT "$three"
	await 20 here "$three" S
	kill "$one"
	kill -9 "$two"
	kill -USR1 "$three"
	fails 1 wait $pid
	grep -Eq '^n01 +5' err
	grep -Eq '^n02 +137 +Killed' err
	grep -Eq '^n03 +138 +User' err
}

case_broken() {
	up 1
	# 20 MB that can be told apart, and a program that lives on without its agent.
	seq 1 3000000 >want
	mkfifo fed
	ssi run sh -c 'seq 1 3000000' >got &
	local pid=$! i
	for i in 1 2 3; do
		far() { [ "$(stat -c %s got)" -gt $((i * 3000000)) ]; }
		await 20 far
		agent_kill n01
		agent_start n01
	done
	wait $pid
	cmp want got
	# The same with the daemon, and with input.
	: >got                               # what is seen to grow is the new one
	ssi run cat <want >>got &
	pid=$!
	far() { [ "$(stat -c %s got)" -gt 2000000 ]; }
	await 20 far
	kill_daemon
	start_daemon --no-dhcp
	wait $pid
	cmp want got
	rest() { [ "$(ssi jobs -o json)" = "[]" ]; }
	await 10 rest
	# The node is lost: so is the program.
	ssi run sleep 1000 2>err &
	pid=$!
	running() { ssi jobs -o json | jq -e '.[0].state == "running"' >/dev/null; }
	await 5 running
	agent_cut n01
	away() { ssi jobs -o json | jq -e '.[0].state == "away"' >/dev/null; }
	await 5 away
	fails 137 wait $pid
	grep -q 'node was lost' err
	[ "$(ssi jobs -a -o json | jq -r '.[-1].cause')" = node-lost ]
}

case_jobs() {
	up 2
	ssi run -n n02 sleep 1000 &
	local pid=$! job
	running() { ssi jobs -o json | jq -e '.[0].state == "running"' >/dev/null; }
	await 5 running
	job=$(ssi jobs -o json | jq '.[0].job')
	[ "$(ssi job show "$job" -o json | jq -r '.node + " " + .command')" = "n02 sleep" ]
	[ "$(ssi job show "$(ssi jobs -o json | jq '.[0].pid')" -o json | jq .job)" = "$job" ]
	# Somebody else may see that it is there, and no more.
	other() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
	[ "$(other ssi jobs -o json | jq length)" = 1 ]
	fails 1 other ssi job kill "$job" 2>err
	grep -q 'not yours' err
	fails 1 other ssi job show "$job" 2>err
	# What it starts itself runs as it.
	[ "$(cd / && other ssi run id -u)" = 65534 ]
	ssi job signal STOP "$job"
	stopped() { ssi jobs -o json | jq -e '.[0].state == "stopped"' >/dev/null; }
	await 5 stopped
	ssi job signal CONT "$job"
	await 5 running
	kill -CONT $pid
	ssi job kill "$job"
	fails 137 wait $pid
	ssi job show "$job" | grep -q 'because *killed, signal 9'
}

# Who says what no client says loses its connection, and nobody else anything. Frames as of doc/jobs.md, by hand.
case_rude() {
	agents_up 1
	python3 - "$PWD/run/jobs.sock" <<-'END'
	import socket, struct, sys
	SPEC, DATA, ATTACH, ASK = 1, 5, 11, 15
	def frame(kind, job=0, body=b"", zero=0, size=None):
	    return struct.pack("<IHHQ", len(body) if size is None else size, kind, zero, job) + body
	def dropped(*frames):
	    s = socket.socket(socket.AF_UNIX)
	    s.connect(sys.argv[1])
	    s.settimeout(5)
	    try:
	        s.sendall(b"".join(frames))
	        while s.recv(65536):
	            pass
	    except (ConnectionResetError, BrokenPipeError):
	        pass
	    except socket.timeout:
	        return False
	    return True
	for name, frames in {
	    "a type that is none": [frame(99)],
	    "a type that only nodes say": [frame(9, 1)],
	    "a size that no frame has": [frame(DATA, 1, size=1 << 30)],
	    "a header that is not zero where it is to be": [frame(ASK, zero=7)],
	    "no message": [frame(ASK, body=b"\xff" * 40)],
	    "two questions": [frame(ASK), frame(ASK)],
	    "two jobs": [frame(ATTACH, 4711), frame(ATTACH, 4712)],
	    "a job after a question about another": [frame(ATTACH, 4711), frame(SPEC, 4712, b"\xff")],
	}.items():
	    if not dropped(*frames):
	        sys.exit("not dropped: " + name)
	END
	[ "$(ssi run echo alive)" = alive ]
}
