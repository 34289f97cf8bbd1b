# shellcheck shell=bash disable=SC2317 # what await calls is reached
# SPDX-License-Identifier: GPL-2.0-or-later
# Real agents beside the real daemon of bootsvc.bash, each as if on a machine of its own: in pid, mount and host name namespaces of its own, with a
# pid 1 that reaps and outlives the agent, its own /run (the agent's folder is /run/ssi there, and nodes/NAME outside), over loopback. A cases file begins with
#
#     . "$(dirname "${BASH_SOURCE[0]}")/agents.bash"
#
# and a case says `agents_up 3`. What a node shares with the others: network, files (a job is to find nothing that is not on the node: move it away).

AGENTS_KEEPER=$(dirname "$(command -v ssi-agent)")/../libexec/ssi/ssi-keeper
# Where this machine has cgroups of version 2, if it has: each node has a part of them for its own.
AGENTS_CGROUPS=$(findmnt -nrt cgroup2 -o TARGET | head -n 1)
AGENTS_SIM=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../../build/sim-nodes")

# Starts the daemon, and nodes n01 ... until they are joined. Further words are options of the daemon.
agents_up() { # N [OPTION...]
	local n=$1 i
	for ((i = 1; i <= n; i++)); do printf '[node %s]\nmachine = 52:54:01:00:00:%02x\n' "$(agent_name "$i")" "$i"; done >nodes.d/20-agents.ini
	[ -n "$DAEMON" ] || start_daemon --no-dhcp "${@:2}"
	for ((i = 1; i <= n; i++)); do agent_boot "$i" & OTHERS+=($!); done
	for ((i = 1; i <= n; i++)); do await 10 agent_init_of "$(agent_name "$i")"; done
	for ((i = 1; i <= n; i++)); do agent_before "$(agent_name "$i")"; done
	for ((i = 1; i <= n; i++)); do agent_start "$(agent_name "$i")"; done
	for ((i = 1; i <= n; i++)); do await 10 agent_joined "$(agent_name "$i")"; done
}

# Everything ends: nodes with all that runs there, then the daemon.
agents_down() {
	local dir
	for dir in nodes/*/; do kill -9 "$(cat "$dir/init.pid")" 2>/dev/null || :; done
	[ -z "$DAEMON" ] || kill_daemon
}

# What nodes leave of their cgroups. Called by net_down, when they have been told to end.
agents_clean() {
	local dir tries=100
	for dir in ${AGENTS_CGROUPS:+"$AGENTS_CGROUPS/${WORK##*/}"-*}; do
		[ -d "$dir" ] || continue
		until find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || [ $((tries -= 1)) -le 0 ]; do
			{ echo 1 >"$dir/cgroup.kill"; } 2>/dev/null || :
			sleep 0.02
		done
	done
}

# What a case changes of a node before anything runs there: it defines this anew.
agent_before() { :; }     # NODE

agent_name() { printf 'n%02d' "$1"; }     # NUMBER
agent_joined() { [ "$(node "$1" state)" = joined ]; }     # NODE
agent_state() { [ "$(node "$1" state)" = "$2" ]; }     # NODE STATE

# Node number i asks for its boot script, trades its token, and has a pid 1: nodes/NAME/init.pid is its number out here.
agent_boot() { # I
	local name
	name=$(agent_name "$1")
	mkdir -p "nodes/$name"
	"$AGENTS_SIM" --master=10.77.0.1 --first="$1" --for-agent="nodes/$name"
	mkfifo "nodes/$name/idle"
	export AGENTS_CGROUPS AGENT_CGROUP=''
	[ -z "$AGENTS_CGROUPS" ] || { AGENT_CGROUP=$AGENTS_CGROUPS/${WORK##*/}-$name && mkdir -p "$AGENT_CGROUP"; }
	# It notes what the agent asks of it: reboot (SIGINT), power off (SIGRTMIN+4).
	# shellcheck disable=SC2016
	exec env --default-signal=INT unshare --pid --mount --uts --fork --kill-child --mount-proc bash -c '
		trap "echo reboot >/run/ssi/asked" INT
		trap "echo poweroff >/run/ssi/asked" RTMIN+4
		dir=$PWD/nodes/$0
		mount -t tmpfs -o mode=755 tmpfs /run
		mkdir /run/ssi
		mount --bind "$dir" /run/ssi
		[ -z "$AGENT_CGROUP" ] || mount --bind "$AGENT_CGROUP" "$AGENTS_CGROUPS"
		hostname "$0"
		exec 9<>/run/ssi/idle
		echo >/run/ssi/ready
		while :; do read -r -u 9 || :; done' "$name" >>"nodes/$name/init.log" 2>&1
}

# The pid of a node's pid 1, as it is out here; told once it is ready.
agent_init_of() { # NODE
	local unshare
	[ -e "nodes/$1/ready" ] || return
	[ -s "nodes/$1/init.pid" ] || {
		unshare=$(pgrep -f "^unshare .* $1\$") && pgrep -P "$unshare" >"nodes/$1/init.pid"
	}
	cat "nodes/$1/init.pid"
}

# Runs a command on a node without anybody's help, as an administrator at its console would.
on_node() { # NODE COMMAND...
	nsenter -t "$(cat "nodes/$1/init.pid")" --pid --mount --uts -- "${@:2}"
}

# The agent's pid, out here, is in nodes/NODE/agent.pid.
agent_start() { # NODE
	local name=$1 i
	i=$(cat "nodes/$name/init.pid")
	# nsenter stays as its parent out here, and dies with it.
	on_node "$name" ssi-agent --run-dir /run/ssi --init 1 --keeper "$AGENTS_KEEPER" >>"nodes/$name/agent.log" 2>&1 </dev/null &
	OTHERS+=($!)
	agent_found() { pgrep --ns "$i" --nslist pid -x ssi-agent >"nodes/$name/agent.pid"; }
	await 5 agent_found
}

# Kills the agent alone (-9), and returns once it is gone. What runs on the node runs on.
agent_kill() { # NODE [SIGNAL]
	local pid
	pid=$(cat "nodes/$1/agent.pid")
	kill "-${2:-KILL}" "$pid"
	agent_gone() { ! kill -0 "$pid"; }
	await 5 agent_gone
}

# The whole node at once, as when its power is cut.
agent_cut() { # NODE
	kill -9 "$(cat "nodes/$1/init.pid")"
}
