/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The image store. Called by the verbs and by publish.c. Changes happen under a lock on STORE/.lock, held for an instant; a generation is
 * renamed into place whole and renamed away before it is removed, so whoever looks sees all of it or nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "mkimage/holder.h"
#include "mkimage/store.h"

#define STORE_PREFIX_MIN 4      /* digits of an abbreviated generation */

/* What the link says, or "". */
static void read_link(const char *image_dir, const char *name, char ret[STORE_ID_MAX])
{
	_cleanup_free_ char *path = ssi_path_join(image_dir, name);
	ssize_t n = path ? readlink(path, ret, STORE_ID_MAX - 1) : -1;

	ret[n > 0 ? n : 0] = '\0';
}

static uint64_t folder_size(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	struct dirent *de;
	struct stat st;
	uint64_t sum = 0;

	while (d && (de = readdir(d)))
		if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	return sum;
}

static int add_generation(const char *image_dir, const char *image, const char *id, struct generations *ret)
{
	_cleanup_free_ char *path = ssi_path_join(image_dir, id), *manifest = path ? ssi_path_join(path, "manifest.json") : NULL;
	struct generation *all = reallocarray(ret->all, ret->n + 1, sizeof(*all));
	char current[STORE_ID_MAX], previous[STORE_ID_MAX];
	struct generation *g;
	struct stat st;

	if (all)
		ret->all = all;
	if (!all || !manifest)
		return -ENOMEM;
	read_link(image_dir, "current", current);
	read_link(image_dir, "previous", previous);
	g = &all[ret->n++];
	*g = (struct generation){ .current = !strcmp(current, id), .previous = !strcmp(previous, id) };
	snprintf(g->image, sizeof(g->image), "%s", image);
	snprintf(g->id, sizeof(g->id), "%s", id);
	g->size = folder_size(path);
	g->built = stat(manifest, &st) == 0 ? st.st_mtime : 0;
	g->used = holder_is_held(manifest);
	g->path = TAKE_PTR(path);
	return 0;
}

static int scan_image(const char *store, const char *image, struct generations *ret)
{
	_cleanup_free_ char *dir = ssi_path_join(store, image);
	_cleanup_closedir_ DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *de;
	int r = 0;

	if (!d)
		return !dir ? -ENOMEM : errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while (r == 0 && (de = readdir(d)))
		if (!strncmp(de->d_name, STORE_ID, strlen(STORE_ID)) && strlen(de->d_name) < STORE_ID_MAX)
			r = add_generation(dir, image, de->d_name, ret);
	return r;
}

static int by_name_and_age(const void *a, const void *b)
{
	const struct generation *x = a, *y = b;
	int c = strcmp(x->image, y->image);

	if (c)
		return c;
	return x->built != y->built ? (x->built < y->built) - (x->built > y->built) : strcmp(x->id, y->id);
}

int store_scan(const char *store, const char *image, struct generations *ret, struct ssi_err *e)
{
	_cleanup_generations_ struct generations g = GENERATIONS_INIT;
	_cleanup_closedir_ DIR *d = opendir(store);
	struct dirent *de;
	int r = 0;

	if (!d && errno != ENOENT)
		return ssi_errno(e, -errno, "%s", store);
	while (d && (de = readdir(d))) {
		if (image ? !strcmp(de->d_name, image) : de->d_name[0] != '.' && ssi_path_is_name(de->d_name))
			r = scan_image(store, de->d_name, &g);
		if (r < 0)
			return ssi_errno(e, r, "%s/%s", store, de->d_name);
	}
	if (g.n)
		qsort(g.all, g.n, sizeof(*g.all), by_name_and_age);
	*ret = g;
	g = (struct generations)GENERATIONS_INIT;
	return 0;
}

static bool is_named(const struct generation *g, const char *which)
{
	if (!strcmp(which, "current"))
		return g->current;
	if (!strcmp(which, "previous"))
		return g->previous;
	if (!strncmp(which, STORE_ID, strlen(STORE_ID)))
		which += strlen(STORE_ID);
	return strlen(which) >= STORE_PREFIX_MIN && !strncmp(g->id + strlen(STORE_ID), which, strlen(which));
}

