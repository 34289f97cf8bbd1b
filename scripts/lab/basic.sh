# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What every part of ssi-lab needs: messages, bounded waits, files, the names of machines and images. Sourced by ssi-lab.

# shellcheck disable=SC2034       # ssi-lab uses it
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ssi

die() {
	echo "ssi-lab: $*" >&2
	exit 1
}

usage_error() {
	echo "ssi-lab: $*" >&2
	echo "'ssi-lab --help' says how it is used." >&2
	exit 2
}

# Ask again until a command succeeds, for so many seconds.
wait_until() { # SECONDS COMMAND...
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		sleep 0.05
	done
}

write_file() { # PATH TEXT
	printf '%s\n' "$2" >"$1.new" && mv "$1.new" "$1"
}

need_tools() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || die "$tool is missing; scripts/deps installs what is needed"
	done
}

# In /tmp anybody could have made our directory first; settings in it are run, and keys lie there.
home_ours() {
	[ ! -L "$SSI_LAB_HOME" ] || die "$SSI_LAB_HOME is a link: set XDG_RUNTIME_DIR to a directory of your own"
	[ ! -e "$SSI_LAB_HOME" ] || [ -O "$SSI_LAB_HOME" ] || die "$SSI_LAB_HOME is another user's: set XDG_RUNTIME_DIR to a directory of your own"
}

# What "up" was asked for, for the verbs that come later.
settings_write() {
	local name
	for name in "${!LAB_@}"; do
		printf '%s=%q\n' "$name" "${!name}"
	done >"$LAB/settings.new"
	mv "$LAB/settings.new" "$LAB/settings"
}

lab_needed() {
	[ -e "$LAB/settings" ] || [ -n "${SSI_LAB_INSIDE:-}" ] || die "there is no lab $LAB_NAME; '$0 up' starts one"
	[ -n "${SSI_LAB_INSIDE:-}" ] || space_alive || die "lab $LAB_NAME has died; '$0 --name $LAB_NAME down' clears it away"
	# shellcheck disable=SC1091
	. "$LAB/settings"
}

machines() {
	local dir
	for dir in "$LAB"/m[0-9]*/; do
		[ -d "$dir" ] && basename "$dir"
	done
}

machine_needed() { # MACHINE
	if [[ $1 =~ ^(master|m[0-9]+)$ ]] && [ -d "$LAB/$1" ]; then return; fi
	die "there is no machine '$1' in lab $LAB_NAME: it has master $(machines | tr '\n' ' ')"
}

# The directory of an image's current generation.
generation_dir() { # IMAGE
	local dir
	dir=$(readlink -e "$LAB_STORE/$1/current")
	[ -e "$dir/root.erofs" ] || die "no image '$1' in $LAB_STORE; scripts/images builds it"
	echo "$dir"
}
