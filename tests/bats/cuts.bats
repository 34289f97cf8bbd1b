#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What a program reads and writes while its node's connection breaks again and again, or its node for good. What each test does stands in cuts-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash

export CASES=cuts-cases.bash NET_SECONDS=300

@test "cuts: the connection of a node cut a hundred times in 100 MB there and back: byte-exact" { in_net case_hundred; }
@test "cuts: a node that is cut in the middle of output: what came is right, and that it is lost is said" { in_net case_middle; }
