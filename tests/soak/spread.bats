#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# This whole project, built by compilers on nodes, and all its unit tests: minutes of it. scripts/check --long runs it.
bats_require_minimum_version 1.5.0

load ../bats/bootsvc.bash

export CASES=../bats/load-cases.bash

@test "spread: all of the project, and all its unit tests" { NET_SECONDS=3000 in_net case_whole; }
