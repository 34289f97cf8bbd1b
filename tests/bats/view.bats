#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# `ssi shell`: unmodified programs in the view of nodes that do not exist (tests/sim/view-table.c says what they are), and what is local as ever.
# Needs root and FUSE.
bats_require_minimum_version 1.5.0

setup_file() {
	VIEW=$(mktemp -d /tmp/ssi-view-XXXXXX)
	TABLE=$(dirname "$(command -v ssi)")/../../../view-table
	SSI_VIEW_PROGRAM=$(dirname "$(command -v ssi)")/../libexec/ssi/ssi-view
	chmod 755 "$VIEW"
	export VIEW TABLE SSI_VIEW_PROGRAM
	unset SSI_VIEW
}

teardown_file() {
	rm -rf "$VIEW"
}

setup() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	[ -c /dev/fuse ] || skip "needs /dev/fuse"
	"$TABLE" "$VIEW/view" 3 50
}

# A script in the view, with pids of its own so that nothing outlives it.
view() { # SCRIPT [ARG...]
	timeout -k 5 40 unshare --pid --fork --kill-child --mount-proc "$SSI_VIEW_PROGRAM" --view "$VIEW/view" bash -euo pipefail -c "$@" 3>&-
}

@test "ps: every remote process with what the table says of it" {
	# shellcheck disable=SC2016
	view 'ps -eo pid,ppid,user:8,stat,ni,psr,rss,comm --no-headers | awk "\$1 >= 2097152"' >"$VIEW/ps"
	local cpus
	cpus=$(getconf _NPROCESSORS_CONF)
	awk -v cpus="$cpus" 'BEGIN { for (i = 0; i < 50; i++) {
		stat = i % 10 == 9 ? "T" : "S"; ni = i % 20
		print 2097152 + i, 1, i % 2 ? 1234 : "root", stat (ni ? "N" : "") "s", ni, cpus + (i % 3) * 4 + i % 4, (1 + i % 50) * 1024, "cc1-" i } }' >"$VIEW/want"
	awk '{ $1 = $1 } 1' "$VIEW/ps" | diff - "$VIEW/want"
	[ "$(view 'ps -o args= -p 2097160')" = "cc1 -O2 file.c" ]
	[ "$(view 'ps -ef | grep -c "cc1 -O2 file.c$"')" = 50 ]
}

@test "pgrep, pstree, top, htop" {
	[ "$(view 'pgrep -c cc1')" = 50 ]
	[ "$(view 'pgrep -x cc1-7')" = 2097159 ]
	view 'pstree -p' | grep -q 'cc1-49(2097201)'
	[ "$(view 'top -b -n 1 -w 200' | grep -c ' cc1')" = 50 ]
	# shellcheck disable=SC2016
	view 'cd "$0"; . "$1"; htop_shows file.c' "$VIEW" "$BATS_TEST_DIRNAME/view-wait.bash"
}

@test "nproc of the files, free, uptime, lscpu, vmstat: the sums" {
	local cpus total
	cpus=$(($(getconf _NPROCESSORS_CONF) + 12))
	[ "$(view 'grep -c ^processor /proc/cpuinfo')" = "$cpus" ]
	[ "$(view 'grep -c "^cpu[0-9]" /proc/stat')" = "$cpus" ]
	[ "$(view 'cat /sys/devices/system/cpu/online')" = "0-$((cpus - 1))" ]
	[ "$(view 'lscpu' | awk '/^CPU\(s\):/ { print $2 }')" = "$cpus" ]
	[ "$(view 'lscpu' | awk '/^NUMA node\(s\):/ { print $3 }')" = $(($(lscpu | awk '/^NUMA node\(s\):/ { print $3 }') + 3)) ]
	view 'lscpu -e=CPU,NODE,CORE' | grep -q "^ *$((cpus - 1)) "
	total=$(($(awk '/^MemTotal:/ { print $2 }' /proc/meminfo) + 3 * 8388608))
	[ "$(view 'free -k' | awk '/^Mem:/ { print $2 }')" = "$total" ]
	view 'uptime' | grep -q 'load average: [0-9]*[0-9]\.'
	awk '{ exit !($1 >= 6) }' < <(view 'cat /proc/loadavg')
	[ "$(view 'vmstat' | wc -l)" = 3 ]
	view 'cat /proc/diskstats' | grep -q ' n03.vda '
	view 'cat /proc/net/dev' | grep -q '^n02.eth0:'
}

