# shellcheck shell=bash disable=SC2317 # what await calls is reached
# SPDX-License-Identifier: GPL-2.0-or-later
# The bodies of load.bats: each runs in a network namespace of its own, with bootsvc.bash loaded and "set -e" on.

# shellcheck source=tests/bats/agents.bash
. "$(dirname "${BASH_SOURCE[0]}")/agents.bash"

TOP=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")

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

policy() { # NAME FIELD
	ssi policy list -o json | jq -r --arg n "$1" ".[] | select(.name == \$n) | .$2"
}
policy_is() { [ "$(policy "$1" "$2")" = "$3" ]; }     # NAME FIELD VALUE

case_policies() {
	mkdir policy.d
	start_daemon --no-dhcp
	[ "$(ssi policy list -o json | jq -r '[.[].name] | join(" ")')" = "least-loaded local memory pack round-robin same-as" ]
	policy_is memory version 1
	policy_is memory file ''
	ssi policy show memory | grep -q '^pressure_memory = 4'
	# Over a shipped one, and a new one, without a word to the daemon.
	ssi policy show memory -o json | jq -r .text | sed 's/^help = .*/help = ours/' >new
	ssi policy check new
	cp new policy.d/memory.ini
	await 5 policy_is memory version 2
	policy_is memory help ours
	policy_is memory file "$PWD/policy.d/memory.ini"
	printf '[policy]\nchoose = lowest\n[weight]\nbusy = 2\n' >policy.d/idle.ini
	await 5 policy_is idle version 1
	# A mistake, in one of two files that change: nothing does.
	printf '[policy]\nchoose = lowest\n[weight]\nluck = 1\n' >bad.ini
	if ssi policy check new bad.ini 2>said; then fail "the mistake was not seen"; fi
	grep -q '^bad.ini:4: ' said
	[ "$(ssi policy check bad.ini -o json | jq -r '.[0].errors | length')" = 1 ] || fail "not one mistake"
	cp bad.ini policy.d/bad.ini
	told() { events policy | grep -q 'nothing was changed: .*bad.ini:4: '; }
	await 5 told
	sed -i 's/ours/theirs/' policy.d/memory.ini
	if bootsvc reload 2>said; then fail "a reload with a mistake"; fi
	grep -q 'bad.ini:4: ' said
	policy_is memory help ours
	rm policy.d/bad.ini
	await 5 policy_is memory help theirs
	policy_is memory version 3
	# What it was before is another version; over a restart it is the same one.
	rm policy.d/memory.ini
	await 5 policy_is memory version 4
	kill_daemon
	start_daemon --no-dhcp
	policy_is memory version 4
	policy_is idle version 1
	# A start with a mistake: what is shipped is there.
	cp bad.ini policy.d/
	kill_daemon
	start_daemon --no-dhcp
	policy_is memory version 4
	policy_is idle version ''
	if ssi policy show nosuch 2>said; then fail "there is no such policy"; fi
	grep -q "no policy 'nosuch'" said
}

seen() { # POLICY EXPRESSION, of how it sees the nodes
	ssi policy show "$1" -o json | jq -e ".nodes | $2"
}

case_policy_show() {
	mkdir policy.d
	printf '[policy]\nchoose = lowest\n[filter]\nnodes = n[01-02]\n[weight]\nload = 1\nmemory = 1\n' >policy.d/few.ini
	agents_up 3
	await 5 seen round-robin 'length == 3 and all(.metrics.memory > 0 and (has("objection") | not))'
	seen round-robin 'map(.name) == ["n01", "n02", "n03"]'
	seen few '(.[0:2] | all(.score > 0)) and .[2].name == "n03" and .[2].objection == "the policy does not name it"'
	seen local 'length == 0'
	ssi node drain n01
	seen round-robin 'map(.name) == ["n02", "n03", "n01"] and .[2].objection == "it is drained"'
	ssi policy show few | grep -q '^n01 .*it is drained'
}

placed() { # OPTION...: where
	ssi run "$@" hostname
}

case_placed() {
	agents_up 3
	await 5 of n03 .load
	placed | grep -qx 'n0[1-3]'
	placed --on round-robin >first
	[ "$(for _ in 1 2 3; do placed --on round-robin; done | sort | paste -sd' ')" = "n01 n02 n03" ]
	[ "$(placed -N 3 --no-prefix | sort | paste -sd' ')" = "n01 n02 n03" ]
	[ "$(placed --on local)" = "$(hostname)" ]
	ssi node drain 'n[01-02]'
	[ "$(for _ in 1 2 3; do placed --on round-robin; done | sort -u)" = n03 ]
	if placed -N 2 2>said; then fail "on two nodes of one"; fi
	grep -q 'only 1 of 2 nodes can take it: n01: it is drained; n02: it is drained' said
	if placed --cpus 1000 2>said; then fail "1000 processors"; fi
	grep -q "n03: it has $(nproc) of the 1000 processors asked for" said
	if placed --on nosuch 2>said; then fail "no such policy"; fi
	grep -q "no policy 'nosuch'" said
	ssi node accept 'n[01-02]'
	# Where another job is.
	ssi run -n n02 sleep 30 &
	OTHERS+=($!)
	there() { ssi jobs -o json | jq -e '.[] | select(.node == "n02" and .state == "running")' >there; }
	await 10 there
	[ "$(placed --on "same-as=$(jq .pid there)")" = n02 ]
	if placed --on same-as=1048999 2>said; then fail "as no job"; fi
	grep -q 'same-as: no such job' said
}

