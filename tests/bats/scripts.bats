#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The scripts' own manners: help on standard output, mistakes on standard error with status 2, and nothing started by either.
bats_require_minimum_version 1.5.0
# shellcheck disable=SC2154 # run sets stderr

setup() {
	SCRIPTS=$BATS_TEST_DIRNAME/../../scripts
	export SSI_LAB=scripts-bats XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR
}

refused() { # COMMAND...
	run --separate-stderr "$@"
	[ "$status" -eq 2 ] && [ -z "$output" ] && [ -n "$stderr" ]
}

@test "--help of every script: standard output, status 0" {
	local script
	for script in ssi-lab demo check deps build images; do
		run --separate-stderr "$SCRIPTS/$script" --help
		[ "$status" -eq 0 ]
		[[ $output == usage:* ]]
		[ -z "$stderr" ]
	done
}

@test "a wrong option of every script: standard error, status 2" {
	local script
	for script in ssi-lab demo check deps build images; do
		refused "$SCRIPTS/$script" --wrong
	done
}

@test "check refuses a part that does not exist, before it does anything" {
	refused "$SCRIPTS/check" --only lba
	refused "$SCRIPTS/check" --only script,lba
	refused "$SCRIPTS/check" --only ''
	refused "$SCRIPTS/check" --only
}

@test "check counts the results of a log in any bytes" {
	# shellcheck source=/dev/null # functions of check's
	source <(sed -n '/^declare -A TAP/p; /^tap.*() {/,/^}/p' "$SCRIPTS/check")
	# shellcheck disable=SC2317 # tap calls it
	result() { echo "$1 $2"; }
	export LC_ALL=C.UTF-8
	run tap x < <(printf '1..2\nhalf a character: \xff\xc3\nok 1 - a\nnot ok 2 - b\n')
	[ "$output" = $'pass x: a\nfail x: b' ]
}

@test "check tells what runs side by side apart, and what was announced and never came" {
	# shellcheck source=/dev/null # functions of check's
	source <(sed -n '/^declare -A TAP/p; /^TAP_OVER/p; /^tap.*() {/,/^}/p; /^side_by_side() {/,/^}/p; /^lanes() {/,/^}/p' "$SCRIPTS/check")
	# shellcheck disable=SC2317 # they call it
	result() { echo "$1 $2"; }
	# shellcheck disable=SC2317
	one() { printf '1..2\n'; sleep 0.2; if [ "$1" = b ]; then printf 'not ok 1 - x\n'; else printf 'ok 1 - x\nok 2 - y\n'; fi; }
	# shellcheck disable=SC2034 # lanes reads it
	LOGS=$BATS_TEST_TMPDIR
	run side_by_side 2 one t a b c
	[ "$(sort <<<"$output")" = $'fail t/b: 1 of 2 tests were never run\nfail t/b: x\npass t/a: x\npass t/a: y\npass t/c: x\npass t/c: y' ]
	[ "$(<"$BATS_TEST_TMPDIR/t-b.log")" = $'1..2\nnot ok 1 - x' ]
}

@test "--help of every verb of ssi-lab" {
	local verb
	for verb in up down status power bmc link device nic console log exec ssh list; do
		run --separate-stderr "$SCRIPTS/ssi-lab" "$verb" --help
		[ "$status" -eq 0 ]
		[[ $output == usage:* ]]
	done
}

@test "ssi-lab refuses what it does not understand, and starts nothing" {
	refused "$SCRIPTS/ssi-lab"
	refused "$SCRIPTS/ssi-lab" bogus
	refused "$SCRIPTS/ssi-lab" up -n many
	refused "$SCRIPTS/ssi-lab" up -n 65
	refused "$SCRIPTS/ssi-lab" up --firmware openboot
	refused "$SCRIPTS/ssi-lab" up --nic e1000e,ne2000
	refused "$SCRIPTS/ssi-lab" up --known 4 -n 3
	refused "$SCRIPTS/ssi-lab" up --store /nowhere
	refused "$SCRIPTS/ssi-lab" up --memory much
	refused "$SCRIPTS/ssi-lab" power sideways m01
	refused "$SCRIPTS/ssi-lab" power on
	refused "$SCRIPTS/ssi-lab" bmc drunk m01
	refused "$SCRIPTS/ssi-lab" bmc dead
	refused "$SCRIPTS/ssi-lab" link impair m01 5
	refused "$SCRIPTS/ssi-lab" link impair m01 101 0
	refused "$SCRIPTS/ssi-lab" device add m01 gpu
	refused "$SCRIPTS/ssi-lab" device rm m01
	refused "$SCRIPTS/ssi-lab" --name '../x' status
	[ ! -e "$BATS_TEST_TMPDIR/ssi-lab-$(id -u)" ]
}

@test "ssi-lab without a lab: says so, status 1" {
	local verb
	for verb in down status "power on m01" "bmc lie m01" "log m01" "console m01" "exec master true" "link down master"; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr "$SCRIPTS/ssi-lab" $verb
		[ "$status" -eq 1 ]
		[[ $stderr == *"there is no lab scripts-bats"* ]]
	done
}

@test "ssi-lab takes no directory that is another user's or a link" {
	local home
	home=$BATS_TEST_TMPDIR/ssi-lab-$(id -u)
	mkdir -p "$BATS_TEST_TMPDIR/elsewhere/scripts-bats"
	echo "touch $BATS_TEST_TMPDIR/was-run" >"$BATS_TEST_TMPDIR/elsewhere/scripts-bats/settings"
	ln -s "$BATS_TEST_TMPDIR/elsewhere" "$home"
	run --separate-stderr "$SCRIPTS/ssi-lab" status
	[ "$status" -eq 1 ]
	[[ $stderr == *"is a link"* ]]
	rm "$home"
	if [ "$(id -u)" = 0 ]; then
		mv "$BATS_TEST_TMPDIR/elsewhere" "$home"
		chown -R nobody "$home"
		run --separate-stderr "$SCRIPTS/ssi-lab" list
		[ "$status" -eq 1 ] && [[ $stderr == *"is another user's"* ]]
		chown -R root "$home"
		run --separate-stderr "$SCRIPTS/ssi-lab" list
		[ "$status" -eq 0 ] && [ "$output" = scripts-bats ]
	fi
	[ ! -e "$BATS_TEST_TMPDIR/was-run" ]
}

@test "ssi-lab up without images says how to make them, and leaves nothing" {
	mkdir "$BATS_TEST_TMPDIR/empty"
	run --separate-stderr "$SCRIPTS/ssi-lab" up --store "$BATS_TEST_TMPDIR/empty"
	[ "$status" -eq 1 ]
	[[ $stderr == *"scripts/images builds it"* ]]
	[ ! -e "$BATS_TEST_TMPDIR/ssi-lab-$(id -u)" ]
}
