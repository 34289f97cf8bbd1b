/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers from text and back. Called wherever a person or a file gives a number. Pure, no locale: what strtoull forgives
 * (blanks, signs, octal) is refused. It knows no fractions.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "libssi/base/num.h"

/* The digits at *s; *s is left behind them. */
static int num_digits(const char **s, uint64_t *ret)
{
	const char *p = *s;
	uint64_t v = 0;
	bool over = false;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			over = true;
	if (p == *s)
		return -EINVAL;
	*s = p;
	*ret = v;
	return over ? -ERANGE : 0;
}

int ssi_num_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v;
	int r = num_digits(&s, &v);

	if (*s)
		return -EINVAL;
	if (r < 0)
		return r;
	if (v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int ssi_num_u32(const char *s, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t v;
	int r = ssi_num_u64(s, min, max, &v);

	if (r < 0)
		return r;
	*ret = v;
	return 0;
}

struct num_unit {
	const char *name;
	uint64_t factor;
};

static int num_with_unit(const char *s, const struct num_unit *units, uint64_t *ret)
{
	uint64_t v;
	int r = num_digits(&s, &v);

	for (; units->name; units++)
		if (!strcasecmp(s, units->name))
			break;
	if (r == -EINVAL || !units->name)
		return -EINVAL;
	if (r < 0 || __builtin_mul_overflow(v, units->factor, &v))
		return -ERANGE;
	*ret = v;
	return 0;
}

int ssi_num_duration_ms(const char *s, uint64_t *ret_ms)
{
	static const struct num_unit units[] = {
		{ "ms", 1 }, { "", 1000 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { 0 },
	};

	return num_with_unit(s, units, ret_ms);
}

int ssi_num_size(const char *s, uint64_t *ret_bytes)
{
	static const struct num_unit units[] = {
		{ "", 1 }, { "K", 1ULL << 10 }, { "KiB", 1ULL << 10 }, { "M", 1ULL << 20 }, { "MiB", 1ULL << 20 },
		{ "G", 1ULL << 30 }, { "GiB", 1ULL << 30 }, { "T", 1ULL << 40 }, { "TiB", 1ULL << 40 }, { 0 },
	};

	return num_with_unit(s, units, ret_bytes);
}

int ssi_num_bool(const char *s)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcasecmp(s, words[i]))
			return i % 2;
	return -EINVAL;
}

char *ssi_num_format_size(char *buf, size_t n, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = bytes / 1024.0;
	size_t u = 0;

	if (bytes < 1024) {
		snprintf(buf, n, "%u B", (unsigned)bytes);
		return buf;
	}
	for (; v >= 1023.95 && u < 5; u++)       /* what would print as 1024.0 is the next unit's 1.0 */
		v /= 1024;
	snprintf(buf, n, "%.1f %s", v, units[u]);
	return buf;
}

char *ssi_num_format_ms(char *buf, size_t n, uint64_t ms)
{
	uint64_t s = ms / 1000, near = s + (ms % 1000 >= 500);

	if (ms < 1000)
		snprintf(buf, n, "%u ms", (unsigned)ms);
	else if (ms < 59950)
		snprintf(buf, n, "%.1f s", ms / 1000.0);
	else if (near < 3600)
		snprintf(buf, n, "%u m %02u s", (unsigned)(near / 60), (unsigned)(near % 60));
	else if (s < 3600)                       /* what would print as 60 m is an hour */
		snprintf(buf, n, "1 h 00 m");
	else if (s < 86400)
		snprintf(buf, n, "%u h %02u m", (unsigned)(s / 3600), (unsigned)(s % 3600 / 60));
	else
		snprintf(buf, n, "%llu d %u h", (unsigned long long)(s / 86400), (unsigned)(s % 86400 / 3600));
	return buf;
}
