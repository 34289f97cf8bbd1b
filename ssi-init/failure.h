/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The end of a boot that cannot go on. */
#include "ssi-init/boot.h"
#include "ssi-init/stage.h"

/* Say what, where and what next on the console and to the master; wait ssi.delay (or give the rescue shell that was asked for); reboot. */
void failure_end(const struct boot *b, const struct stage_run *failed) __attribute__((noreturn));
/* The two console lines, "FAILED at STAGE: ..." and what next. For tests. */
void failure_format(const struct boot *b, const struct stage_run *failed, char *what, char *next, size_t n);
