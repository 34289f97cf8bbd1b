/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The console as PID 1's standard descriptors. */
#include <stdbool.h>

/* Descriptors 0 to 2 become /dev/console. Writes do not block: a console that was stopped (Ctrl-S) loses lines rather than the node. */
void console_open(void);
/* In a child that is no part of ssi-init: its output goes there, and its writes wait, as programs expect; its input is empty. */
void console_output(void);
/* In a child: a session of its own with the console as its terminal, writes that block, and job control. For a shell. */
void console_take(void);
