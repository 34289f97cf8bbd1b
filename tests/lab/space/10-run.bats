#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that no node has run on nodes: started by an ordinary user of the master, in his shared /home or elsewhere.

load ../lab.bash
load people.bash

compile() { # NAME [OPTION...], of standard input
	cc -x c -O2 -o "$BATS_FILE_TMPDIR/tools/$1" - "${@:2}"
}

# What no node has, in a folder that only the master has.
programs() {
	mkdir -p "$BATS_FILE_TMPDIR/tools/lib"
	compile static -static <<-'END'
	#include <stdio.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		char node[64];
		gethostname(node, sizeof(node));
		printf("%s %s %s\n", node, argc > 1 ? argv[1] : "", access("/opt/tools", F_OK) == 0 ? "there" : "not there");
		fflush(stdout);
		if (argc > 2)
			pause();
		return 7;
	}
	END
	printf 'int answer(void) { return 42; }\n' | cc -x c -shared -fPIC -o "$BATS_FILE_TMPDIR/tools/lib/libanswer.so" -
	# shellcheck disable=SC2016 # the loader's word
	compile dynamic -L"$BATS_FILE_TMPDIR/tools/lib" -lanswer -Wl,-rpath,'$ORIGIN/lib' <<-'END'
	#include <stdio.h>
	int answer(void);
	int main(void) { printf("%d\n", answer()); return 0; }
	END
	# shellcheck disable=SC2016 # the script's words
	printf '#!/bin/sh\necho "$(hostname) $1" >&2\nexit 3\n' >"$BATS_FILE_TMPDIR/tools/script"
	printf 'def word(s):\n    return s.upper()\n' >"$BATS_FILE_TMPDIR/tools/beside.py"
	cat >"$BATS_FILE_TMPDIR/tools/script.py" <<-'END'
	#!/usr/bin/python3
	import hashlib, json, os, socket, subprocess, sys
	import beside
	child = subprocess.run([sys.executable, "-c", "import email.message; print('child')"], capture_output=True, text=True)
	print(json.dumps([socket.gethostname(), beside.word(sys.argv[1]), hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), child.stdout.strip()]))
	sys.exit(9)
	END
	chmod 755 "$BATS_FILE_TMPDIR/tools/script" "$BATS_FILE_TMPDIR/tools/script.py"
	tar -C "$BATS_FILE_TMPDIR/tools" -c . | "$TOP/scripts/ssi-lab" exec master sh -c 'mkdir -p /opt/tools && tar -x --no-same-owner -C /opt/tools'
}

setup_file() {
	programs
	people_up
}

teardown() { show_trouble; }

@test "a static program, one with a library of its own, and a script: on each node, with its status, though none has them" {
	run ann "ssi run -n n02 /opt/tools/static hello"
	[ "$status" -eq 7 ]
	[[ $output == *"n02 hello not there"* ]]
	[ "$(ann "ssi run -n n01 /opt/tools/dynamic")" = 42 ]
	run ann "ssi run -n n03 /opt/tools/script word"
	[ "$status" -eq 3 ]
	[[ $output == *"n03 word"* ]]
	run ann "ssi run -n '$ALL' /opt/tools/dynamic"
	[ "$status" -eq 0 ]
	[ "$(grep -c ': 42$' <<<"$output")" = 3 ]
}

# What the nodes have taken from one another, a line for each time.
taken() {
	local machine
	for machine in m01 m02 m03; do lab log $machine; done | grep -ao 'node-carry: 1 file taken from 10\.77\.0\.1[123]' || true
}

# shellcheck disable=SC2016 # for ann's shell
all_say() {
	ann 'cat large.out; [ "$(grep -c ": n0[123] hello not there" large.out)" = 3 ]'
}

# They run until all have it: a giver lives as long as its program, and is asked by all.
@test "a program of 6 MB goes to one node, and from node to node to the others" {
	local before
	master sh -c 'cp /opt/tools/static /opt/tools/large && head -c 6000000 /dev/urandom >>/opt/tools/large'
	before=$(taken | wc -l)
	ann "(ssi run -n '$ALL' /opt/tools/large hello waits >large.out 2>&1 & echo \$! >large.pid)"
	await 60 all_say
	# shellcheck disable=SC2016 # for ann's shell
	ann 'kill $(cat large.pid)'
	taken | tail -n +"$((before + 1))"
	[ "$(taken | wc -l)" = $((before + 2)) ]
}

