# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab as the measuring programs use it: its verbs, and below them the parts that start a machine without the detour over its BMC, so that
# power-on is the moment QEMU starts. Sourced by boot.

SCRIPTS=$TOP/scripts
SSI_LAB_SELF=$SCRIPTS/ssi-lab
LAB_NAME=bench-$$
export SSI_LAB=$LAB_NAME
LAB=${XDG_RUNTIME_DIR:-/tmp}/ssi-lab-$(id -u)/$LAB_NAME
# shellcheck source=scripts/lab/basic.sh
. "$SCRIPTS/lab/basic.sh"
# shellcheck source=scripts/lab/space.sh
. "$SCRIPTS/lab/space.sh"
# shellcheck source=scripts/lab/machine.sh
. "$SCRIPTS/lab/machine.sh"
# shellcheck source=scripts/lab/device.sh
. "$SCRIPTS/lab/device.sh"
# shellcheck source=scripts/lab/link.sh
. "$SCRIPTS/lab/link.sh"

lab() {
	"$SSI_LAB_SELF" "$@" </dev/null
}

master() {
	lab exec master "$@"
}

# One node, which is machine m01, off.
lab_start() { # MIB
	lab up -n 1 --memory "$1" --init ssi "${LAB_OPTIONS[@]}" || die "no lab"
	lab_needed
	# Its events as they come, each with the time it came here.
	master ssi-bootsvc events -f -n 1 -o json 2>/dev/null | stamp >"$WORK/events" &
	EVENTS=$!
}

lab_end() {
	lab down 2>/dev/null
	[ -z "${EVENTS:-}" ] || wait "$EVENTS" 2>/dev/null
	EVENTS=''
}

# When an event of a kind came for node n01, among those after a time. Nothing if there was none.
event_time() { # KIND SINCE
	awk -v kind="\"kind\": *\"$1\"" -v since="$2" '$1 > since && $0 ~ kind && /"n01"/ { print $1; exit }' "$WORK/events"
}

event_came() { # KIND SINCE
	[ -n "$(event_time "$1" "$2")" ]
}
