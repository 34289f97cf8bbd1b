#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The real daemon, on a network of its own. What each test does stands in bootsvc-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash

@test "a machine asks: its node, its incarnation, a new token each time; HEAD arms nothing" { in_net case_boot_script; }
@test "HTTP serves kernels, initramfs and roots, and nothing else to nobody else" { in_net case_http; }
@test "32 unknown machines at once get 32 different nodes" { in_net case_discover_32; }
@test "32 unknown machines at once, the daemon killed in the middle, again and again" { NET_SECONDS=120 in_net case_discover_32_killed; }
@test "kill -9 and started again: everything is known" { in_net case_restart; }
@test "reload with mistakes: all of them with file and line, nothing changed" { in_net case_reload_errors; }
@test "reload applies the difference and nothing else" { in_net case_reload_difference; }
@test "dnsmasq: strangers from the pool, nodes their address, a node is never a restart" { in_net case_dnsmasq; }
@test "dnsmasq comes back when it dies, and dies with the daemon" { in_net case_dnsmasq_dies; }
@test "discovery = ask, spare; binding, a swapped card, unbinding, forgetting" { in_net case_waiting; }
@test "node set: into a drop-in, checked with all the rest first" { in_net case_set; }
@test "an image that goes and comes back; a new generation" { in_net case_image; }
@test "root = ram: image, size and digest in the boot script, fetched and checked, and no export asked for" { in_net case_root_ram; }
@test "shared: folders that are there, in the boot script, and whose files the users are" { in_net case_shared; }
@test "a second daemon says what is in its way" { in_net case_second_daemon; }
@test "start in the background: status 0 once it serves, 1 when it does not" { in_net case_background; }
@test "two systems on two interfaces do not see each other" { in_net case_two_systems; }
@test "5,000 nodes: reload under a second, one changed under 50 ms" { NET_SECONDS=120 in_net case_large; }
@test "idle: no wake-ups, under 20 MB" { in_net case_idle; }
@test "events, followed and by node" { in_net case_follow; }
@test "nodes join, outlive the daemon, are missed after 3 s, and come back with a new incarnation" { NET_SECONDS=90 in_net case_join; }
@test "asking ends nothing; a token used twice ends its boot; a guess opens nothing" { in_net case_intrusion; }
@test "a boot that fails says where and why" { in_net case_boot_failed; }
@test "a siege of the daemon: refused, bounded, and the nodes feel none of it" { NET_SECONDS=300 in_net case_siege; }
@test "exec -i: input to all nodes, as fast as the slowest takes it" { NET_SECONDS=90 in_net case_exec_input; }
@test "exec: a slow reader is waited for, with thirty nodes too" { NET_SECONDS=120 in_net case_exec_slow_reader; }
@test "fence = storage: keys, iSCSI, door, NFS; doors that somebody opens; the machine itself asks afresh" { NET_SECONDS=150 in_net case_fence_storage; }
@test "fence = both: a BMC that is slow, stuck, wrong, dead; a restart in the middle; confirmed by hand" { NET_SECONDS=150 in_net case_fence_power; }
@test "fence = both: a BMC that lies is found out when the machine speaks" { NET_SECONDS=90 in_net case_fence_lies; }
@test "a fence, kill -9 at different moments of it: it ends confirmed" { NET_SECONDS=150 in_net case_fence_killed; }
@test "a machine that nodes.d fixes anew counts once the last one is fenced" { NET_SECONDS=90 in_net case_fence_fixed; }
@test "fence = both with a real IPMI BMC: out of reach, dead, 20 s late, lying" {
	NET_SECONDS=500 in_net case_fence_ipmi
}
