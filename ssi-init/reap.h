/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Children of PID 1, waited for with a bound. SIGCHLD must be blocked. Everyone else's orphans are reaped on the way. */
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

/* Wait for pid at most ms: its exit status (128 + signal), or -1 when the time is over. pid 0: wait all of ms, or until an order to reboot (SIGINT, SIGTERM).
 * pid -1: until there is no child left (0). */
int reap_wait(pid_t pid, uint64_t ms);
/* In a new child: default signals, none blocked. */
void reap_child_signals(void);
/* sigtimedwait(2) on set for at most ms: the signal, or 0. */
int reap_signal(const sigset_t *set, uint64_t ms);
