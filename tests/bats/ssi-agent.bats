#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The real agent against the real daemon, on the loopback of a network namespace: joining, coming back, being run on, ordered, refused, saying goodbye.
bats_require_minimum_version 1.5.0

HTTP=17780
CCM=17701
MASTER=10.77.0.1

setup() {
	agent=$(command -v ssi-agent)
	sim=$BATS_TEST_DIRNAME/../../build/sim-nodes
	dir=$(mktemp -d)
	node=$dir/node
	mkdir -p "$dir"/{nodes.d,state,run,node} "$dir/store/compute"
	pids=()
	ns=()
}

teardown() {
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null && wait "$pid"
	done
	[ -z "$BATS_ERROR_STATUS" ] || [ "$BATS_ERROR_STATUS" = 0 ] || tail -n 30 "$dir"/*.log >&3 2>/dev/null
	rm -rf "$dir"
}

# Wait for a command to succeed, 10 s at most.
until_true() {
	local i
	for ((i = 0; i < 200; i++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.05
	done
	echo "never came true: $*"
	return 1
}

# An image that nobody will look into.
make_image() {
	local tmp=$dir/store/compute/tmp f files=()
	mkdir "$tmp"
	for f in vmlinuz initramfs root.erofs; do
		echo "$f" >"$tmp/$f"
		files+=("\"$f\":{\"size\":$(stat -c %s "$tmp/$f"),\"sha256\":\"$(sha256sum "$tmp/$f" | cut -d' ' -f1)\"}")
	done
	echo "{\"format\":1,\"name\":\"compute\",\"files\":{$(IFS=, && echo "${files[*]}")}}" >"$tmp/manifest.json"
	local generation
	generation=sha256-$(sha256sum "$tmp/manifest.json" | cut -d' ' -f1)
	mv "$tmp" "$dir/store/compute/$generation"
	ln -s "$generation" "$dir/store/compute/current"
}

# A network of our own, as any user. (Root needs no user namespace, and in a chroot cannot have one.)
make_network() {
	local -a how=(-r -n) in=(-U -n --preserve-credentials)
	[ "$(id -u)" -ne 0 ] || how=(-n) in=(-n)
	unshare "${how[@]}" sh -c "ip link set lo up && ip addr add $MASTER/24 dev lo && echo >$dir/network && exec sleep 600" 3>&- &
	pids+=($!)
	until_true test -e "$dir/network"
	ns=(nsenter -t $! "${in[@]}" --)
}

start_daemon() {
	"${ns[@]}" ssi-bootsvc start -f --exports none --no-dhcp --http-port $HTTP --ccm-port $CCM --config "$dir/nodes.d" --state "$dir/state" \
		--run "$dir/run" --store "$dir/store" 3>&- >>"$dir/daemon.log" 2>&1 &
	daemon=$!
	pids+=("$daemon")
	until_true ask status
}

ask() {
	"${ns[@]}" ssi --socket "$dir/run/bootsvc.sock" "$@"
}

start_agent() {
	# Stands for PID 1: notes what it is asked.
	env --default-signal=INT bash -c "trap 'echo reboot >$dir/asked' INT; trap 'echo poweroff >$dir/asked' RTMIN+4; echo >$dir/ready; while :; do sleep 0.05; done" 3>&- &
	init=$!
	pids+=("$init")
	until_true test -e "$dir/ready"
	"${ns[@]}" "$agent" --run-dir "$node" --init $init 3>&- >>"$dir/agent.log" 2>&1 &
	agent_pid=$!
	pids+=("$agent_pid")
}

state_is() {
	[ "$(ask node list -o json | jq -r '.[0].state')" = "$1" ]
}

boot_one() {
	cat >"$dir/nodes.d/10.ini" <<-X
		[system demo]
		interface = lo
		network   = 10.77.0.0/24
		master    = 10.77.0.1
		discovery = bind
		image     = compute
		[node n01]
		address   = 10.77.0.11
	X
	make_image
	make_network
	start_daemon
	"${ns[@]}" "$sim" --master $MASTER --http $HTTP --for-agent "$node"
}

@test "ssi-agent --help: standard output, status 0" {
	run --separate-stderr "$agent" --help
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[[ "$output" == Usage:* ]]
}

@test "ssi-agent with a wrong option or word: standard error, status 2" {
	for words in --nonsense "--init=zero" "now"; do
		run --separate-stderr "$agent" "$words"
		[ "$status" -eq 2 ]
		[ -z "$output" ]
		[ -n "$stderr" ]
	done
}

@test "ssi-agent where no node was booted: says which file it misses, status 1" {
	run "$agent" --run-dir "$node"
	[ "$status" -eq 1 ]
	[[ "$output" == *"$node/bootargs: No such file"* ]]
	echo "ssi.root=disk:/dev/vda" >"$node/bootargs"
	run "$agent" --run-dir "$node"
	[ "$status" -eq 1 ]
	[[ "$output" == *"booted by itself"* ]]
	echo "ssi.root=disk:/dev/vda ssi.node=n01 ssi.master=10.77.0.1:7701 ssi.inc=1" >"$node/bootargs"
	run "$agent" --run-dir "$node"
	[ "$status" -eq 1 ]
	[[ "$output" == *"no ssi.node, ssi.number,"* ]]
	echo "ssi.root=nfs:/a ssi.node=n01 ssi.mac=52:54:00:00:00:01 ssi.ip=10.77.0.11/24 ssi.master=10.77.0.1:7701 ssi.inc=1" >"$node/bootargs"
	run "$agent" --run-dir "$node"
	[ "$status" -eq 1 ]
	[[ "$output" == *"$node/bootargs: no ssi.number on"* ]]
}

@test "joins, is run on, tells its events, and says goodbye only when the machine goes down" {
	boot_one
	grep -q "ssi.number=1 " "$node/bootargs"
	echo "init 10 20 1" >"$node/timeline"
	start_agent
	until_true state_is joined
	until_true grep -q "^member n01 1 joined 10.77.0.11" "$node/view"
	grep -q "^joined [0-9]* [0-9]* 1$" "$node/timeline"
	# shellcheck disable=SC2016 # for the shell over there
	run ask exec n01 -- sh -c 'echo from $0; exit 3' there
	[ "$status" -eq 1 ]
	[[ "$output" == *"from there"* ]]
	echo "root-lost the root does not answer" >"$node/events"
	until_true grep -q "node-event.*root-lost: the root does not answer" "$dir/daemon.log"
	# The agent alone is started again: the node stays joined.
	kill "$agent_pid"
	wait "$agent_pid"
	start_agent
	until_true grep -q "joined again" "$dir/agent.log"
	state_is joined
	run ! grep -q "^ssi-bootsvc: leave\|^ssi-bootsvc: detach" "$dir/daemon.log"
	echo reboot >"$node/shutdown"
	kill "$agent_pid"
	wait "$agent_pid"
	until_true state_is off
	grep -q "leave n01.*reboot" "$dir/daemon.log"
}

@test "a daemon that was killed is found again, and nobody reboots" {
	boot_one
	start_agent
	until_true state_is joined
	kill -9 $daemon
	wait $daemon || true
	start_daemon
	until_true grep -q "rejoin n01" "$dir/daemon.log"
	state_is joined
	[ ! -e "$dir/asked" ]
}

@test "silence is noticed after 3 s; who wakes up is told to reboot" {
	boot_one
	start_agent
	until_true state_is joined
	kill -STOP $agent_pid
	until_true state_is suspect
	until_true state_is detached
	kill -CONT $agent_pid
	until_true grep -q reboot "$dir/asked"
	grep -q "rebooting: " "$dir/agent.log"
}

holds() { # HOLD
	[ "$(ask node list -o json | jq -r '.[0].hold')" = "$1" ]
}

@test "drained: stays joined and is told, over a restart of the daemon, until it is accepted" {
	boot_one
	start_agent
	until_true state_is joined
	run -0 ask node drain n01
	[[ "$output" == "n01: drained"* ]]
	until_true grep -q "^member n01 1 joined .* drained$" "$node/view"
	grep -q "drain n01" "$dir/daemon.log"
	[ "$(ask status -o json | jq -c '.systems[0] | [.joined, .drained]')" = '[1,1]' ]
	run -0 ask exec n01 -- true
	kill -9 $daemon
	wait $daemon || true
	start_daemon
	until_true state_is joined
	holds drained
	run -0 ask node accept n01
	until_true grep -q "^member n01 1 joined [^a-z]*$" "$node/view"
	holds ''
	[ "$(ask node accept n01 -o json | jq '.[0].changed')" = false ]
}

@test "detached by hand: out at once, told to reboot, kept out over a restart, in again when accepted" {
	boot_one
	start_agent
	until_true state_is joined
	run -0 ask node detach n01
	state_is detached
	[ "$(ask status -o json | jq '.systems[0].cpus')" = 0 ]
	until_true grep -q reboot "$dir/asked"
	grep -q "detach n01: taken out by hand" "$dir/daemon.log"
	run -1 ask node drain n01
	kill -9 $daemon
	wait $daemon || true
	start_daemon
	holds out
	# Its machine asks, and is told who can help it; the key it still has opens nothing.
	# shellcheck disable=SC2016 # for the shell over there
	run -0 "${ns[@]}" curl -s "http://$MASTER:$HTTP/boot/$(ask node list -o json | jq -r '.[0].machine')"
	[[ "$output" == *"n01 is detached"*"ssi node accept n01"* ]]
	state_is detached
	run -0 ask node accept n01
	state_is off
	"${ns[@]}" "$sim" --master $MASTER --http $HTTP --seconds 1
	grep -q "join n01" "$dir/daemon.log"
}

@test "orders reach PID 1" {
	boot_one
	start_agent
	until_true state_is joined
	ask node reboot n01
	until_true grep -q reboot "$dir/asked"
}

@test "a machine that boots again ends what runs with its older incarnation" {
	boot_one
	start_agent
	until_true state_is joined
	run "${ns[@]}" "$sim" --master $MASTER --http $HTTP --seconds 1
	[ "$status" -eq 0 ]
	until_true grep -q reboot "$dir/asked"
}
