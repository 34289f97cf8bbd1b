# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Ours: one diskless machine of the lab, from power-on to joined, and where the time goes. Sourced by boot.
#
# Three clocks, joined at their seams: this host's, for what the console says (each line gets the time it came) and for the event "join"; the
# node's own CLOCK_BOOTTIME, which starts with the kernel, for the stages of ssi-init (/run/ssi/timeline).
#
#   power-on      script asked for      all fetched      kernel's clock zero      ssi-init's first instruction      joined
#      | firmware, DHCP |      fetch         |   unpacking     |       kernel              |         stages             |

# The time of the first line on the console, after a time, that has a pattern.
console_time() { # PATTERN SINCE
	awk -v since="$2" -v pattern="$1" '$1 >= since && $0 ~ pattern { print $1; exit }' "$WORK/console"
}

# When the kernel's clock was zero: no line comes before its time, the least late one tells.
console_zero() {
	awk '$2 == "[" && $3 ~ /^[0-9]+\.[0-9]+\]$/ { z = $1 - $3; if (!n++ || z < least) least = z } END { if (n) printf "%.6f", least }' "$WORK/console"
}

span() { # FIGURE FROM TO
	[ -z "$2" ] || [ -z "$3" ] || figure "$1" "$(calc "$3 - $2")"
}

# The stages, each with its length; what of the way from ssi-init's first instruction to joined is neither drivers nor modules nor the mount.
# Stages run side by side: the time of a span counts once.
ours_stages() { # TIMELINE JOINED-MS
	awk -v joined="$2" '
		{ printf "stage-%s %.3f\n", $1, ($3 - $2) / 1000; from[$1] = $2; to[$1] = $3 }
		END {
			begin = from["init"]
			for (t = begin; t < joined; t++) {
				other = 0
				for (s in from)
					if ((s == "drivers" || s == "modules" || s == "root") && t >= from[s] && t < to[s])
						other = 1
				own += !other
			}
			printf "first %.3f\nown %.3f\ntojoined %.3f\n", begin / 1000, own / 1000, (joined - begin) / 1000
			mounted = to["overlay"] ? to["overlay"] : to["root"]
			printf "nfs %.3f\nmounted %.3f\n", to["root"] / 1000, mounted / 1000
		}' "$1" | while read -r name value; do
		figure "$name" "$value"
	done
}

ours_one() { # NUMBER
	local began joined script start zero timeline=$WORK/timeline tail
	: >"$WORK/console"
	touch "$LAB/m01/console.log"
	tail -n 0 -F "$LAB/m01/console.log" 2>/dev/null > >(stamp >"$WORK/console") &
	tail=$!
	began=$EPOCHREALTIME
	machine_start m01
	await 180 event_came '(re)?join' "$began" || die "the node did not join: $(tail -n 2 "$WORK/console")"
	joined=$(event_time '(re)?join' "$began")
	master ssi exec --no-prefix n01 -- cat /run/ssi/timeline >"$timeline" || die "no timeline"
	figure ours "$(calc "$joined - $began")"
	script=$(console_time 'http://.*/boot/' "$began")
	start=$(console_time '/initramfs.*ok' "$began")
	zero=$(console_zero)
	span firmware "$began" "$script"
	span fetch "$script" "$start"
	span unpack "$start" "$zero"
	ours_stages "$timeline" "$(calc "($joined - $zero) * 1000")"
	progress "ours $1: joined after $(tail -n 1 "$FIGURES/ours") s"
	kill "$tail"
	began=$EPOCHREALTIME
	machine_kill m01
	await 30 event_came detach "$began" || die "n01 is not detached"
}

ours_measure() { # RUNS
	local i
	for ((i = 1; i <= $1; i++)); do
		ours_one "$i"
	done
}