@test "what is local is as it was" {
	# shellcheck disable=SC2016
	view '
		[ "$(readlink /proc/self/exe)" = "$(command -v readlink | xargs realpath)" ]
		[ "$(cat <(echo text))" = text ]
		echo word | (read -r a </dev/stdin; [ "$a" = word ])
		[ "$(cat /proc/$$/comm)" = bash ]
		[ "$(tr "\0" "\n" <"/proc/$$/environ" | grep -c ^SSI_VIEW=system)" = 1 ]
		echo 1 >/proc/self/oom_score_adj
		[ -n "$(cat /proc/sys/kernel/hostname)" ]
		[ "$(sysctl -n kernel.pid_max)" = "$(cat /proc/ssi/local/sys/kernel/pid_max)" ]
		cp "$(command -v sleep)" "$0/sleeper"
		"$0/sleeper" 60 & ! setpriv --reuid=1234 --clear-groups killall sleeper 2>/dev/null || exit 1
		killall sleeper; wait $! || [ $? = 143 ]
		[ -d /proc/1/task/1 ]
		[ "$(cat /proc/1/task/1/comm)" = bash ]
		sleep 60 & kill $!; wait $! || [ $? = 143 ]
		[ "$(ls -d /proc/[0-9]* | wc -l)" -ge 51 ]
		[ ! -e /proc/999999 ]
	' "$VIEW"
}

@test "what only a node could say is refused; the age can be read" {
	view '! cat /proc/2097152/environ || exit 1; ! readlink /proc/2097152/exe || exit 1; ! ls /proc/2097152/fd || exit 1' 2>"$VIEW/err"
	[ "$(grep -c 'Permission denied' "$VIEW/err")" = 2 ]
	[ "$(view 'cat /proc/2097153/ssi')" = "n02 101" ]
	[ "$(view 'cat /proc/ssi/age')" -lt 60000 ]
}

@test "nproc counts all; calls on remote processes are answered, those on local ones are the kernel's" {
	[ "$(view 'nproc')" = $(($(nproc) + 12)) ]
	[ "$(view 'SSI_VIEW=local nproc')" = "$(nproc)" ]
	[ "$(view 'kill -0 3999999 2>&1 || :' | grep -c 'No such process')" = 1 ]
	[ "$(view 'kill -TERM 2097152 2>&1 || :' | grep -c 'Host is down')" = 1 ]
	[ "$(view 'kill -TERM -- -2097152 2>&1 || :' | grep -c 'Host is down')" = 1 ]
	[ "$(view 'renice 5 -p 2097153 2>&1 || :' | grep -c 'Host is down')" = 1 ]
	[ "$(view 'grep NoNewPrivs /proc/self/status' | awk '{ print $2 }')" = 0 ]
	# shellcheck disable=SC2016
	view 'renice -n 3 -p $$ >/dev/null; [ "$(nice)" = 3 ]; taskset -pc 0 $$ >/dev/null; (sleep 60 & kill -9 $!; wait $! || [ $? = 137 ])'
}

@test "who asks for a signal and is a setuid program by now is nobody" {
	# shellcheck disable=SC2016
	view '
		mkdir "$0/suid"
		mount -t tmpfs tmpfs "$0/suid"
		install -m 4755 "$(command -v sleep)" "$0/suid/sleep"
		install -m 644 "$1" "$0/suid/race.py"
		exec /usr/bin/python3 "$1" "$(pgrep -f "ssi-view --guar[d]")" \
			setpriv --reuid=1234 --regid=1234 --clear-groups /usr/bin/python3 "$0/suid/race.py" ask "$0/suid/sleep" 2097152
	' "$VIEW" "$BATS_TEST_DIRNAME/view-race.py"
}