@test "a Python script with a module beside it, on nodes that have no Python at all; of which nothing is there afterwards" {
	local sum
	for node in n01 n02 n03; do node_sh $node '! command -v python3 && [ ! -e /usr/lib/python3.11 ]'; done
	sum=$(printf 'some input' | sha256sum | cut -d' ' -f1)
	run ann "printf 'some input' | ssi run -n n02 /opt/tools/script.py word"
	[ "$status" -eq 9 ]
	[[ $output == *"[\"n02\", \"WORD\", \"$sum\", \"child\"]"* ]]
	run ann "ssi run -n '$ALL' /opt/tools/script.py word"
	[ "$status" -eq 1 ]
	[ "$(grep -c '"WORD"' <<<"$output")" = 3 ]
	for node in n01 n02 n03; do node_sh $node '! command -v python3 && [ ! -e /usr/lib/python3.11 ]'; done
}

@test "who and where: the user's numbers, his shared home as working directory, input and output byte for byte" {
	[ "$(ann "ssi run -n n01 sh -c 'id -u; pwd; hostname'")" = $'2001\n/home/ann\nn01' ]
	ann 'head -c 3000000 /dev/urandom >data; ssi run -n n02 cat <data | cmp - data'
	# What it writes in /home is there.
	ann "ssi run -n n03 sh -c 'echo written there >here'; grep -q 'written there' here"
}

@test "300 MB for which the node has no room are refused, and so is a program of another architecture; one that is not there says so" {
	master sh -c 'cp /opt/tools/static /opt/tools/big && truncate -s +300000000 /opt/tools/big'
	run ann 'ssi run -n n01 /opt/tools/big'
	[ "$status" -eq 126 ]
	[[ $output == *"more than the "*" that this node has for programs"* ]]
	master rm /opt/tools/big
	ann 'cp /opt/tools/static foreign && printf "\267\0" | dd of=foreign bs=1 seek=18 conv=notrunc status=none'
	run ann 'ssi run -n n01 ./foreign'
	[ "$status" -ne 0 ]
	[[ $output == *aarch64* ]]
	run ann 'ssi run -n n01 ./nowhere'
	[ "$status" -eq 127 ]
}

@test "an agent that is killed in the middle of 20 MB of output: byte for byte the same" {
	local want
	want=$(head -c 20000000 /dev/zero | tr '\0' 'x' | sha256sum)
	ann "(ssi run -n n02 sh -c 'head -c 10000000 /dev/zero | tr \"\\0\" x; touch /home/ann/half; while [ ! -e /home/ann/go ]; do sleep 0.1; done; head -c 10000000 /dev/zero | tr \"\\0\" x' >out; echo \$? >status) >/dev/null 2>&1 &"
	await 60 ann 'test -e half'
	node_sh n02 'pkill -KILL -x ssi-agent' || true
	await 60 in_state n02 joined
	await 60 answer n02
	ann 'touch go'
	await 60 ann 'test -s status'
	[ "$(ann 'cat status')" = 0 ]
	[ "$(ann 'sha256sum <out')" = "$want" ]
}

@test "who takes too much memory is ended and told why; processes without end stay in their job, and go with it" {
	local job
	run ann 'ssi run -n n01 --mem 64M sh -c "head -c 500000000 /dev/zero | tail"'
	[ "$status" -eq 137 ]
	[[ $output == *memory* ]]
	ann '(ssi run -n n01 sh -c "while :; do sleep 1000 & done" >/dev/null 2>&1; echo $? >bomb) >/dev/null 2>&1 &'
	await 30 running
	job=$(ann 'ssi jobs -o json' | jq '.[0].job')
	sleep 3
	[ "$(field n01 state)" = joined ]
	[ "$(ann 'ssi run -n n01 echo alive')" = alive ]
	ann "ssi job kill $job"
	await 60 ann 'test -s bomb'
	await 60 node_sh n01 '! pgrep -x sleep'
}

running() {
	ann 'ssi jobs -o json' | jq -e '.[0].state == "running"' >/dev/null
}

@test "another user's jobs are left alone; a node that loses its power takes its job along, and the reason is on record" {
	local job
	ann "(ssi run -n n03 sleep 1000; echo \$? >lost) >/dev/null 2>&1 &"
	await 30 running
	job=$(ann 'ssi jobs -o json' | jq '.[0].job')
	run master runuser -l bob -c "ssi job kill $job"
	[ "$status" -ne 0 ]
	running
	lab power cut m03
	await 60 ann 'test -s lost'
	[ "$(ann 'cat lost')" -ne 0 ]
	ann "ssi job show $job" | grep -q 'node-lost'
	lab power on m03
}
