#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Failover with the real daemon, nodes without machines (sim-nodes) and a fence agent that switches those. What each test does stands in failover-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash
# shellcheck disable=SC2034       # in_net reads it
CASES=failover-cases.bash

@test "a node vanishes: its spare is it, with the next incarnation; its machine has failed until it is accepted" { NET_SECONDS=90 in_net case_auto; }
@test "ask: nothing happens until somebody says so, by name of a machine or without" { NET_SECONDS=90 in_net case_ask; }
@test "the delay: who comes back by himself is left alone" { NET_SECONDS=90 in_net case_delay; }
@test "switched off by hand: that is no failure" { NET_SECONDS=90 in_net case_hand; }
@test "two fail, one spare: the second waits, and is taken up when a machine is accepted" { NET_SECONDS=90 in_net case_two; }
@test "no spare: its own machine comes back" { NET_SECONDS=90 in_net case_own_machine; }
@test "all vanish at once: an alarm, nobody is fenced, everyone comes back" { NET_SECONDS=90 in_net case_network; }
@test "the limit: no more than so many in so long, the next waits for a word" { NET_SECONDS=90 in_net case_limit; }
@test "spares: a number fills up, named ones are entered; a failed machine gets nothing" { NET_SECONDS=90 in_net case_spares; }
@test "a spare that cannot be switched on: the next one, and why the first failed" { NET_SECONDS=120 in_net case_bad_spare; }
@test "a node that is up is moved: shut down, fenced, on another machine; the one it had is a spare" { NET_SECONDS=90 in_net case_move; }
@test "what nodes.d fixes does not undo a failover, over restarts and reloads; something new there does" { NET_SECONDS=120 in_net case_fixed; }
@test "killed with -9 at each step of a failover, and started again: it is finished" { NET_SECONDS=600 in_net case_crash; }
@test "failover verbs: what is refused, and why" { NET_SECONDS=60 in_net case_refused; }
@test "a fence that cannot be confirmed: who has nothing to lose goes on, who shares files waits" { NET_SECONDS=120 in_net case_not_fenced; }
