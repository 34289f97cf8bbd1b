#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What one user may not do to another, nor to the node that his programs run on. What each test does stands in guard-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash

export CASES=guard-cases.bash NET_SECONDS=200

setup() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
}

@test "guard: a job's folder is not its user's to write, limits are lowered only, many connections keep nobody out" { in_net case_jobs; }
@test "guard: what acts in a view is root's alone, and for callers with the same numbers only" {
	[ -c /dev/fuse ] || skip "needs /dev/fuse"
	in_net case_view
}
