/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the list of files that become a tree. Called by pack-tree.c. Each start walks anew, as a file may have changed: some 2 us for each. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "ssi/rexec/pack-internal.h"
#include "ssi/rexec/tree.h"

#define WALK_DEPTH 40

static int walk_push(struct pack_walk *w, const char *from, const char *path, const struct stat *st, const char *link, struct ssi_err *e)
{
	struct pack_entry *t = ssi_arena_alloc(&w->p->arena, sizeof(*t));
	const uint64_t cost = ssi_tree_cost(link ? strlen(link) : S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0);

	if (w->n >= w->max || (S_ISREG(st->st_mode) && (uint64_t)st->st_size > w->max_cost) || w->cost + cost > w->max_cost)
		return ssi_errf(e, -E2BIG, "%s: too many files", from);
	if (!t)
		return ssi_errf(e, -ENOMEM, "no memory for %s", from);
	*t = (struct pack_entry){ ssi_arena_strdup(&w->p->arena, from), ssi_arena_strdup(&w->p->arena, path), *st, link };
	w->cost += cost;
	if (w->p->arena.failed || ssi_arena_push(&w->p->arena, &w->entries, &w->n, t) < 0)
		return ssi_errf(e, -ENOMEM, "no memory for %s", from);
	return 0;
}

/* A relative link stays one; what another points to is put in its place, if that is a file. 1: *st is that of a file; 2: it is a link; 0: neither. */
static int walk_link(struct pack_walk *w, const char *from, struct stat *st, const char **ret)
{
	char target[SSI_TREE_PATH + 1];
	ssize_t n = readlink(from, target, sizeof(target));

	if (n > 0 && n < (ssize_t)sizeof(target) && target[0] != '/') {
		target[n] = '\0';
		*ret = ssi_arena_strdup(&w->p->arena, target);
		return 2;
	}
	return stat(from, st) == 0 && S_ISREG(st->st_mode);
}

static bool walk_is_left(const struct pack_walk *w, const char *name)
{
	for (const char *const *l = w->leave; l && *l; l++)
		if (fnmatch(*l, name, 0) == 0)
			return true;
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static int walk_in(struct pack_walk *w, const char *from, const char *path, unsigned depth, struct ssi_err *e);

static int walk_folder(struct pack_walk *w, const char *from, const char *path, unsigned depth, struct ssi_err *e)
{
	_cleanup_closedir_ DIR *d = depth < WALK_DEPTH ? opendir(from) : NULL;
	struct dirent *de;
	int r = 0;

	while (d && r >= 0 && (de = readdir(d))) {
		char below[PATH_MAX], as[SSI_TREE_PATH + 1];

		if (walk_is_left(w, de->d_name))
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", from, de->d_name) < (int)sizeof(below) &&
		    snprintf(as, sizeof(as), "%s/%s", path, de->d_name) < (int)sizeof(as))
			r = walk_in(w, below, as, depth + 1, e);
	}
	return r;
}

static int walk_in(struct pack_walk *w, const char *from, const char *path, unsigned depth, struct ssi_err *e)
{
	const char *link = NULL;
	struct stat st;
	int kind = 1, r;

	if (lstat(from, &st) < 0)
		return 0;
	if (S_ISLNK(st.st_mode))
		kind = walk_link(w, from, &st, &link);
	if (!kind || (S_ISREG(st.st_mode) && access(from, R_OK) < 0) || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)))
		return 0;
	r = walk_push(w, from, path, &st, link, e);
	return r >= 0 && S_ISDIR(st.st_mode) ? walk_folder(w, from, path, depth, e) : r;
}

int pack_walk_add(struct pack_walk *w, const char *from, const char *path, struct ssi_err *e)
{
	char above[SSI_TREE_PATH + 1];
	struct stat folder = { .st_mode = S_IFDIR };
	int r = 0;

	if (strlen(path) >= sizeof(above))
		return ssi_errf(e, -E2BIG, "%s: too long a path", from);
	strcpy(above, path);
	for (char *slash = strchr(above, '/'); slash && r >= 0; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = walk_push(w, from, above, &folder, NULL, e);
		*slash = '/';
	}
	return r < 0 ? r : walk_in(w, from, path, 0, e);
}

static int walk_by_path(const void *a, const void *b)
{
	return strcmp((*(struct pack_entry *const *)a)->path, (*(struct pack_entry *const *)b)->path);
}

static void walk_hash(struct ssi_hash *h, const struct pack_entry *t)
{
	const uint64_t numbers[] = { t->st.st_mode, t->st.st_dev, t->st.st_ino, (uint64_t)t->st.st_size, (uint64_t)t->st.st_mtim.tv_sec,
		(uint64_t)t->st.st_mtim.tv_nsec, (uint64_t)t->st.st_ctim.tv_sec, (uint64_t)t->st.st_ctim.tv_nsec };

	ssi_hash_adds(h, t->path);
	ssi_hash_adds(h, t->link ? t->link : "");
	if (S_ISREG(t->st.st_mode))
		ssi_hash_add(h, numbers, sizeof(numbers));
}

void pack_walk_end(struct pack_walk *w, char ret_key[SSI_HASH_HEX])
{
	struct ssi_hash *h = ssi_hash_new();
	size_t n = 0;

	if (w->n)
		qsort(w->entries, w->n, sizeof(*w->entries), walk_by_path);
	for (size_t i = 0; i < w->n; i++) {
		if (n && !strcmp(w->entries[n - 1]->path, w->entries[i]->path))
			continue;
		w->entries[n++] = w->entries[i];
		if (h)
			walk_hash(h, w->entries[i]);
	}
	w->n = n;
	ret_key[0] = '\0';
	if (h)
		ssi_hash_end(h, ret_key);
}
