#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Who stands for a job when its machine, or the daemon alone, was away. What each test does stands in deputies-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash

export CASES=deputies-cases.bash

@test "deputies: the machine's next life has them again, with the same numbers, and they die as their jobs do" { in_net case_next_life; }
@test "deputies: one that is gone when the daemon comes back takes its job along" { in_net case_daemon_away; }
@test "deputies: --restart: what ran on a node that is lost is started again, and who waits does not see it" { in_net case_restart; }
