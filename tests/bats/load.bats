#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What nodes do, told each second by real agents to the real daemon, and where programs are placed by it. What each test does stands in load-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash

export CASES=load-cases.bash

@test "load: every node's, a second old; over an agent and a daemon that die; gone with the node" { in_net case_load; }
@test "policies: shipped, over them policy.d while the daemon runs; versions; a mistake changes nothing" { in_net case_policies; }
@test "policy show: the nodes in the order in which they would be chosen, and why the others are not" { in_net case_policy_show; }
@test "placed: by policies, never on a drained node, and said why nowhere" { in_net case_placed; }
@test "placed: in the system that is named, where there are several; on ten thousand nodes at once" { in_net case_systems; }
@test "spread: programs of a shell are placed, where the nodes share their working directory; else they run here" { in_net case_spread; }
@test "spread: a project is built by make, its compilers on all nodes, one of them lost meanwhile; its tests pass" {
	[ -c /dev/fuse ] || skip "needs /dev/fuse"
	NET_SECONDS=110 in_net case_build
}
