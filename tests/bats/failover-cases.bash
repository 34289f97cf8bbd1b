# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The bodies of failover.bats. Machines are folders m/N: on, a loop runs there that asks for a boot script and is a node (sim-nodes) as long as it is let; the
# fence agent fence_sim switches them. Frozen, it says nothing; its power cut, it is gone.

BUILD=$(dirname "$(command -v ssi-bootsvc)")/../../..      # it is staged in there
N01=52:54:01:00:00:01 N02=52:54:01:00:00:02 N03=52:54:01:00:00:03 M4=52:54:01:00:00:04 M5=52:54:01:00:00:05

# Three nodes on three machines and the system's policy; two machines more, that are off.
machines() { # POLICY-LINE...
	mkdir -p bin m
	cat >bin/machine <<-'END'
		#!/bin/bash
		# machine DIR NUMBER BUILD: what a box does from power on to power off
		cd "$1" || exit
		while :; do
			"$3/sim-nodes" -n 1 --first="$2" --master=10.77.0.1 >said 2>&1 & sim=$!
			while kill -0 $sim 2>/dev/null; do
				! grep -q 'would reboot' said || kill -9 $sim
				sleep 0.1
			done
			wait $sim 2>/dev/null
			echo boots >>boots
			sleep 0.5
		done
	END
	cat >bin/fence_sim <<-END
		#!/bin/bash
		while IFS='=' read -r key value; do
			case \$key in action) action=\$value ;; plug) plug=\$value ;; esac
		done
		exec 9>&-
		dir=$WORK/m/\$plug
		mkdir -p \$dir
		echo \$action >>\$dir/actions
		[ ! -e \$dir/broken ] || { echo "the BMC is broken"; exit 1; }
		on() { [ -e \$dir/pid ] && kill -0 "\$(cat \$dir/pid)" 2>/dev/null; }
		off() { ! on || kill -9 -- -"\$(cat \$dir/pid)"; rm -f \$dir/pid; }
		start() { on || { rm -f \$dir/said; setsid $WORK/bin/machine \$dir \$plug $BUILD >/dev/null 2>&1 </dev/null & echo \$! >\$dir/pid; }; }
		case \$action in
			on) start ;;
			off) off ;;
			reboot) off; start ;;
			status) on || exit 2 ;;
		esac
	END
	chmod +x bin/machine bin/fence_sim
	PATH=$WORK/bin:$PATH
	{
		printf '[system demo]\ninterface = lan0\nnetwork = 10.77.0.0/24\ndiscovery = ask\ndetach = 1s\nheartbeat = 200ms\nfence = power\n'
		printf '%s\n' "$@"
		printf '[node n[01-03]]\naddress = 10.77.0.11\nimage = compute\n'
		local i
		for i in 1 2 3 4 5; do printf '[machine 52:54:01:00:00:%02d]\npower = fence_sim\npower.plug = %d\n' "$i" "$i"; done
	} >nodes.d/10-demo.ini
	start_daemon --no-dhcp
	for i in 1 2 3; do ssi node set "n0$i" "machine=52:54:01:00:00:0$i"; done
	ssi node power 'n[01-03]' on >/dev/null
	await 20 all_joined
}

all_joined() { [ "$(ssi status -o json | jq '.systems[0].joined')" = 3 ]; }
joined() { [ "$(node "$1" state)" = joined ]; }
in_state() { [ "$(node "$1" state)" = "$2" ]; }
plays() { [ "$(node "$1" machine)" = "$2" ] && joined "$1"; } # NODE MACHINE
step() { ssi node list "$1" -o json | jq -r '.[0].failover.step // "none"'; }
in_step() { [ "$(step "$1")" = "$2" ]; }
machine_is() { [ "$(ssi machine list -o json | jq -r --arg m "$1" '.[] | select(.mac == $m) | .state')" = "$2" ]; }
has_event() { events "$1" | grep -q -- "$2"; }
cut_power() { # NUMBER
	kill -9 -- "-$(cat "m/$1/pid")"
}
signal_machine() { # SIGNAL NUMBER
	kill "-$1" -- "-$(cat "m/$2/pid")"
}
switched() { # NUMBER ACTION: how often
	[ -e "m/$1/actions" ] || { echo 0; return; }
	grep -cx "$2" "m/$1/actions" || :
}

case_auto() {
	local before
	machines 'failover = auto' "spares = $M4"
	machine_is $M4 spare
	before=$(node n02 incarnation)
	cut_power 2
	await 20 plays n02 $M4
	[ "$(node n02 incarnation)" = $((before + 1)) ]
	[ "$(node n02 address)" = 10.77.0.12 ]
	await 5 in_step n02 none
	machine_is $N02 failed
	ssi machine list | grep "$N02" | grep -q 'as n02: nothing heard'
	has_event failover 'done: machine'
	# Nobody else was touched.
	[ "$(switched 1 off)" = 0 ]
	[ "$(switched 3 off)" = 0 ]
	# It is alive again, and asks: it gets nothing, until it is accepted.
	ssi machine list -o json | jq -e --arg m $N02 '.[] | select(.mac == $m) | .failed > 0' >/dev/null
	boot $N02 | grep -q 'has failed'
	if ssi node set n03 machine=$N02; then fail "a failed machine was bound"; fi
	ssi machine accept $N02 | grep -q 'a spare from now on'
	ssi machine accept $N02 | grep -q 'was a spare already'
	machine_is $N02 spare
	boot $N02 | grep -q 'is kept as a spare'
	plays n02 $M4
}

