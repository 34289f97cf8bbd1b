#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What many jobs leave behind, in the real daemon and in real agents: nothing. scripts/check --long does the same with 500 at once and 10,000 in a row.
# What the test does stands in leak-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash

export CASES=leak-cases.bash

@test "many jobs: no descriptor, process, folder, blob, control group or memory of theirs is left, on nodes and master" { NET_SECONDS=${LEAK_SECONDS:-100} in_net case_leak; }