# A second system, of nodes that are off.
case_systems() {
	ip link add lan1 type bridge && ip link set lan1 up && ip addr add 10.78.0.1/16 dev lan1
	printf '%s\n' '[system far]' 'interface = lan1' 'network = 10.78.0.0/16' '[node f[00001-10000]]' 'system = far' 'address = 10.78.1.1' 'image = compute' >nodes.d/30-far.ini
	sed -i 's/^image = compute/&\nsystem = demo/' nodes.d/10-demo.ini
	agents_up 1
	if placed 2>said; then fail "in which system?"; fi
	grep -q 'there are several systems: say with --system which one' said
	[ "$(placed --system demo)" = n01 ]
	[ "$(SSI_SYSTEM=demo placed -N 1)" = n01 ]
	[ "$(SSI_SYSTEM=far placed --system demo)" = n01 ]
	[ "$(SSI_SYSTEM=far placed -n n01)" = n01 ]
	if placed --system far 2>said; then fail "no node of it is up"; fi
	if placed --system nosuch 2>said; then fail "no such system"; fi
	grep -q 'no system nosuch' said
	if placed --system demo -n n01 2>said; then fail "one or the other"; fi
	# More than one answer has room for.
	if placed -n 'f[00001-10000],n01' -o json >said; then fail "most of them are off"; fi
	jq -e 'length == 10001 and .[0].name == "f00001" and .[9999].name == "f10000" and .[10000].status == 0 and (map(select(.status == 126)) | length) == 10000' said
	jq -e 'map(select(.error == "it is not joined")) | length == 10000' said
}