case_ask() {
	machines 'failover = ask' "spares = $M4 $M5"
	cut_power 2
	await 10 in_step n02 ask
	has_event failover-ask 'ssi node failover n02'
	ssi status | grep -q "n02: lost; 'ssi node failover' decides"
	sleep 1
	in_state n02 detached
	[ "$(switched 2 off)" = 0 ]
	ssi node failover n02
	await 20 plays n02 $M4
	# By name of a machine.
	cut_power 3
	await 10 in_step n03 ask
	ssi node move n03 --to $M5
	await 20 plays n03 $M5
	machine_is $N03 failed
}

case_delay() {
	machines 'failover = auto' "spares = $M4" 'failover_delay = 4s'
	# It comes back by itself.
	signal_machine STOP 2
	await 10 in_step n02 delay
	signal_machine CONT 2
	await 10 joined n02
	[ "$(node n02 machine)" = $N02 ]
	await 5 in_step n02 none
	[ "$(switched 2 off)" = 0 ]
	# It does not.
	cut_power 2
	await 10 in_state n02 detached
	await 20 plays n02 $M4
}

# The fence agent takes longer than it takes to miss the node.
case_hand() {
	machines 'failover = auto' "spares = $M4"
	sed -i 's/off) off ;;/off) off; sleep 3 ;;/' bin/fence_sim
	ssi node power n02 off
	in_step n02 hand
	ssi status | grep -q 'n02: switched off by hand'
	kill_daemon
	start_daemon --no-dhcp
	sleep 2
	in_step n02 hand
	[ "$(node n02 machine)" = $N02 ]
	ssi node power n02 on
	await 20 plays n02 $N02
	await 5 in_step n02 none
	# That was then.
	cut_power 2
	await 20 plays n02 $M4
}

case_two() {
	machines 'failover = auto' "spares = $M4"
	cut_power 2
	await 20 plays n02 $M4
	cut_power 3
	await 10 in_step n03 spare
	has_event failover 'there is no spare'
	[ "$(switched 3 off)" = 0 ]
	ssi status | grep -q 'n03: lost; waits for a spare'
	# The machine that failed first is mended.
	ssi machine accept $N02
	await 20 plays n03 $N02
	machine_is $N03 failed
}

case_own_machine() {
	machines 'failover = auto'
	cut_power 3
	await 10 in_step n03 spare
	ssi node power n03 on
	await 20 plays n03 $N03
	await 5 in_step n03 none
	has_event failover 'its machine came back'
}

case_network() {
	local i before
	machines 'failover = auto' "spares = $M4 $M5"
	before=$(node n01 incarnation)
	for i in 1 2 3; do signal_machine STOP $i; done
	for i in 1 2 3; do await 10 in_step "n0$i" network; done
	has_event alarm 'that is the network'
	ssi status | grep -q 'ALARM.*3 nodes vanished at once'
	sleep 2
	for i in 1 2 3; do in_state "n0$i" detached; done
	# The daemon is started again meanwhile: it knows.
	kill_daemon
	start_daemon --no-dhcp
	for i in 1 2 3; do in_step "n0$i" network; done
	sleep 2
	for i in 1 2 3; do signal_machine CONT $i; done
	await 20 all_joined
	[ "$(events fence | wc -l)" = 0 ]
	for i in 1 2 3 4 5; do [ "$(switched $i off)" = 0 ]; done
	for i in 1 2 3; do [ "$(node "n0$i" machine)" = "52:54:01:00:00:0$i" ]; done
	[ "$(node n01 incarnation)" -gt "$before" ]
	[ "$(step n01)" = none ]
	[ "$(ssi status -o json | jq -r '.systems[0].alarm')" = '' ]
	# And what vanishes alone after that is lost again.
	cut_power 1
	await 20 plays n01 $M4
}

case_limit() {
	machines 'failover = auto' "spares = $M4 $M5" 'failover_limit = 1 in 1h'
	cut_power 2
	await 20 plays n02 $M4
	cut_power 3
	await 10 in_step n03 limit
	has_event alarm 'limit of 1 failovers'
	[ "$(switched 3 off)" = 0 ]
	ssi status | grep -q 'ALARM.*limit of failovers'
	ssi node failover n03
	await 20 plays n03 $M5
}

