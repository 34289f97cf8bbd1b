#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Bash completion as installed, asked as bash asks it. Names of nodes come from a control server that answers from files.

setup() {
	local build
	build=$(dirname "$(command -v ssi)")/../../..
	cp -r "$BATS_TEST_DIRNAME/ssi" "$BATS_TEST_TMPDIR/answers"
	export SSI_SOCKET=$BATS_TEST_TMPDIR/sock
	mkfifo "$BATS_TEST_TMPDIR/ready"
	"$build/tests/fake-bootsvc" "$SSI_SOCKET" "$BATS_TEST_TMPDIR/answers" >"$BATS_TEST_TMPDIR/ready" 3>&- &
	fake=$!
	read -r -t 10 _ <"$BATS_TEST_TMPDIR/ready"
	# shellcheck disable=SC1091 # it is the installed one
	source "$(dirname "$(command -v ssi)")/../share/bash-completion/completions/ssi-bootsvc"
}

teardown() {
	kill "$fake" 2>/dev/null || true
	wait "$fake" 2>/dev/null || true
}

offers() { # WORD... : what is offered for the last word, sorted
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_ssi
	offered=$(printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd' ')
	[ -n "${want+x}" ] || return 0
	[ "$offered" = "$want" ] || { echo "offered: $offered" >&2; return 1; }
}

@test "verbs, of one word and of two" {
	want="exec job jobs kill load machine node policy ps run shell status top" offers ssi ""
	want="accept detach drain failover fence list move power reboot set show state" offers ssi node ""
	want="show" offers ssi -o json node sh
	want="accept list restore rm show snapshot" offers ssi node state ""
	want="check events reload start status stop" offers ssi-bootsvc ""
	want="" offers ssi nothing ""
}

@test "options of the verb and the program, and their values" {
	want="--help --names --output --socket --state --system --version" offers ssi node list --
	want="json text" offers ssi status -o ""
	want="detached" offers ssi node list --state de
	want="--since" offers ssi-bootsvc events --si
	want="nfsd none" offers ssi-bootsvc start --exports ""
}

@test "nodes, from the daemon; behind a comma too" {
	want="n01 n02 n03 n04 n05 n06" offers ssi node show ""
	want="n01,n04" offers ssi node power n01,n04
	want="n01 n02 n03 n04 n05 n06" offers ssi node state show ""
	want="before-20261101-101500.123 before-tuning" offers ssi node state restore n01 ""
	want="fresh keep" offers ssi node state accept n01 ""
	want="n01 n02 n03 n04 n05 n06" offers ssi-bootsvc events --node ""
}

@test "images, of the store that is meant, and nothing that is being built" {
	local store=$BATS_TEST_TMPDIR/store
	mkdir -p "$store"/{compute/sha256-12,master,.tmp-abc}
	want="compute master" offers ssi-mkimage --store "$store" list ""
	want="compute master" offers ssi-mkimage list --store = "$store" ""
	want="compute" offers ssi-mkimage --store "$store" show c
	want="compute/sha256-12" offers ssi-mkimage --store "$store" show compute/
	if [ "$(id -u)" != 0 ]; then
		mkdir -p "$BATS_TEST_TMPDIR/data/ssi"
		mv "$store" "$BATS_TEST_TMPDIR/data/ssi/images"
		XDG_DATA_HOME=$BATS_TEST_TMPDIR/data want="compute master" offers ssi-mkimage list ""
	fi
}

@test "what a word of the synopsis names: alternatives, commands, nothing" {
	want="off on" offers ssi node power n01 o
	want="" offers ssi node set n01 ""
	offers ssi exec n01 unam
	[[ " $offered " == *" uname "* ]]
}
