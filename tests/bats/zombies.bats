#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Who waits for a program that travelled sees how it ended, whatever breaks on the way, and nothing is left over. What each test does stands in
# zombies-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash

export CASES=zombies-cases.bash NET_SECONDS=300

@test "zombies: five parents, four ends, four states of the link" { in_net case_matrix; }
@test "zombies: where another agent or another daemon mends it" { in_net case_others; }
