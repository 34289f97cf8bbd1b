#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# ps, top and kill over nodes: the real daemon and real agents. What each test does stands in procs-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash
# shellcheck disable=SC2034       # in_net reads it
CASES=procs-cases.bash

@test "ps: what the nodes themselves see, each process under one number, and the same again" { in_net case_ps; }
@test "top: who computes is first, with what it uses; a terminal is left as it was" { in_net case_top; }
@test "nice values and processors of one's own processes, and no one else's" { in_net case_act; }
@test "a job has one number everywhere, and a signal to it is its own" { in_net case_job; }
@test "kill: one's own, by whom it may be, on its node, and nobody else by an old number" { in_net case_kill; }
