# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs in the view (view-cases.bash): every program here is as it was installed.
set -x

# shellcheck source=tests/bats/view-wait.bash
. "$(dirname "${BASH_SOURCE[0]}")/view-wait.bash"

# The number of the remote process with this command line: the machine's own are seen here as well, under their own.
number() { pgrep -f "^$1\$" | awk '$1 >= 2097152'; }     # COMMAND
is_there() { [ -n "$(number "$1")" ]; }
is_gone() { [ -z "$(number "$1")" ]; }
says() { ! "${@:2}" 2>err && grep -q "$1" err; }     # TEXT COMMAND...: it fails, and says so
cpus_are() { [ "$(taskset -pc "$1" | sed 's/.*: //')" = "$2" ]; }     # PID LIST

await is_there 'sleep 701'
await is_there 'sleep 702'
await is_there 'sleep 703'
await is_there '.*/sleeper 704'
a=$(number 'sleep 701') b=$(number 'sleep 702') c=$(number 'sleep 703')
[ "$(cut -d' ' -f1 "/proc/$a/ssi")" = n01 ]
[ "$(ps -o user:10= -p "$b" | tr -d ' ')" = 1234 ]
[ "$(pgrep -u 1234 -x sleep | grep -c "^$b$")" = 1 ]
pstree -p | grep -q "sleep($a)"
top -b -n 1 -p "$a" | grep -q sleep
[ "$(cat /proc/ssi/age)" -lt 3000 ]
[ "$(nproc)" -gt "$(SSI_VIEW=local nproc)" ]

# Signals: what they do is seen.
kill -0 "$a"
kill -STOP "$a"
await stat_is "$a" T
kill -CONT "$a"
await stat_is "$a" S

sibling=$(number '.*/sleeper 704')
killall -STOP sleeper
await stat_is "$sibling" T
killall -KILL sleeper
await is_gone '.*/sleeper 704'

# Priorities and processors.
renice 7 -p "$a" >/dev/null
await nice_is "$a" 7
first=$(taskset -pc "$a" | sed 's/.*: //; s/[-,].*//')
taskset -pc "$first" "$a" >/dev/null
await cpus_are "$a" "$first"

# A user: his own, and nobody else's.
user() { setpriv --reuid=1234 --regid=1234 --clear-groups "$@"; }
says 'not permitted' user kill -TERM "$a"
says 'ermi' user renice -5 -p "$c"
user kill -TERM "$b"
await is_gone 'sleep 702'

pkill -9 -f '^sleep 703$' || :
await is_gone 'sleep 703'
kill "$a"
await is_gone 'sleep 701'
await says 'No such process' kill -0 "$b"
