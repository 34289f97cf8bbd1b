# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs in the view (view-wait.bash says where) with the names of all nodes: every program here is as it was installed. On n01 run "sleep 701" and ".../sleeper 704", on
# n02 "sleep 702" as user 1234, "sleep 703" and something that is never idle, as "spinner".
set -x

# shellcheck source=tests/bats/view-wait.bash
. "$(dirname "${BASH_SOURCE[0]}")/view-wait.bash"

# All of them are looked for at once, in the merged list: the machine's own are seen there as well, under their own numbers.
found() { list=$(pgrep -af '^(sleep 70[123]|.*/sleeper 704|spinner.*)$' | awk '$1 >= 2097152') && [ "$(wc -l <<<"$list")" = 5 ]; }
number() { awk -v word="$1" 'index($0, word) { print $1 }' <<<"$list"; }     # WORD
is_over() { is_not_there "$1" || stat_is "$1" Z; }     # PID: it may wait for its parent, which was stopped with it
says() { ! "${@:2}" 2>err && grep -q "$1" err; }     # TEXT COMMAND...: it fails, and says so
cpus_are() { [ "$(taskset -pc "$1" | sed 's/.*: //')" = "$2" ]; }     # PID LIST

await found
a=$(number 'sleep 701') b=$(number 'sleep 702') c=$(number 'sleep 703')
[ "$(cut -d' ' -f1 "/proc/$a/ssi")" = n01 ]
[ "$(ps -o user:10= -p "$b" | tr -d ' ')" = 1234 ]
[ "$(pgrep -u 1234 -x sleep | grep -c "^$b$")" = 1 ]
pstree -p | grep -q "sleep($a)"
[ "$(cat /proc/ssi/age)" -lt 3000 ]

# Each as its node has it.
FIELDS=stat=,ni=,vsz=,user:10=,nlwp=,comm=,args=
there() { on_node "$1" ps -o "$2" -p "$(cut -d' ' -f2 "/proc/$3/ssi")" | sed 's/^ *//'; }     # NODE FIELDS PID
as_there() { [ "$(ps -o "$FIELDS" -p "$2" | sed 's/^ *//')" = "$(there "$1" "$FIELDS" "$2")" ]; }     # NODE PID
await as_there n01 "$a"
await as_there n02 "$b"
await as_there n02 "$c"
cpus=$(SSI_VIEW=local nproc --all) first2=$((cpus + $(on_node n01 grep -c ^processor /proc/cpuinfo)))
[ "$(ps -o psr= -p "$c" | tr -d ' ')" = $((first2 + $(there n02 psr= "$c"))) ]
[ $(($(ps -o etimes= -p "$c") - $(there n02 etimes= "$c"))) -le 2 ]

# The sums.
memory_of() { awk '/^MemTotal:/ { print $2 }'; }
memory=$(memory_of </proc/ssi/local/meminfo) all=$cpus
for node; do memory=$((memory + $(on_node "$node" cat /proc/meminfo | memory_of))) all=$((all + $(on_node "$node" grep -c ^processor /proc/cpuinfo))); done
[ "$(free -k | awk '/^Mem:/ { print $2 }')" = "$memory" ]
vmstat -s | awk -v memory="$memory" '/total memory/ { d = $1 - memory; n = d * d <= 64 } END { exit !n }'       # it reckons in floats
[ "$(vmstat 1 2 | wc -l)" = 4 ]
[ "$(nproc --all)" = "$all" ]
[ "$(lscpu | awk '/^CPU\(s\):/ { print $2 }')" = "$all" ]
[ ! -d /sys/devices/system/node ] || [ "$(lscpu | awk '/^NUMA node\(s\):/ { print $3 }')" -gt $# ]
since() { date -d "$(uptime -s)" +%s; }
d=$(($(since) - $(SSI_VIEW=local since)))
[ $((d * d)) -le 4 ]
uptime | awk -v one="$(SSI_VIEW=local awk '{ print $1 }' /proc/loadavg)" '{ gsub(",", ""); exit !($(NF - 2) > 0 && $(NF - 2) >= one - 1) }'

# Who works, and how much.
spinner=$(number spinner)
comm=$(ps -o comm= -p "$spinner")
works() { pidstat -u -p "$1" 1 1 | awk -v pid="$1" '$1 == "Average:" && $3 == pid { n = $4 > 0 } END { exit !n }'; }
await works "$spinner"
pidstat -p "$spinner" | awk -v comm="$comm" -v first="$first2" '$NF == comm { n = $(NF - 1) >= first } END { exit !n }'
pidstat -r -p "$spinner" | awk -v comm="$comm" -v there="$(there n02 vsz=,rss= "$spinner")" '
	$NF == comm { split(there, t); d = $(NF - 2) - t[2]; n = $(NF - 3) == t[1] && d * d <= 1024 * 1024 } END { exit !n }'
[ $(($(ps -o cputimes= -p "$spinner") - $(there n02 cputimes= "$spinner"))) -le 2 ]
top -b -n 1 -p "$spinner" | awk -v pid="$spinner" -v ni="$(there n02 ni= "$spinner")" '$1 == pid { n = $4 == ni && $8 == "R" } END { exit !n }'
htop_shows spinner

# Signals: what they do is seen, here and there.
kill -0 "$a"
kill -STOP "$a"
await stat_is "$a" T
[ "$(there n01 stat= "$a" | cut -c1)" = T ]
kill -CONT "$a"
await stat_is "$a" S

sibling=$(number '/sleeper 704')
killall -STOP sleeper
await stat_is "$sibling" T
killall -KILL sleeper
await is_over "$sibling"

# Priorities and processors.
renice 7 -p "$a" >/dev/null
await nice_is "$a" 7
[ "$(there n01 ni= "$a")" = 7 ]
first=$(taskset -pc "$a" | sed 's/.*: //; s/[-,].*//')
taskset -pc "$first" "$a" >/dev/null
await cpus_are "$a" "$first"
on_node n01 taskset -pc "$(cut -d' ' -f2 "/proc/$a/ssi")" | grep -q ": $((first - cpus))$"

# A user: his own, and nobody else's.
user() { setpriv --reuid=1234 --regid=1234 --clear-groups "$@"; }
says 'not permitted' user kill -TERM "$a"
says 'ermi' user renice -5 -p "$c"
user kill -TERM "$b"
await is_over "$b"

pkill -9 -f '^sleep 703$' || :
await is_over "$c"
kill "$a" "$spinner"
await is_over "$spinner"
await is_over "$a"
await says 'No such process' kill -0 "$b"
