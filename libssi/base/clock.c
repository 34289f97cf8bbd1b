/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The three clocks in milliseconds. Called by programs and by libssi/comm; the model is never given a clock. */
#include <stdio.h>
#include <time.h>
#include "libssi/base/clock.h"

static uint64_t clock_ms(clockid_t id)
{
	struct timespec t = { 0 };

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t ssi_clock_mono_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

uint64_t ssi_clock_boot_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

uint64_t ssi_clock_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

char *ssi_clock_format(char *buf, size_t n, uint64_t wall_ms)
{
	time_t t = wall_ms / 1000;
	char day[32] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, n, "%.20s.%03uZ", day, (unsigned)(wall_ms % 1000));
	return buf;
}
