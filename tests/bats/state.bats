#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# State volumes, by the real daemon. What each test does stands in state-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash
export CASES=state-cases.bash

@test "a volume is made at first use: sparse, nobody else's to read, named in the boot script" { in_net case_first_use; }
@test "the same with XFS" { in_net case_first_use_xfs; }
@test "the daemon is killed while a volume is made, again and again: it is whole in the end" { in_net case_killed_while_made; }
@test "a volume whose file is gone is not made anew; one that the store does not know is not made over" { in_net case_lost_file; }
@test "a volume is its node's while it runs; one that was not closed is checked before it is given out again" { NET_SECONDS=90 in_net case_check; }
@test "a damaged volume is not given out, and a snapshot takes its place" { NET_SECONDS=90 in_net case_damaged; }
@test "state_on_upgrade = ask: nothing is mixed before somebody has decided" { NET_SECONDS=120 in_net case_upgrade_ask; }
@test "state_on_upgrade = keep and fresh, decided when the boot is answered, done when it comes" { NET_SECONDS=120 in_net case_upgrade_policy; }
@test "snapshots: by content; half of one is never seen; rm and restore when the node is off" { NET_SECONDS=120 in_net case_snapshot; }
@test "a layer that is kept over another generation: what doc/state.md says that it does" {
	run in_net case_overlay
	[ "$status" -ne 77 ] || skip "no overlay can be mounted here"
	echo "$output"
	[ "$status" -eq 0 ]
}
