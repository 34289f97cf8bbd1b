/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Time. Deadlines use the monotonic clock, records the wall clock, boot timelines CLOCK_BOOTTIME; all in milliseconds. */
#include <stddef.h>
#include <stdint.h>

uint64_t ssi_clock_mono_ms(void);
uint64_t ssi_clock_boot_ms(void);     /* since the kernel started */
uint64_t ssi_clock_wall_ms(void);     /* since 1970-01-01 UTC */
/* "2026-01-31T12:00:00.123Z" (RFC 3339); buf of at least 32 bytes; returns buf. */
char *ssi_clock_format(char *buf, size_t n, uint64_t wall_ms);
