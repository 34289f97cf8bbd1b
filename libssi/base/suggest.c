/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which word was meant. Called where a verb, an option or a key is unknown. Quadratic in the word's length, so words are bounded. */
#include <ctype.h>
#include <limits.h>
#include <string.h>
#include "libssi/base/suggest.h"

#define SUGGEST_MAX 63

static unsigned suggest_min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned ssi_suggest_distance(const char *a, const char *b)
{
	/* Three rows of the table: before the last, last, this. */
	unsigned rows[3][SUGGEST_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2], *t;
	size_t n = strlen(a), m = strlen(b);

	if (n > SUGGEST_MAX || m > SUGGEST_MAX)
		return UINT_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		t = before, before = last, last = row, row = t;
		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

			row[j] = suggest_min(last[j - 1] + (x != y), suggest_min(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && y == tolower((unsigned char)a[i - 2]))
				row[j] = suggest_min(row[j], before[j - 2] + 1);
		}
	}
	return row[m];
}

const char *ssi_suggest(const char *word, const char *const *among, size_t n)
{
	unsigned best = (unsigned)(strlen(word) + 2) / 3 + 1;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned d = among[i] ? ssi_suggest_distance(word, among[i]) : UINT_MAX;

		if (d < best && d < strlen(among[i])) {
			best = d;
			found = among[i];
		}
	}
	return found;
}
