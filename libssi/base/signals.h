/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The names of signals, as people type them. */

/* "TERM", "SIGTERM", "term" or "15", to 64; "0": 0. -EINVAL: there is no such signal. */
int ssi_signal_number(const char *name);