int store_find(const char *store, const char *name, struct generations *ret, struct ssi_err *e)
{
	_cleanup_generations_ struct generations all = GENERATIONS_INIT;
	const char *slash = strchr(name, '/'), *which = slash ? slash + 1 : "current";
	_cleanup_free_ char *image = strndup(name, slash ? (size_t)(slash - name) : strlen(name));
	struct generation *found = NULL;
	int r;

	if (!image)
		return ssi_errno(e, -ENOMEM, "%s", name);
	if (!ssi_path_is_name(image))
		return ssi_errf(e, -EINVAL, "'%s' is no image: IMAGE, IMAGE/previous or IMAGE/sha256-PREFIX", name);
	r = store_scan(store, image, &all, e);
	if (r < 0)
		return r;
	if (!all.n)
		return ssi_errf(e, -ENOENT, "there is no image '%s' in %s", image, store);
	for (size_t i = 0; i < all.n; i++) {
		if (!is_named(&all.all[i], which))
			continue;
		if (found)
			return ssi_errf(e, -ENOTUNIQ, "'%s' is more than one generation of '%s': give more digits", which, image);
		found = &all.all[i];
	}
	if (!found)
		return ssi_errf(e, -ENOENT, "image '%s' has no generation '%s'", image, which);
	ret->all = malloc(sizeof(*found));
	if (!ret->all)
		return ssi_errno(e, -ENOMEM, "%s", name);
	ret->all[0] = *found;
	ret->n = 1;
	found->path = NULL;
	return 0;
}

void store_free(struct generations *g)
{
	for (size_t i = 0; i < g->n; i++)
		free(g->all[i].path);
	free(g->all);
	*g = (struct generations)GENERATIONS_INIT;
}

static int lock_store(const char *store, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(store, ".lock");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1, r;

	if (fd < 0)
		return ssi_errno(e, -errno, "%s", path ? path : store);
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR) {
			r = ssi_errno(e, -errno, "%s", path);
			close(fd);
			return r;
		}
	return fd;
}

/* A link that is swapped in one rename. */
static int set_link(const char *image_dir, const char *name, const char *target, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(image_dir, name), *tmp = NULL;
	int r;

	if (!path || asprintf(&tmp, "%s/.%s.new", image_dir, name) < 0)
		return ssi_errno(e, -ENOMEM, "%s", image_dir);
	unlink(tmp);
	if (symlink(target, tmp) < 0 || rename(tmp, path) < 0)
		return ssi_errno(e, -errno, "%s", path);
	r = ssi_file_sync_folder(path);
	return r < 0 ? ssi_errno(e, r, "%s", path) : 0;
}

static int set_current(const char *image_dir, const char *id, struct ssi_err *e)
{
	char old[STORE_ID_MAX];
	int r = 0;

	read_link(image_dir, "current", old);
	if (!strcmp(old, id))
		return 0;
	if (*old)
		r = set_link(image_dir, "previous", old, e);
	return r < 0 ? r : set_link(image_dir, "current", id, e);
}

int store_set_current(const char *store, const char *image, const char *id, struct ssi_err *e)
{
	_cleanup_free_ char *dir = ssi_path_join(store, image);
	_cleanup_close_ int lock = lock_store(store, e);

	if (lock < 0)
		return lock;
	return dir ? set_current(dir, id, e) : ssi_errno(e, -ENOMEM, "%s", image);
}

int store_publish(const char *store, const char *image, const char *id, struct tmpdir *t, struct ssi_err *e)
{
	_cleanup_free_ char *dir = ssi_path_join(store, image), *path = dir ? ssi_path_join(dir, id) : NULL;
	_cleanup_close_ int lock = lock_store(store, e);
	int r, is_new = 1;

	if (lock < 0)
		return lock;
	r = path ? ssi_path_mkdirs(dir, 0755) : -ENOMEM;
	if (r < 0)
		return ssi_errno(e, r, "%s", image);
	r = tmpdir_commit(t, path, e);
	if (r == -EEXIST)
		is_new = r = 0;
	if (r == 0)
		r = set_current(dir, id, e);
	return r < 0 ? r : is_new;
}

/* The links that name a generation go with it. */
static void unlink_to(const char *image_dir, const char *name, const char *id)
{
	_cleanup_free_ char *path = ssi_path_join(image_dir, name);
	char target[STORE_ID_MAX];

	read_link(image_dir, name, target);
	if (path && !strcmp(target, id))
		unlink(path);
}

int store_remove(const char *store, const struct generation *g, bool force, struct ssi_err *e)
{
	_cleanup_free_ char *dir = ssi_path_join(store, g->image), *manifest = ssi_path_join(g->path, "manifest.json");
	_cleanup_close_ int lock = -1, held = -1;
	char current[STORE_ID_MAX];
	int r;

	if (!dir || !manifest)
		return ssi_errno(e, -ENOMEM, "%s", g->image);
	lock = lock_store(store, e);
	if (lock < 0)
		return lock;
	/* Under the lock: a build may have made it current since it was looked at. */
	read_link(dir, "current", current);
	if (!strcmp(current, g->id) && !force)
		return ssi_errf(e, -EBUSY, "is current: new boots would find nothing (--force removes it all the same)");
	held = holder_take(manifest, e);
	if (held < 0 && held != -ENOENT)
		return held;
	unlink_to(dir, "current", g->id);
	unlink_to(dir, "previous", g->id);
	r = tmpdir_discard(store, g->path);
	if (r < 0)
		return ssi_errno(e, r, "%s", g->path);
	rmdir(dir);       /* only when it was the last */
	return 0;
}
