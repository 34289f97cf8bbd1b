/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lays what an interpreter is to find: modules beside the script, and its own library where it looks for it, which is a folder of the node's. Called by
 * unpack-make.c. For the latter nothing is mounted here, only said what is to be: the deepest folder that the node has, with the tree's laid over it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/path.h"
#include "ssi/rexec/tree.h"
#include "ssi/rexec/unpack-internal.h"

#define TREE_LAYERS 16
#define TREE_DEPTH 64
#define TREE_OVER 2                      /* what lies over the node's: the tree, and what the job adds to it */

struct over {
	const char *roots[TREE_OVER];
	size_t n_roots;
	struct ssi_unpacked *x;
	struct ssi_err *e;
};

static bool tree_is_folder(const char *path, bool follow)
{
	struct stat st;

	return (follow ? stat(path, &st) : lstat(path, &st)) == 0 && S_ISDIR(st.st_mode);
}

static bool tree_is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* ROOT AT, and /NAME; NULL: no memory. */
static char *tree_path(const char *root, const char *at, const char *name)
{
	char *path;

	return asprintf(&path, "%s%s%s%s", root, at, name ? "/" : "", name ? name : "") < 0 ? NULL : path;
}

/* --- over the node's folders --- */

/* The node's folder `at` gets those of all roots that have one there. */
static int tree_layer(struct over *o, const char *at)
{
	struct ssi_layer *more = realloc(o->x->layers, (o->x->n_layers + 1) * sizeof(*more)), l;
	_cleanup_buf_ struct ssi_buf lower = SSI_BUF_INIT;

	if (!more)
		return ssi_errf(o->e, -ENOMEM, "no memory for a tree");
	o->x->layers = more;
	for (size_t i = 0; i < o->n_roots; i++) {
		_cleanup_free_ char *path = tree_path(o->roots[i], at, NULL);

		if (path && tree_is_folder(path, false))
			ssi_buf_addf(&lower, "%s:", path);
	}
	ssi_buf_adds(&lower, at);
	l = (struct ssi_layer){ strdup(at), ssi_buf_take(&lower) };
	o->x->layers[o->x->n_layers++] = l;      /* freed with all */
	return l.target && l.lower ? 0 : ssi_errf(o->e, -ENOMEM, "no memory for a tree");
}

/* Is all that this root has there folders that the node has, too? -errno: it cannot be looked at. */
static int tree_is_known(struct over *o, const char *root, const char *at)
{
	_cleanup_free_ char *path = tree_path(root, at, NULL);
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *de;
	bool known = true;

	if (!path)
		return ssi_errf(o->e, -ENOMEM, "no memory for a tree");
	if (!tree_is_folder(path, false))
		return 1;
	d = opendir(path);
	if (!d)
		return ssi_errno(o->e, -errno, "%s", path);
	while (known && (de = readdir(d))) {
		_cleanup_free_ char *here = tree_path(root, at, de->d_name), *there = tree_path("", at, de->d_name);

		if (!tree_is_dots(de->d_name))
			known = here && there && tree_is_folder(here, false) && tree_is_folder(there, true);
	}
	return known;
}

static int tree_over(struct over *o, const char *at, unsigned depth);

/* All folders of a root in there; one that a root before has, too, was dealt with. */
static int tree_inside(struct over *o, size_t root, const char *at, unsigned depth)
{
	_cleanup_free_ char *path = tree_path(o->roots[root], at, NULL);
	_cleanup_closedir_ DIR *d = path && tree_is_folder(path, false) ? opendir(path) : NULL;
	struct dirent *de;
	int r = path ? 0 : ssi_errf(o->e, -ENOMEM, "no memory for a tree");

	while (d && r >= 0 && (de = readdir(d))) {
		_cleanup_free_ char *below = tree_path("", at, de->d_name);
		bool seen = tree_is_dots(de->d_name);

		for (size_t i = 0; i < root && !seen; i++) {
			_cleanup_free_ char *before = tree_path(o->roots[i], at, de->d_name);

			seen = before && tree_is_folder(before, false);
		}
		if (!seen)
			r = below ? tree_over(o, below, depth + 1) : ssi_errf(o->e, -ENOMEM, "no memory for a tree");
	}
	return r;
}

