#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What a shell and a terminal do with a program that travels is what they do with one that does not, or stands in doc/differences.md: the cases of
# tests/conformance, each run here and on a real node.
bats_require_minimum_version 1.5.0

load bootsvc.bash

export CASES=conformance-cases.bash NET_SECONDS=110

@test "conformance: pipes and redirections" { in_net case_table pipes; }
@test "conformance: arguments, environment, status" { in_net case_table status; }
@test "conformance: signals" { in_net case_table signals; }
@test "conformance: jobs of a shell, xargs, timeout, nohup" { in_net case_table jobs; }
@test "conformance: terminals" { in_net case_table terminal; }
@test "conformance: programs of a whole screen" { in_net case_table screen; }
@test "conformance: what differs, and is listed" { in_net case_table differs; }
@test "conformance: each listed difference has its case" {
	. tests/conformance/run.bash
	conformance_listed doc/differences.md
}
