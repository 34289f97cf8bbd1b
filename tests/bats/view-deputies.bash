# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs in the view (view-cases.bash), beside nodes n01 and n02: what is told here of a job is what its node does, under the number that this shell has it by.
set -x
# shellcheck source=tests/bats/view-wait.bash
. "$(dirname "${BASH_SOURCE[0]}")/view-wait.bash"

shown() { [ "$(ps -o args= -p "$1")" = "$2" ]; }     # PID ARGS
# What the node says of a job's first process: a field of its stat, by number (proc(5)).
there() { on_node n02 sed 's/.*) //' "/proc/$number/stat" | cut -d' ' -f"$(($1 - 2))"; }     # FIELD
state_there() { [ "$(there 3)" = "$1" ]; }
nice_there() { [ "$(there 19)" = "$1" ]; }
cpus_there() { [ "$(on_node n02 taskset -pc "$number" | sed 's/.*: //')" = "$1" ]; }

ssi run -n n02 sleep 811 &
a=$!
await shown "$a" 'sleep 811'
[ "$(cut -d' ' -f1 "/proc/$a/ssi")" = n02 ]
number=$(cut -d' ' -f2 "/proc/$a/ssi")
[ "$(on_node n02 cat "/proc/$number/comm")" = sleep ]
# Once, as a child of this shell, on a processor of its node.
[ "$(ps -o ppid= -p "$a" | tr -d ' ')" = $$ ]
[ "$(ps -o pgid= -p "$a")" = "$(ps -o pgid= -p $$)" ]
[ "$(ps -e -o pid=,comm= | awk -v pid="$a" '$1 == pid { print $2 }')" = sleep ]
[ "$(ps --ppid $$ -o pid=,comm= | awk -v pid="$a" '$1 == pid && $2 == "sleep"' | wc -l)" = 1 ]
[ "$(ps -o psr= -p "$a")" -ge "$(SSI_VIEW=local nproc --all)" ]
[ "$(pgrep -x sleep -P $$)" = "$a" ]
pstree -p $$ | grep -q "sleep($a)"
[ "$(tr '\0' ' ' <"/proc/$a/cmdline")" = 'sleep 811 ' ]

# Signals: to its deputy, which passes them on, or which the daemon sees stop.
kill -STOP "$a"
await state_there T
await stat_is "$a" T
kill -CONT "$a"
await state_there S
await stat_is "$a" S

# What its deputy does not hear of.
renice 7 -p "$a" >/dev/null
await nice_there 7
await nice_is "$a" 7
first=$(taskset -pc "$a" | sed 's/.*: //; s/[-,].*//')
[ "$first" -ge "$(SSI_VIEW=local nproc --all)" ]
taskset -pc "$first" "$a" >/dev/null
await cpus_there "$(on_node n02 taskset -pc 1 | sed 's/.*: //; s/[-,].*//')"
# A local process is the kernel's affair, as ever.
renice 3 -p $$ >/dev/null
[ "$(SSI_VIEW=local ps -o ni= -p $$ | tr -d ' ')" = 3 ]
taskset -pc 0 $$ >/dev/null
[ "$(sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)" = 0 ]

kill -9 "$a"
status=0
wait "$a" || status=$?
[ "$status" = 137 ]
await is_not_there "$a"

# By name, and by a descriptor of its folder.
ssi run -n n01 sleep 812 &
b=$!
await shown "$b" 'sleep 812'
pkill -x -TERM -f 'sleep 812' -P $$
status=0
wait "$b" || status=$?
[ "$status" = 143 ]
cp "$(command -v sleep)" sleeper
ssi run -n n01 ./sleeper 813 &
b=$!
await shown "$b" './sleeper 813'
killall -TERM sleeper
status=0
wait "$b" || status=$?
[ "$status" = 143 ]

# One that has no deputy here, as who started it counts its processes for itself: by the number that the daemon gave it.
cp sleeper lonely
unshare --pid --fork --kill-child ssi run -n n01 ./lonely 814 &
job() { ssi ps -n n01 | awk '$NF == "lonely" { print $2 }'; }
is_job() { [ "$(job)" -ge 1048576 ] && [ -e "/proc/$(job)" ]; }
await is_job
c=$(job)
[ "$c" -lt 2097152 ]
kill -0 "$c"
kill -TERM "$c"
status=0
wait $! || status=$?
[ "$status" = 143 ]
