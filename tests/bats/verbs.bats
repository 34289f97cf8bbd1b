#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Every verb of every program, as the programs themselves list them: help on standard output and status 0; a wrong option, a missing or a
# surplus word on standard error, status 2, and nothing on standard output. The programs are those in PATH.
# shellcheck disable=SC2030,SC2031 # each test is a subshell of its own, and is meant to be
bats_require_minimum_version 1.5.0

programs=(ssi ssi-bootsvc ssi-mkimage)
others=(ssi-init ssi-agent)

# Call a function with PROGRAM, VERB and its ARGS for every verb.
each_verb() {
	local program kind name args n
	for program in "${programs[@]}"; do
		n=0
		while IFS=$'\t' read -r kind name args _; do
			[ "$kind" = verb ] || continue
			n=$((n + 1))
			"$1" "$program" "$name" "$args" || { echo "$program $name: $1 failed" >&2; return 1; }
		done < <("$program" --complete-table)
		[ "$n" -gt 0 ] || { echo "$program lists no verb" >&2; return 1; }
	done
}

refused() { # WORDS...: status 2, one line or two on standard error that name the program, nothing on standard output
	run --separate-stderr "$@"
	[ "$status" -eq 2 ] || { echo "$*: status $status" >&2; return 1; }
	[ -z "$output" ] || { echo "$*: wrote to standard output: $output" >&2; return 1; }
	[[ "$stderr" == "$1: "* ]] || { echo "$*: said: $stderr" >&2; return 1; }
}

helps() {
	local -a verb
	read -ra verb <<<"$2"
	run --separate-stderr "$1" "${verb[@]}" --help
	[ "$status" -eq 0 ] && [ -z "$stderr" ] && [[ "$output" == "Usage: $1 $2 "* ]] || return 1
	run --separate-stderr "$1" "${verb[@]}" -h
	[ "$status" -eq 0 ] && [[ "$output" == "Usage: $1 $2 "* ]]
}

refuses_options() {
	local -a verb
	read -ra verb <<<"$2"
	refused "$1" "${verb[@]}" --no-such-option && refused "$1" "${verb[@]}" -Q && refused "$1" "${verb[@]}" -o yaml
}

refuses_words() {
	local -a verb args
	read -ra verb <<<"$2"
	read -ra args <<<"$3"
	if [[ "$3" != - && "$3" != \[* ]]; then
		refused "$1" "${verb[@]}" || return 1          # the first word is required
	fi
	if [[ "${3%]}" != *... ]]; then
		[[ "$3" == - ]] && args=()
		refused "$1" "${verb[@]}" "${args[@]}" one-too-many || return 1
	fi
}

in_the_manual() {
	local page
	page=$(echo "$BATS_TEST_DIRNAME"/../../man/"$1".[0-9].scd)
	grep -q "^\*$2\*" "$page" || { echo "$page has no *$2*" >&2; return 1; }
}

@test "every verb: --help" { each_verb helps; }
@test "every verb: a wrong option" { each_verb refuses_options; }
@test "every verb: too few and too many words" { each_verb refuses_words; }
@test "every verb is in its program's manual page" { each_verb in_the_manual; }

@test "every check is in the manual page" {
	local name
	run --separate-stderr ssi-bootsvc check no-such-check
	for name in ${stderr##*there are }; do
		name=${name%,}
		grep -q "^\*$name\*" "$BATS_TEST_DIRNAME/../../man/ssi-bootsvc.8.scd"
	done
}

@test "every program: --help, --version, no verb, a wrong one" {
	for program in "${programs[@]}" "${others[@]}"; do
		run --separate-stderr "$program" --help
		[ "$status" -eq 0 ]
		[ -n "$output" ]
		[ -z "$stderr" ]
		run --separate-stderr "$program" --version
		[ "$status" -eq 0 ]
		[ -n "$output" ]
		[ -z "$stderr" ]
		run --separate-stderr "$program" --no-such-option
		[ "$status" -eq 2 ]
		[ -z "$output" ]
		[ -n "$stderr" ]
	done
	for program in "${programs[@]}"; do
		refused "$program"
		refused "$program" no-such-verb
	done
}

@test "a verb nearly right is named" {
	run --separate-stderr ssi sttus
	[[ "$stderr" == *"did you mean 'status'"* ]]
	run --separate-stderr ssi node lst
	[[ "$stderr" == *"did you mean 'node list'"* ]]
}

@test "words that are checked before anything is asked: status 2" {
	export SSI_SOCKET=/nonexistent/socket
	refused ssi node power n01 explode
	refused ssi node set n01 nothing
	refused ssi node set n01 image=a image=b
	refused ssi machine rm nonsense
	refused ssi exec 'n[' true
	refused ssi exec n01 --
	refused ssi node list --state sleeping
	refused ssi-bootsvc events --node 'n[3-1]'
	refused ssi-bootsvc events --since yesterday
	refused ssi-bootsvc events --limit -1
	refused ssi-bootsvc check no-such-check
	refused ssi-bootsvc start --foreground --http-port 70000
}

@test "no daemon: every verb that needs one says so, and how to start it" {
	export SSI_SOCKET=/nonexistent/socket
	for words in "status" "node list" "node show n01" "node set n01 image=x" "node power n01 on" "node reboot n01" "node fence n01" "machine list" \
		"machine rm 52:54:00:00:00:01" "exec n01 true"; do
		# shellcheck disable=SC2086
		run --separate-stderr ssi $words
		[ "$status" -eq 1 ]
		[ -z "$output" ]
		[[ "$stderr" == "ssi: ssi-bootsvc is not running on this host"*"start it with"* ]]
	done
	for verb in stop reload status events; do
		run --separate-stderr ssi-bootsvc $verb --run "$BATS_TEST_TMPDIR"
		[ "$status" -eq 1 ]
		[ -z "$output" ]
		[[ "$stderr" == *"is not running on this host"* ]]
	done
}
