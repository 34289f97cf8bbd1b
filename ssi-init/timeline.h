/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* /run/ssi/timeline: a line for each stage, "stage start_ms end_ms tries" in ms of CLOCK_BOOTTIME (doc/boot.md). The agent sends it with JOIN. */
#include <stddef.h>
#include "ssi-init/stage.h"

#define TIMELINE_MAX 2048

/* The stages that have ended, in the table's order, and then one more line (NULL: none) into buf; its length. What does not fit is left out. */
size_t timeline_format(const struct stages *s, const struct stage_run *more, char *buf, size_t n);
int timeline_write(const char *path, const struct stages *s, const struct stage_run *more);     /* 0 or -errno */
