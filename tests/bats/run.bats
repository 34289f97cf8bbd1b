#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that travel: ssi run against the real daemon and real agents, which see nothing of what is run. What each test does stands in run-cases.bash.
bats_require_minimum_version 1.5.0

load bootsvc.bash

export CASES=run-cases.bash

@test "run: programs of every kind, with what belongs to them, that the node has not" { in_net case_kinds; }
@test "run: scripts of Python and Perl, with their library and modules, that the node has not" { in_net case_interpreters; }
@test "run: arguments, environment, umask, limits, streams, exit status, signals" { in_net case_like_here; }
@test "run: a terminal, and being stopped" { in_net case_terminal; }
@test "run: files that go along and come back" { in_net case_files; }
@test "run: what cannot be run is refused, and said why" { in_net case_refused; }
@test "run: on many nodes, and a table of who failed" { in_net case_many; }
@test "run: a large program goes to many nodes from node to node, and from here where that fails" { in_net case_tree; }
@test "node-carry: only who has the key, only what was said, only what its digest says" { in_net case_carry; }
@test "run: an agent and a daemon killed in the middle of output: byte-exact" { in_net case_broken; }
@test "jobs: whose they are, what they say, how they ended; another user's are left alone" { in_net case_jobs; }
@test "jobs.sock: who says what no client says is dropped, and the daemon goes on" { in_net case_rude; }
