# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Figures: collected by name, one value a line, and shown as medians against targets. Sourced by the programs of bench/.
#
# WORK is the program's scratch directory. The median says what usually happens, the range how far this machine was disturbed.

FIGURES=$WORK/figures
mkdir -p "$FIGURES"

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

usage_error() {
	echo "${0##*/}: $*" >&2
	echo "'${0##*/} --help' says how it is used." >&2
	exit 2
}

need() { # TOOL...
	local tool
	for tool; do
		command -v "$tool" >/dev/null || die "$tool is missing; scripts/deps installs what is needed"
	done
}

number() { # OPTION VALUE MAX
	if [[ ! $2 =~ ^[1-9][0-9]{0,5}$ ]] || [ "$2" -gt "$3" ]; then
		usage_error "$1 takes a number from 1 to $3, not '$2'"
	fi
}

calc() { # EXPRESSION
	awk "BEGIN { printf \"%.3f\", $1 }"
}

figure() { # NAME VALUE
	printf '%s\n' "$2" >>"$FIGURES/$1"
}

have() { # NAME
	[ -s "$FIGURES/$1" ]
}

median() { # NAME
	sort -g "$FIGURES/$1" | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# One line of the table: what, the median, the smallest and the largest.
row() { # LABEL NAME UNIT DECIMALS
	have "$2" || return 0
	sort -g "$FIGURES/$2" | awk -v label="$1" -v median="$(median "$2")" -v unit="$3" -v decimals="$4" '
		NR == 1 { low = $1 } { high = $1 }
		END { f = "%." decimals "f"; printf "%-58s %9s %-3s  (" f " to " f ", %d runs)\n", label, sprintf(f, median), unit, low, high, NR }'
}

# One line against a target; a miss is remembered for the exit status.
MISSED=0
target() { # LABEL VALUE LIMIT UNIT
	if awk "BEGIN { exit !($2 <= $3) }"; then
		printf '%-58s %9s %-3s  at most %s: reached\n' "$1" "$2" "$4" "$3"
	else
		printf '%-58s %9s %-3s  at most %s: MISSED\n' "$1" "$2" "$4" "$3"
		MISSED=1
	fi
}

# The same where more is better.
target_least() { # LABEL VALUE LIMIT UNIT
	if awk "BEGIN { exit !($2 >= $3) }"; then
		printf '%-58s %9s %-3s  at least %s: reached\n' "$1" "$2" "$4" "$3"
	else
		printf '%-58s %9s %-3s  at least %s: MISSED\n' "$1" "$2" "$4" "$3"
		MISSED=1
	fi
}

met() {
	[ "$MISSED" = 0 ]
}

# Each line of standard input with the time it came before it: seconds since the epoch, to the microsecond.
stamp() {
	local line
	while IFS= read -r line || [ -n "$line" ]; do
		printf '%s %s\n' "$EPOCHREALTIME" "${line%$'\r'}"
	done
}

# Ask again until a command succeeds, for so many seconds.
await() { # SECONDS COMMAND...
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# What the figures were taken on.
machine_line() {
	printf '%s, %s processors, %s GiB, %s, load %s\n' "$(date +%F)" "$(nproc)" "$(awk '/MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" \
		"$(. /etc/os-release && echo "$PRETTY_NAME")" "$(cut -d' ' -f1-2 /proc/loadavg)"
}
