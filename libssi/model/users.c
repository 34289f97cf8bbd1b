/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines of passwd(5) and group(5). What the master gave comes over the network: a line of it counts only if it is well-formed, and can make nobody root
 * or take a name of the system's own. Called by bootsvc (give) and by ssi-init in a child (merge).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/arena.h"
#include "libssi/base/map.h"
#include "libssi/base/num.h"
#include "libssi/model/users.h"

#define USERS_NAME 33                    /* bytes of a name with its NUL, as useradd has them */
#define USERS_LINE 1024                  /* of a passwd entry; a group's members may be many */

struct users_line {
	const char *at;
	size_t len;
	char name[USERS_NAME];
	char number[12];
	bool person;
};

/* A name as adduser(8) makes them, and capitals. */
static bool users_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_' || (i && ((s[i] >= '0' && s[i] <= '9') || strchr(".-$", s[i])))))
			return false;
	return n > 0 && n < USERS_NAME;
}

static bool users_field(const char *at, const char *end, char *ret, size_t n)
{
	const char *colon = memchr(at, ':', (size_t)(end - at));

	if (!colon || (size_t)(colon - at) >= n)
		return false;
	memcpy(ret, at, (size_t)(colon - at));
	ret[colon - at] = '\0';
	return true;
}

/* The line at *text, which moves on. 1, or 0 at the end; one that is no entry has an empty name. */
static int users_next(enum ssi_users kind, const char **text, struct users_line *ret)
{
	const char *end = strchrnul(*text, '\n'), *colon, *second;
	unsigned colons = 0;
	uint32_t number;

	if (!**text)
		return 0;
	*ret = (struct users_line) { .at = *text, .len = (size_t)(end - *text) };
	*text = *end ? end + 1 : end;
	for (size_t i = 0; i < ret->len; i++) {
		colons += ret->at[i] == ':';
		if ((unsigned char)ret->at[i] < ' ' || ret->at[i] == 127)
			return 1;
	}
	if (colons != (kind == SSI_USERS_PASSWD ? 6 : 3) || (kind == SSI_USERS_PASSWD && ret->len >= USERS_LINE))
		return 1;
	colon = memchr(ret->at, ':', ret->len);
	second = memchr(colon + 1, ':', (size_t)(end - colon - 1));
	if (!users_name(ret->at, (size_t)(colon - ret->at)) || !users_field(second + 1, end, ret->number, sizeof(ret->number)) ||
	    ssi_num_u32(ret->number, 0, UINT32_MAX, &number) < 0)
		return 1;
	memcpy(ret->name, ret->at, (size_t)(colon - ret->at));
	ret->person = number >= SSI_USERS_FIRST && number <= SSI_USERS_LAST;
	return 1;
}

static void users_add(struct ssi_buf *to, const struct users_line *l)
{
	ssi_buf_add(to, l->at, l->len);
	ssi_buf_add(to, "\n", 1);
}

/* No password is known there, nor looked for in shadow: nobody logs in with one. */
static void users_add_locked(struct ssi_buf *to, const struct users_line *l)
{
	const char *colon = memchr(l->at, ':', l->len), *second = memchr(colon + 1, ':', l->len - (size_t)(colon + 1 - l->at));

	ssi_buf_addf(to, "%s:*", l->name);
	ssi_buf_add(to, second, l->len - (size_t)(second - l->at));
	ssi_buf_add(to, "\n", 1);
}

int ssi_users_give(enum ssi_users kind, const char *text, struct ssi_buf *ret)
{
	struct users_line l;

	while (users_next(kind, &text, &l))
		if (l.person)
			users_add_locked(ret, &l);
	return ret->err;
}

/* Names, and numbers with ':' before them. */
struct users_known { struct ssi_arena arena; struct ssi_map system, image, master; };

static void users_known_free(struct users_known *k)
{
	ssi_map_free(&k->system);
	ssi_map_free(&k->image);
	ssi_map_free(&k->master);
	ssi_arena_free(&k->arena);
}

static void users_know(struct users_known *k, struct ssi_map *m, const char *key)
{
	char *copy = ssi_arena_strdup(&k->arena, key);

	if (copy && ssi_map_put(m, copy, copy) == -ENOMEM)
		k->arena.failed = true;
}

/* Does the master's entry count? Once each name. */
static bool users_masters(struct users_known *k, const struct users_line *l)
{
	return l->person && !ssi_map_get(&k->system, l->name) && !ssi_map_get(&k->master, l->name);
}

static void users_know_number(struct users_known *k, const struct users_line *l)
{
	char key[sizeof(l->number) + 1];

	snprintf(key, sizeof(key), ":%s", l->number);
	users_know(k, &k->master, key);
}

static void users_know_all(struct users_known *k, enum ssi_users kind, const char *own, const char *image, const char *master)
{
	struct users_line l;

	while (users_next(kind, &own, &l))
		if (l.name[0] && !l.person)
			users_know(k, &k->system, l.name);
	while (users_next(kind, &image, &l))
		if (l.person)
			users_know(k, &k->image, l.name);
	while (users_next(kind, &master, &l))
		if (users_masters(k, &l)) {
			users_know(k, &k->master, l.name);
			users_know_number(k, &l);
		}
}

static bool users_stays(const struct users_known *k, const struct users_line *l, unsigned *dropped)
{
	char number[sizeof(l->number) + 1];

	if (!l->person)
		return true;
	snprintf(number, sizeof(number), ":%s", l->number);
	if (!ssi_map_get(&k->image, l->name) || ssi_map_get(&k->master, l->name))
		return false;
	if (!ssi_map_get(&k->master, number))
		return true;
	(*dropped)++;
	return false;
}

int ssi_users_merge(enum ssi_users kind, const char *own, const char *image, const char *master, struct ssi_buf *ret, unsigned *ret_dropped)
{
	SSI_CLEANUP(users_known_free) struct users_known known = { 0 };
	_cleanup_map_ struct ssi_map given = { 0 };
	unsigned dropped = 0;
	struct users_line l;

	users_know_all(&known, kind, own, image, master);
	while (users_next(kind, &own, &l))
		if (users_stays(&known, &l, &dropped))
			users_add(ret, &l);
	while (users_next(kind, &master, &l)) {
		char *name = l.person && !ssi_map_get(&known.system, l.name) ? ssi_map_get(&known.master, l.name) : NULL;

		if (!name || ssi_map_get(&given, name))
			continue;
		if (ssi_map_put(&given, name, name) == -ENOMEM)
			known.arena.failed = true;
		users_add_locked(ret, &l);
	}
	if (known.arena.failed || ret->err)
		return -ENOMEM;
	*ret_dropped = dropped;
	return 0;
}
