#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The merged view over the real daemon and real agents. What each test does stands in view-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash
# shellcheck disable=SC2034       # in_net reads it
CASES=view-cases.bash NET_SECONDS=200

setup() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	[ -c /dev/fuse ] || skip "needs /dev/fuse"
}

@test "ps, kill, renice, taskset, pgrep, pkill on processes of nodes, by whom it may be" { in_net case_view; }

@test "a job is shown once, under its deputy's number; signals, priority and processors reach it there" { in_net case_deputies; }
