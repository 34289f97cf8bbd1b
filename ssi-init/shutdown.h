/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The end of a node, in order. */
#include <signal.h>
#include <sys/types.h>

/*
 * How PID 1 is asked, by the signals that systemd and sysvinit know too, so that the agent need not ask which one it is:
 *     SIGRTMIN+5, SIGINT (Ctrl-Alt-Del), SIGTERM      reboot
 *     SIGRTMIN+4, SIGUSR2                             power off
 */
void shutdown_signals(sigset_t *ret);
/* reboot(2)'s argument for a signal, or 0: it is no order. */
int shutdown_order(int sig);
/* The agent first (it says goodbye to the master), then everything else, disks last; each with a bound. Does not return. agent 0: none. */
void shutdown_run(int how, pid_t agent) __attribute__((noreturn));
