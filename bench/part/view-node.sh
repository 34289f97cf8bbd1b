# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SECONDS [CARD]: what a node's agent costs, on that node: figures, "NAME VALUE" each. Its text is run there by bench/view.
#
# agent and top: of a processor, in percent; rss: MiB; bytes: KiB a second over a network card, both ways (without CARD the first one). Nothing is said before
# the end, as it would be counted.

ticks() { # PID: processor time so far, in s
	sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f", ($12 + $13) / hz }'
}

# What goes over the loopback comes there, too.
bytes() {
	tr ':' ' ' </proc/net/dev | awk -v card="$2" 'NR > 2 && (card ? $1 == card : $1 != "lo") { print $2 + ($1 == "lo" ? 0 : $10); exit }'
}

share() { # PID SECONDS
	local before
	before=$(ticks "$1")
	sleep "$2"
	awk "BEGIN { printf \"%.3f\", ($(ticks "$1") - $before) * 100 / $2 }"
}

# What the node has not read yet of these programs comes over the same card: so once before it counts.
agent=$(pgrep -x ssi-agent | head -n 1)
share "$agent" 1 >/dev/null
bytes "$@" >/dev/null
before=$(bytes "$@")
cost=$(share "$agent" "$1")
after=$(bytes "$@")
top -b -d 1 -w 200 >/dev/null &
sleep 3                          # the first picture is another matter
top=$(share $! "$1")
kill $!
echo "agent $cost"
awk "BEGIN { printf \"bytes %.3f\n\", ($after - $before) / 1024 / $1 }"
awk '/^VmRSS/ { printf "rss %.1f\n", $2 / 1024 }' "/proc/$agent/status"
echo "once $top"