case_spares() {
	machines 'failover = auto' 'spares = 1'
	boot $M4 | grep -q 'is kept as a spare'
	boot $M5 | grep -q 'is not bound to a node'
	machine_is $M4 spare
	machine_is $M5 waiting
	[ "$(ssi status -o json | jq '.systems[0].spares')" = 1 ]
	sed -i "s/^spares.*/spares = $M5/" nodes.d/10-demo.ini
	bootsvc reload
	machine_is $M5 spare
	cut_power 2
	await 20 plays n02 $M4
}

case_bad_spare() {
	machines 'failover = auto' "spares = $M4 $M5"
	mkdir -p m/4
	touch m/4/broken
	cut_power 2
	await 60 plays n02 $M5
	machine_is $M4 failed
	ssi machine list | grep "$M4" | grep -q 'cannot be switched on'
	machine_is $N02 failed
}

case_move() {
	machines 'failover = off' "spares = $M4"
	local before
	before=$(node n03 incarnation)
	ssi node move n03 --to $M5
	await 30 plays n03 $M5
	machine_is $N03 spare
	[ "$(node n03 incarnation)" = $((before + 1)) ]
	[ "$(switched 3 off)" -ge 1 ]
	await 5 in_step n03 none
	# And back.
	ssi node move n03 --to $N03
	await 30 plays n03 $N03
	machine_is $M5 spare
}

case_fixed() {
	machines 'failover = auto' "spares = $M4"
	printf '[node n02]\nmachine = %s\n' $N02 >nodes.d/20-fixed.ini
	bootsvc reload
	cut_power 2
	await 20 plays n02 $M4
	bootsvc reload
	plays n02 $M4
	kill_daemon
	start_daemon --no-dhcp
	await 20 plays n02 $M4
	ssi machine accept $N02
	bootsvc reload
	plays n02 $M4
	# Something new is said there.
	printf '[node n02]\nmachine = %s\n' $M5 >nodes.d/20-fixed.ini
	bootsvc reload
	[ "$(node n02 machine)" = $M5 ]
}

daemon_gone() {
	! kill -0 "$DAEMON" 2>/dev/null
}

# At each point: the daemon ends there, is started again, and the node is on the spare; then all is put back for the next one.
case_crash() {
	local point points before spare=$M4 had=$N02 n=0
	points=$(ssi-bootsvc start --crash-at list)
	machines 'failover = auto' "spares = $M4" 'failover_limit = 100 in 1h'
	for point in $points; do
		kill -TERM "$DAEMON"
		wait "$DAEMON" || :
		start_daemon --no-dhcp --crash-at "$point"
		await 20 all_joined
		before=$(node n02 incarnation)
		cut_power "$((16#${had##*:}))"
		await 30 daemon_gone
		wait "$DAEMON" || :
		tail -n 3 log | grep -q "ends at $point" || fail "it did not end at $point"
		start_daemon --no-dhcp
		await 40 plays n02 "$spare"
		await 10 in_step n02 none
		machine_is "$had" failed || fail "$point: $had is not failed"
		# One incarnation more; a boot script that nobody got is a number that nobody has.
		[ "$(node n02 incarnation)" -gt "$before" ]
		[ "$(node n02 incarnation)" -le $((before + 2)) ] || fail "$point: incarnation $before, then $(node n02 incarnation)"
		await 20 all_joined
		ssi machine accept "$had"
		n=$had had=$spare spare=$n
	done
}

case_refused() {
	machines 'failover = ask' "spares = $M4"
	refused() { # WORDS COMMAND...
		local words=$1
		shift
		if "$@" >said 2>&1; then fail "not refused: $*"; fi
		grep -q -- "$words" said || fail "$* said: $(cat said)"
	}
	refused 'moves a node that is up' ssi node failover n01
	refused 'plays n01 already' ssi node move n01 --to $N01
	refused 'plays n02' ssi node move n01 --to $N02
	refused 'no machine' ssi node move n01 --to 52:54:01:00:00:77
	refused 'where to' ssi node move n01
	refused "no machine's address" ssi node move n01 --to here
	refused 'plays n01' ssi machine accept $N01
	refused 'no machine' ssi machine accept 52:54:01:00:00:77
	refused 'no node n09' ssi node failover n09
	refused 'one at a time' ssi node move 'n[01-02]' --to $M4
}

# Its power controller does not do it. A node with nothing to lose goes on elsewhere all the same; one with a shared file system waits, and says why.
case_not_fenced() {
	machines 'failover = auto' "spares = $M4, $M5"
	mkdir -p m/2 m/3
	touch m/2/broken m/3/broken
	cut_power 2
	await 20 plays n02 $M4
	has_event fence-failed 'not confirmed (power): power: fence_sim: off failed: the BMC is broken'
	sed -i 's|^discovery.*|&\nshared = /home|' nodes.d/10-demo.ini
	bootsvc reload
	cut_power 3
	await 10 fence_waits
	sleep 3
	in_step n03 fence
	in_state n03 detached
	[ "$(node n03 machine)" = $N03 ]
	rm m/3/broken
	await 20 plays n03 $M5
}

fence_waits() { ssi node show n03 -o json | jq -e '.[0].fence | .phase == "work" and .tries > 0'; }