@test "a pidfd of a remote process tells when it is gone" {
	# shellcheck disable=SC2016
	view 'python3 -c "
import os, select, subprocess, sys
assert os.getpriority(os.PRIO_PROCESS, 2097155) == 3
fd = os.pidfd_open(2097155)
assert select.select([fd], [], [], 0.2) == ([], [], [])
subprocess.check_call([sys.argv[1], sys.argv[2], str(3), str(2)])
assert select.select([fd], [], [], 10) == ([fd], [], [])
try:
    os.pidfd_open(2097155)
    assert False
except ProcessLookupError:
    pass
" "$0" "$1/view"' "$TABLE" "$VIEW"
}

@test "the table may be replaced, broken, and gone" {
	# shellcheck disable=SC2016
	view '
		count() { ls /proc | grep -c "^20[0-9]\{5\}$" || :; }
		[ "$(count)" = 50 ]
		"$0" "$1/view" 3 70; sleep 0.1
		[ "$(count)" = 70 ]
		echo broken >"$1/view/processes.new"; mv "$1/view/processes.new" "$1/view/processes"; sleep 0.1
		[ "$(count)" = 0 ]
		rm "$1/view/processes" "$1/view/nodes"; sleep 0.1
		[ "$(count)" = 0 ]; ps -e >/dev/null; nproc >/dev/null
	' "$TABLE" "$VIEW"
}

