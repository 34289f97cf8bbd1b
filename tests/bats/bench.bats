#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The programs that measure: their manners, and that bench/ccm runs through. What they measure is not judged here.
bats_require_minimum_version 1.5.0
# shellcheck disable=SC2154 # run sets stderr

setup() {
	TOP=$BATS_TEST_DIRNAME/../..
}

@test "--help of every program: standard output, status 0" {
	local program
	for program in boot reload sizes ccm roots failover rexec view; do
		run --separate-stderr "$TOP/bench/$program" --help
		[ "$status" -eq 0 ]
		[[ $output == usage:* ]]
		[ -z "$stderr" ]
	done
}

@test "ccm refuses what it does not understand, and starts nothing" {
	local wrong
	for wrong in --wrong "-n many" "-n 0" "--sizes 1,x" "--port 70000" "--out"; do
		# shellcheck disable=SC2086 # an option and its value
		run --separate-stderr "$TOP/bench/ccm" $wrong
		[ "$status" -eq 2 ]
		[ -z "$output" ]
		[ -n "$stderr" ]
	done
}

@test "ccm: every experiment runs through, the same bytes come back, tables and graphs are there" {
	# scripts/deps has installed what they need: without it this fails.
	[ -x "$TOP/build/bench/part/ccm-ends" ]
	command -v gnuplot
	# In a network of its own: neither a firewall of this machine nor whoever holds the port has a say.
	local how=(unshare --net)
	[ "$(id -u)" -eq 0 ] || how+=(--user --map-root-user)
	run --separate-stderr "${how[@]}" sh -c 'ip link set lo up && exec timeout 120 "$@"' - \
		"$TOP/bench/ccm" -n 20 --sizes 1,100,20000,1048576 --port 17711 --no-instructions --out "$BATS_TEST_TMPDIR"
	[ "$status" -le 1 ]                      # 1: a target was missed, which 20 messages do not decide
	[[ $output == *"at most 1.03: "* ]]
	[ "$(wc -l <"$BATS_TEST_TMPDIR/send.csv")" -eq 13 ]
	[ "$(wc -l <"$BATS_TEST_TMPDIR/call.csv")" -eq 13 ]
	[ "$(wc -l <"$BATS_TEST_TMPDIR/stream.csv")" -eq 4 ]
	[ "$(wc -l <"$BATS_TEST_TMPDIR/cast.csv")" -eq 6 ]
	grep -q '</svg>' "$BATS_TEST_TMPDIR/messages.svg"
	grep -q '</svg>' "$BATS_TEST_TMPDIR/calls.svg"
}