/* at: a folder of the node's, "" for all of it. */
static int tree_over(struct over *o, const char *at, unsigned depth)
{
	bool known = true;
	int r = 0;

	if (depth > TREE_DEPTH || o->x->n_layers >= TREE_LAYERS || strpbrk(at, ":,\\"))
		return ssi_errf(o->e, -EBADMSG, "a tree that cannot be laid over this node's folders");
	for (size_t i = 0; i < o->n_roots && r >= 0; i++) {
		r = tree_is_known(o, o->roots[i], at);
		known = known && r > 0;
	}
	if (r < 0)
		return r;
	if (!known)
		return *at ? tree_layer(o, at) : ssi_errf(o->e, -ENOENT, "this node has no folder /usr, or no /opt: nothing can be laid over it");
	for (size_t i = 0; i < o->n_roots && r >= 0; i++)
		r = tree_inside(o, i, at, depth);
	return r < 0 ? r : 0;
}

static bool tree_is_plain(const char *path)
{
	return (!strncmp(path, "/usr/", 5) || !strncmp(path, "/opt/", 5)) && !strstr(path, "/../") && !strstr(path, "/./") && !strstr(path, "//");
}

/* Only what systems keep there: who mounts is root, and a server that trusts root would show him what is not the user's to see. */
static int tree_check(const char *root, struct ssi_err *e)
{
	_cleanup_closedir_ DIR *d = opendir(root);
	struct dirent *de;

	while (d && (de = readdir(d)))
		if (!tree_is_dots(de->d_name) && strcmp(de->d_name, "usr") && strcmp(de->d_name, "opt"))
			return ssi_errf(e, -EBADMSG, "a library that does not lie below /usr or /opt");
	return d ? 0 : ssi_errno(e, -errno, "%s", root);
}

/*
 * The interpreter under its own path, for what it starts in turn. With a loader that came it is no program by itself. *ret stays NULL where there is none.
 */
static int tree_interpreter(struct ssi_unpack *u, const char **ret, struct ssi_err *e)
{
	const char *real = ssi_arena_printf(&u->arena, "%s/%s", ssi_blobs_path(u->blobs), u->elf->hex);
	char *over = ssi_arena_printf(&u->arena, "%s/over", u->dir), *path = ssi_arena_printf(&u->arena, "%s/over%s", u->dir, u->elf->m->path), *slash;
	int r;

	if (u->elf->own || u->foreign || !tree_is_plain(u->elf->m->path))
		return 0;
	if (!real || !over || !path)
		return ssi_errf(e, -ENOMEM, "no memory for a tree");
	slash = strrchr(path, '/');
	*slash = '\0';
	r = ssi_path_mkdirs(path, 0755);
	*slash = '/';
	if (r >= 0 && link(real, path) < 0 && errno != EEXIST)
		r = -errno;
	if (r < 0)
		return ssi_errno(e, r, "%s", path);
	*ret = over;
	return 0;
}

static int tree_library(struct ssi_unpack *u, const char *root, struct ssi_unpacked *ret, struct ssi_err *e)
{
	struct over o = { .roots = { root }, .n_roots = 1, .x = ret, .e = e };
	const char *over = NULL;
	int r = tree_check(root, e);

	if (r >= 0)
		r = tree_interpreter(u, &over, e);
	if (over)
		o.roots[o.n_roots++] = over;
	return r < 0 ? r : tree_over(&o, "", 0);
}

/* --- beside the script --- */

static int tree_beside(struct ssi_unpack *u, const char *root, struct ssi_err *e)
{
	_cleanup_closedir_ DIR *d = opendir(root);
	struct dirent *de;

	while (d && (de = readdir(d))) {
		_cleanup_free_ char *real = ssi_path_join(root, de->d_name), *path = ssi_path_join3(u->dir, "script", de->d_name);

		if (tree_is_dots(de->d_name))
			continue;
		if (!real || !path)
			return ssi_errf(e, -ENOMEM, "no memory for a tree");
		if (symlink(real, path) < 0 && errno != EEXIST)      /* it is there, or is the script itself */
			return ssi_errno(e, -errno, "%s", path);
	}
	return d ? 0 : ssi_errno(e, -errno, "%s", root);
}

int unpack_trees(struct ssi_unpack *u, struct ssi_unpacked *ret, struct ssi_err *e)
{
	int r = 0;

	for (size_t i = 0; i < u->program->n_trees && r >= 0; i++) {
		const Ssi__Job__Tree *t = u->program->trees[i];
		_cleanup_free_ char *root = NULL;

		if (u->trees[i].own)
			continue;
		r = ssi_blobs_tree(u->blobs, t->archive->digest.data, t->entries, t->cost, &root, e);
		if (r < 0)
			return ssi_err_prefix(e, "%s", t->archive->path);
		r = t->kind == SSI__JOB__TREE__KIND__BESIDE ? tree_beside(u, root, e) : tree_library(u, root, ret, e);
	}
	return r;
}