@test "who reads again asks nobody, and has the new as soon as there is a new table; nothing can be written" {
	# shellcheck disable=SC2016
	view 'server=$(pgrep -f "ssi-view --serv[e]"); timeout 20 python3 -c "
import errno, os, signal, subprocess, sys, time
table, dir, server = sys.argv[1:3] + [int(sys.argv[3])]
names = [\"stat\", \"status\", \"cmdline\", \"comm\", \"statm\"]
fds = [os.open(\"/proc/2097153/\" + n, os.O_RDONLY) for n in names]
def read():
    return [os.pread(fd, 4096, 0) for fd in fds]
def write(*change):
    subprocess.check_call([table, dir + \"/view\", \"3\", \"50\"] + list(change))
was = read()
os.kill(server, signal.SIGSTOP)
assert read() == was
os.kill(server, signal.SIGCONT)
write(\"renamed\")
for i in range(100):
    now = read()
    if b\"renamed\" in now[3]:
        break
    time.sleep(0.02)
assert all(b\"renamed\" in now[i] for i in range(4)), now
assert len(now[0]) == len(was[0]) == 512
assert now[4] == was[4]
write()
time.sleep(0.06)
assert subprocess.check_output([\"ps\", \"-o\", \"comm=\", \"-p\", \"2097153\"]) == b\"cc1-1\\n\"
for flags in os.O_WRONLY | os.O_TRUNC, os.O_RDWR:
    try:
        os.open(\"/proc/2097153/oom_score_adj\", flags)
        assert False
    except OSError as e:
        assert e.errno == errno.EROFS, e
assert open(\"/proc/2097153/oom_score_adj\").read() == \"0\\n\"
" "$0" "$1" "$server"' "$TABLE" "$VIEW"
}

@test "SSI_VIEW=local and --local go back" {
	[ "$(view 'SSI_VIEW=local ps -e | grep -c cc1 || :')" = 0 ]
	[ "$(view 'SSI_VIEW=local grep -c ^processor /proc/cpuinfo')" = "$(grep -c ^processor /proc/cpuinfo)" ]
	# shellcheck disable=SC2016
	[ "$(view '"$0" --local -c "stat -f -c %T /proc; ps -e | grep -c cc1 || :"' "$SSI_VIEW_PROGRAM" | paste -sd' ')" = "proc 0" ]
}

@test "another program takes over while files are open, and the mount ends with the session" {
	# shellcheck disable=SC2016
	view '
		says() { [ "$(cat /proc/2097153/comm)" = "$1" ]; }
		exec 5</proc/meminfo
		read -r _ <&5
		says cc1-1
		server=$(pgrep -f "ssi-view --serv[e]")
		kill -HUP "$server"
		for ((i = 0; i < 100; i++)); do grep -qz -- --state "/proc/$server/cmdline" && break; sleep 0.05; done
		grep -qz -- --state "/proc/$server/cmdline"
		read -r _ <&5
		[ "$(pgrep -c cc1)" = 50 ]
		[ "$(ps -e | grep -c cc1)" = 50 ]
		# What was said before is not taken for what is.
		"$0" "$1/view" 3 50 renamed
		for ((i = 0; i < 100; i++)); do says renamed-1 && break; sleep 0.02; done
		says renamed-1
	' "$TABLE" "$VIEW"
	run ! grep -q ssi-view /proc/mounts
}

@test "a user sees all; with hidepid only what is his, of nodes too" {
	# shellcheck disable=SC2016
	user() { timeout -k 5 20 unshare --pid --fork --kill-child --mount-proc bash -c "$1"'
		exec "$0" --view "$1" setpriv --reuid=1234 --regid=1234 --clear-groups bash -c "$2"' "$SSI_VIEW_PROGRAM" "$VIEW/view" "$2" 3>&-; }
	[ "$(user : 'pgrep -c cc1')" = 50 ]
	[ "$(user 'mount -o remount,hidepid=2 /proc' 'pgrep -c cc1')" = 25 ]
	[ "$(user 'mount -o remount,hidepid=2 /proc' 'cat /proc/2097152/stat 2>&1 | grep -c "No such file"')" = 1 ]
	[ "$(user 'mount -o remount,hidepid=2,gid=1234 /proc' 'pgrep -c cc1')" = 50 ]
	[ "$(user 'mount -o remount,hidepid=1 /proc' 'cat /proc/2097153/comm; cat /proc/2097152/comm 2>&1 | grep -c permitted' | paste -sd' ')" = "cc1-1 1" ]
}

@test "an ordinary user gets in by the setuid program, and keeps nothing of root's; his options are his own" {
	# shellcheck disable=SC2016
	timeout -k 5 30 unshare --pid --mount --fork --kill-child --mount-proc bash -euo pipefail -c '
		mount -t tmpfs tmpfs /usr/libexec
		mkdir /usr/libexec/ssi
		install -m 4755 "$0" /usr/libexec/ssi/ssi-view
		mount -t tmpfs tmpfs /run
		mkdir /run/ssi
		"$1" /run/ssi/view 3 50
		cd /
		user() { setpriv --reuid=1234 --regid=1234 --clear-groups "$@"; }
		export SHELL=/bin/bash SSI_VIEW_DIR=/nowhere
		user /usr/libexec/ssi/ssi-view -c "id -ru; id -u; pgrep -c cc1; grep ^CapEff /proc/self/status; grep -c ^ /proc/1/environ 2>&1 | grep -c denied; nproc" >/run/said
		echo "$(($(nproc) + 12))" | cat <(printf "1234\n1234\n50\nCapEff:\t0000000000000000\n1\n") - | diff - /run/said
		# What is shown, and by which program, is not for a user to say.
		! user /usr/libexec/ssi/ssi-view --view /tmp -c true || exit 1
		! user /usr/libexec/ssi/ssi-view --serve 3 || exit 1
		! user /usr/libexec/ssi/ssi-view --guard 3 || exit 1
		# He goes back, too; and once more into the view is where he is already.
		[ "$(user /usr/libexec/ssi/ssi-view -c "/usr/libexec/ssi/ssi-view --local pgrep -c cc1 || :")" = 0 ]
		[ "$(user /usr/libexec/ssi/ssi-view -c "/usr/libexec/ssi/ssi-view pgrep -c cc1")" = 50 ]
	' "$SSI_VIEW_PROGRAM" "$TABLE" 3>&-
}
