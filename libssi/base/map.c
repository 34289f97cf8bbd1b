/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Strings to pointers: open addressing, linear probing, at most three quarters full. Called where thousands of names are looked up. It cannot forget a key. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include "libssi/base/map.h"

#define MAP_FIRST 64

/* Its low bits alone are weak for names that differ in the last digit. */
size_t ssi_map_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h ^ h >> 29;
}

/* Where key is, or the free slot for it. */
static struct ssi_map_slot *map_slot(const struct ssi_map *m, const char *key)
{
	size_t i = ssi_map_hash(key) & (m->cap - 1);

	while (m->slots[i].key && strcmp(m->slots[i].key, key) != 0)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static int map_grow(struct ssi_map *m)
{
	struct ssi_map bigger = { .n = m->n, .cap = m->cap ? 2 * m->cap : MAP_FIRST };

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].key)
			*map_slot(&bigger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

int ssi_map_put(struct ssi_map *m, const char *key, void *value)
{
	struct ssi_map_slot *s;

	if (4 * (m->n + 1) > 3 * m->cap && map_grow(m) < 0)
		return -ENOMEM;
	s = map_slot(m, key);
	if (s->key)
		return -EEXIST;
	*s = (struct ssi_map_slot){ key, value };
	m->n++;
	return 0;
}

void *ssi_map_get(const struct ssi_map *m, const char *key)
{
	return m->cap ? map_slot(m, key)->value : NULL;
}

void ssi_map_free(struct ssi_map *m)
{
	free(m->slots);
	*m = (struct ssi_map){ 0 };
}