case_spread() {
	local here i
	here=$(hostname)
	# The nodes get this mount with all others: they share it.
	mount -t tmpfs -o mode=755 tmpfs /srv
	mkdir -p /srv/work/sub /srv/bin home
	sed -i '/^discovery/a shared = /srv/work' nodes.d/10-demo.ini
	# shellcheck disable=SC2016 # for the shell that runs it
	printf '#!/bin/sh\necho "$(hostname) $(pwd) $*"; exit 3\n' >/srv/bin/show
	cp /srv/bin/show /srv/bin/other
	chmod +x /srv/bin/*
	export HOME=$PWD/home PATH=/srv/bin:$PATH
	agents_up 1
	await 5 of n01 .load
	mount -t tmpfs tmpfs /run
	ln -s "$WORK/run" /run/ssi
	if [ -c /dev/fuse ]; then
		[ "$(cd /srv/work/sub && ssi shell --spread --only show,nosuch -c 'show a "b c"; echo $?')" = $'n01 /srv/work/sub a b c\n3' ]
		[ "$(cd /srv/work && ssi shell --spread --only show -c other)" = "$here /srv/work " ]
		[ "$(cd /srv/work && ssi shell -c show)" = "$here /srv/work " ]
	fi
	# Many files, found and passed on: each is packed once, by somebody.
	if [ -c /dev/fuse ]; then
		mkdir /srv/work/files
		for i in 1 2 3 4 5 6 7; do seq "$i" 20000 >"/srv/work/files/a $i"; done
		(cd /srv/work && find files -type f -exec sha256sum {} + >sums && ssi shell --spread --only gzip -c 'find files -type f -print0 | xargs -0 -n 2 -P 4 gzip')
		[ "$(jobs_of gzip)" = "n01 4" ]
		(cd /srv/work && [ "$(find files -name '*.gz' | wc -l)" = 7 ] && gunzip files/* && sha256sum --quiet -c sums)
	fi
	if ssi shell --spread --only ../show -c true 2>said; then fail "no name of a program"; fi
	grep -q "is not the name of a program" said
	if ssi shell --spread --only nosuch -c true 2>said; then fail "no program"; fi
	grep -q "none of these is in the PATH" said
	# Where it would not find its files, and where nobody can take it, it runs here.
	[ "$(cd home && ssi run --or-here show)" = "$here $WORK/home " ] || fail "not here"
	cd /srv/work || exit
	[ "$(ssi run --or-here show)" = "n01 /srv/work " ] || fail "not there"
	ssi node drain n01
	[ "$(ssi run --or-here show)" = "$here /srv/work " ] || fail "on a drained node"
	cd "$WORK" || exit
	kill_daemon
	[ "$(cd /srv/work && ssi run --or-here show)" = "$here /srv/work " ] || fail "not without a daemon"
}

# Jobs of a command that have exited by themselves, as "n01 12 n02 11".
jobs_of() { # COMMAND
	ssi jobs --all -o json | jq -r --arg c "$1" '[.[] | select(.command == $c and .cause == "exited").node] | group_by(.) | map("\(.[0]) \(length)") | join(" ")'
}

# A command line in a shell that places compilers, in the folder that is built in.
spread_make() { # SCRIPT
	(cd /srv/made && ssi shell --spread --on round-robin -c "$1")
}

# Three nodes, and /srv/made, which they share, where this project is about to be built.
build_up() {
	mount -t tmpfs -o mode=755 tmpfs /srv
	mkdir -p home /srv/made
	sed -i '/^discovery/a shared = /srv/made' nodes.d/10-demo.ini
	export HOME=$PWD/home CCACHE_DISABLE=1
	agents_up 3
	await 5 of n03 .load
	mount -t tmpfs tmpfs /run
	ln -s "$WORK/run" /run/ssi
	cp "$TOP/build/config.status" /srv/made/
	(cd /srv/made && ./config.status --quiet)
}

# All of this project, and all its unit tests, as "make check" says. --long of scripts/check.
case_whole() {
	build_up
	# The tests have clocks of their own: not eight of them at once.
	spread_make "make -s -j8 CC=gcc check TESTS= && make -s -j2 CC=gcc check" >make.log || { grep -E '^(FAIL|ERROR):|error:' make.log; return 1; }
	grep -q '^# FAIL:  *0$' make.log
	jobs_of cc1
}

# This project itself, its lowest floors as its own makefiles build them, and their tests: compilers are placed, all the rest runs here.
case_build() {
	local tests='test-base test-conf' shares t
	build_up
	spread_make "make -s -j6 CC=gcc CFLAGS=-O1 $tests" >/dev/null
	for t in $tests; do (cd /srv/made && srcdir=$TOP "./$t"); done
	# Each compiled file was a job; each node had a third.
	read -ra shares <<<"$(jobs_of cc1)"
	[ "${#shares[@]}" = 6 ]
	[ $((shares[1] + shares[3] + shares[5])) = "$(find /srv/made -name '*.o' | wc -l)" ]
	[ "${shares[1]}" -gt 10 ] && [ "${shares[3]}" -gt 10 ] && [ "${shares[5]}" -gt 10 ]
	same_as_here
	build_cut
}

# A node that is lost in the middle costs a build nothing: it goes on while what ran there, a source that takes its time, is compiled here.
build_cut() {
	local node
	seq 1 200 | sed 's/.*/int f&(int *p, int n) { int s = &; for (int i = 0; i < n; i++) s += p[i] * (i % 7) ^ s >> 3; return s; }/' >/srv/made/slow.c
	rm /srv/made/libssi.a /srv/made/libssi/model/*.o
	(spread_make "gcc -O2 -c slow.c"; echo $? >slow) &
	OTHERS+=($!)
	compiling() {
		pgrep -f '^/usr/lib/gcc/[^ ]*cc1 .*slow.c.* -fpreprocessed' >slow.pid && node=$(ssi jobs -o json | jq -er '.[] | select(.state == "running").node')
	}
	await 20 compiling
	(spread_make "make -s -j6 CC=gcc CFLAGS=-O1 libssi.a" >/dev/null; echo $? >status) &
	OTHERS+=($!)
	agent_cut "$node"
	await 60 test -s status
	await 60 test -s slow
	[ "$(cat status slow)" = $'0\n0' ]
	[ "$(nm /srv/made/slow.o | grep -c ' T f')" = 200 ]
	[ "$(ar t /srv/made/libssi.a | wc -l)" = "$(find /srv/made/libssi -name '*.o' | wc -l)" ]
	ssi jobs --all -o json | jq -e --arg n "$node" 'any(.node == $n and .cause == "node-lost")' >/dev/null
}

# What comes out and what is said is what one compiler makes of it here: of a source with warnings, and of one with mistakes.
same_as_here() {
	local what here there
	cat >/srv/made/one.c <<-'END'
		#include <stdio.h>
		int f(int c)
		{
			switch (c) {
			case 1: puts(__FILE__); /* fall through */
			case 2: return EOF;
			}
			int unused; return c;
		}
	END
	printf '#include <stdio.h>\n#include "nosuch.h"\nint f(void) { return nosuch; }\n' >/srv/made/two.c
	printf '#include <stdio.h>\nint f(void) { return nosuch; }\n' >/srv/made/three.c
	for what in one two three; do
		here=0 there=0
		(cd /srv/made && gcc -O2 -Wall -Wextra -c $what.c -o here.o 2>here) || here=$?
		spread_make "gcc -O2 -Wall -Wextra -c $what.c -o there.o 2>there" || there=$?
		[ "$here" = "$there" ]
		(cd /srv/made && diff here there && { [ "$here" != 0 ] || cmp here.o there.o; })
	done
}
