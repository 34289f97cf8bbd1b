# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab's own world: one user, network and process namespace, held by one supervisor. Sourced by ssi-lab.
#
# The supervisor is process 1 of the namespace: when it ends the kernel ends every other process of the lab, so nothing can be left behind.
# Nothing in the network namespace leads out, so nothing of a lab can reach the host's networks, and labs cannot see each other.

# Start the supervisor and wait until it has said which process it is.
space_start() {
	local -a map=()
	[ "$(id -u)" = 0 ] || map=(--user --map-root-user)
	rm -f "$LAB/pid"
	SSI_LAB_INSIDE=1 setsid unshare "${map[@]}" --net --pid --fork --kill-child \
		"$SSI_LAB_SELF" --name "$LAB_NAME" supervise >>"$LAB/supervisor.log" 2>&1 </dev/null &
	wait_until 10 test -s "$LAB/pid" && return
	kill -KILL $! 2>/dev/null
	die "the lab's namespace cannot be made: $(tail -n 1 "$LAB/supervisor.log")"
}

# Process 1 of the namespace.
space_supervise() {
	local pid bmc
	write_file "$LAB/lan" "$(lan_make)"
	for bmc in "$LAB"/m*/bmc.conf; do
		[ -e "$bmc" ] && bmc_supervise "${bmc%/*}" &
	done
	read -r pid _ </proc/self/stat      # /proc is the host's: this is our number outside
	write_file "$LAB/pid" "$pid"
	trap 'exit 0' TERM INT
	while :; do
		sleep infinity &
		wait $!
	done
}

# After a host's crash the number may be another process's: only this lab's supervisor is called so.
space_alive() {
	local -a words=()
	[ -s "$LAB/pid" ] || return 1
	mapfile -d '' -t words 2>/dev/null <"/proc/$(<"$LAB/pid")/cmdline" || return 1
	[[ "${words[*]}" == *" --name $LAB_NAME supervise" ]]
}

# Run a command inside. What already runs inside just runs it.
space_run() {
	if [ -n "${SSI_LAB_INSIDE:-}" ]; then
		"$@"
		return
	fi
	local pid
	local -a user=()
	pid=$(<"$LAB/pid")
	[ "$(id -u)" = 0 ] || user=(--user --preserve-credentials)
	SSI_LAB_INSIDE=1 nsenter --target "$pid" "${user[@]}" --net --pid "$@"
}

space_stop() {
	local pid
	space_alive || return 0
	pid=$(<"$LAB/pid")
	kill -KILL "$pid" 2>/dev/null
	wait_until 10 eval "! kill -0 $pid 2>/dev/null" || die "process $pid of lab $LAB_NAME does not end"
}
