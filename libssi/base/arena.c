/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory of one lifetime. Called by the registry, whose tens of thousands of values come and go together. Single things cannot be given back. */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include "libssi/base/arena.h"

#define ARENA_BLOCK (64 * 1024)

struct ssi_arena_block {
	struct ssi_arena_block *next;
	size_t size;
	max_align_t data[];
};

static bool arena_grow(struct ssi_arena *a, size_t n)
{
	size_t size = n > ARENA_BLOCK ? n : ARENA_BLOCK;
	struct ssi_arena_block *b = n > SIZE_MAX / 2 ? NULL : calloc(1, sizeof(*b) + size);

	if (!b)
		return false;
	b->next = a->blocks;
	b->size = size;
	a->blocks = b;
	a->left = size;
	return true;
}

void *ssi_arena_alloc(struct ssi_arena *a, size_t n)
{
	size_t odd = n % _Alignof(max_align_t);
	char *p;

	/* Near SIZE_MAX there is no next multiple; arena_grow refuses that much. */
	if (odd && n < SIZE_MAX / 2)
		n += _Alignof(max_align_t) - odd;
	if (a->failed || ((n > a->left || !a->blocks) && !arena_grow(a, n))) {
		a->failed = true;
		return NULL;
	}
	p = (char *)a->blocks->data + (a->blocks->size - a->left);
	a->left -= n;
	return p;
}

char *ssi_arena_strdup(struct ssi_arena *a, const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = ssi_arena_alloc(a, n);

	return p ? memcpy(p, s, n) : NULL;
}

char *ssi_arena_printf(struct ssi_arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = n < 0 ? NULL : ssi_arena_alloc(a, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

/* The array has room for the next power of two, so nothing but n need be kept. Its type is the caller's: bytes are copied. */
int ssi_arena_push(struct ssi_arena *a, void *array, size_t *n, const void *item)
{
	char *old, *bigger;

	memcpy(&old, array, sizeof(old));
	if ((*n & (*n - 1)) == 0) {
		bigger = ssi_arena_alloc(a, (*n ? 2 * *n : 1) * sizeof(item));
		if (!bigger)
			return -ENOMEM;
		if (*n)
			memcpy(bigger, old, *n * sizeof(item));
		memcpy(array, &bigger, sizeof(bigger));
		old = bigger;
	}
	memcpy(old + (*n)++ * sizeof(item), &item, sizeof(item));
	return 0;
}

void ssi_arena_free(struct ssi_arena *a)
{
	struct ssi_arena_block *next;

	for (struct ssi_arena_block *b = a->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	*a = (struct ssi_arena){ 0 };
}
