#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# ssi-init as a person meets it: not PID 1. In PATH; its helpers beside it in libexec.
bats_require_minimum_version 1.5.0

setup() {
	init=$(command -v ssi-init)
	helpers=$(dirname "$init")/../libexec/ssi
}

@test "ssi-init --help: standard output, status 0, every verb" {
	run --separate-stderr "$init" --help
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[[ "$output" == *reboot* && "$output" == *poweroff* ]]
}

@test "ssi-init VERB --help: standard output, status 0" {
	for verb in reboot poweroff; do
		run --separate-stderr "$init" "$verb" --help
		[ "$status" -eq 0 ]
		[ -z "$stderr" ]
		[[ "$output" == *"$verb"* ]]
	done
}

@test "ssi-init with a wrong option, verb or word: standard error, status 2, nothing asked of PID 1" {
	for words in --nonsense "reboot --nonsense" halt "reboot now" ""; do
		# shellcheck disable=SC2086 # several words
		run --separate-stderr "$init" $words
		[ "$status" -eq 2 ]
		[ -z "$output" ]
		[ -n "$stderr" ]
	done
}

@test "ssi-init --version" {
	run "$init" --version
	[ "$status" -eq 0 ]
	[[ "$output" == ssi-init* ]]
}

@test "the helpers say whose they are" {
	for helper in init-drivers init-image init-iscsi init-line; do
		run --separate-stderr "$helpers/$helper"
		[ "$status" -eq 2 ]
		[[ "$stderr" == *"ssi-init(8)"* ]]
	done
}
