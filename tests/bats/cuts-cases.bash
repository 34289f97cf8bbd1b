# shellcheck shell=bash disable=SC2317 # what await calls is reached
# SPDX-License-Identifier: GPL-2.0-or-later
# The bodies of cuts.bats: each runs in a network namespace of its own, with bootsvc.bash loaded and "set -e" on.

# shellcheck source=tests/bats/agents.bash
. "$(dirname "${BASH_SOURCE[0]}")/agents.bash"

up() { # N [DETACH]
	export HOME=$PWD
	# A machine that has much else to do is not a node that is lost.
	[ $# -eq 1 ] || sed -i "s/^discovery = .*/&\ndetach = $2/" nodes.d/10-demo.ini
	agents_up "$1"
}

at_least() { [ "$(stat -c %s got)" -ge "$1" ]; }     # BYTES

# The node's end of the one connection there is.
port() { ss -Htn state established dport = :7701 | awk '{ sub(/.*:/, "", $3); print $3; exit }'; }
another_port() { PORT=$(port) && [ -n "$PORT" ] && [ "$PORT" != "$LAST" ]; }

case_hundred() {
	local i pid writer
	up 1 5m
	# Whatever is said over a connection of these ports is answered with its end.
	nft -f - <<-END
	table inet cut {
		set ports { type inet_service; }
		chain in {
			type filter hook input priority 0
			tcp flags & rst == rst accept
			tcp dport 7701 tcp sport @ports reject with tcp reset
			tcp sport 7701 tcp dport @ports reject with tcp reset
		}
	}
	END
	head -c 100000000 /dev/urandom >data
	mkfifo fed
	ssi run cat <fed >got &
	pid=$!
	exec 9>fed
	LAST=''
	for ((i = 0; i < 100; i++)); do
		dd if=data bs=1000000 skip=$i count=1 status=none >&9 &
		writer=$!
		await 30 another_port
		nft add element inet cut ports "{ $PORT }"
		LAST=$PORT
		wait $writer
	done
	exec 9>&-
	wait $pid
	cmp data got
	[ "$(nft list set inet cut ports | grep -Eo '[0-9]{4,5}' | wc -l)" -eq 100 ]
	none() { [ "$(ssi jobs -o json)" = "[]" ]; }
	await 10 none
	[ "$(node n01 state)" = joined ]
}

case_middle() {
	local pid status=0
	up 3
	seq 1 3000000 >data
	ssi run -n n02 seq 1 3000000 >whole
	cmp data whole
	: >got
	ssi run -n n02 sh -c 'seq 1 1000000; sleep 1000; seq 1000001 3000000' >got 2>err &
	pid=$!
	await 30 at_least 6888896
	agent_cut n02
	wait $pid || status=$?
	[ "$status" -eq 137 ]
	grep -q 'node was lost' err
	# What came is the beginning of it, to the last byte.
	cmp -n "$(stat -c %s got)" data got
	at_least 6888896
	# In the middle of a flood as well, and its neighbour does not notice.
	mkfifo fed
	ssi run -n n01 sh -c 'read -r word; seq 1 3000000' <fed >whole &
	pid=$!
	exec 9>fed
	: >got
	ssi run -n n03 sh -c 'exec yes' 2>err | head -c 1000000000 >got &
	await 30 at_least 20000000
	agent_cut n03
	wait $! || :
	echo go >&9
	[ "$(LC_ALL=C tr -d 'y\n' <got | wc -c)" -eq 0 ]
	wait $pid
	cmp data whole
}
