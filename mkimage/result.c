/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cache of steps. Called by the steps (to commit), by plan.c's caller (to ask what is there) and by publish.c (to read). A result
 * is a folder renamed into place when it is whole, so one that stands is whole. Results are not checked again when they are used:
 * 'ssi-mkimage verify' checks generations.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/path.h"
#include "mkimage/result.h"

#define RESULT_JSON "result.json"
#define RESULT_JSON_MAX (16u << 20)

char *result_path(const char *cache, const char *kind, const char *key)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s-%s", cache, kind, key) < 0 ? NULL : path;
}

bool result_has(const char *cache, const char *kind, const char *key)
{
	_cleanup_free_ char *path = result_path(cache, kind, key);

	return path && access(path, F_OK) == 0;
}

int result_file(const char *path, json_t **ret, struct ssi_err *e)
{
	char digest[SSI_HASH_HEX];
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return ssi_errno(e, -errno, "%s", path);
	r = ssi_hash_file(path, digest);
	if (r < 0)
		return ssi_errno(e, r, "%s", path);
	*ret = json_pack("{s:I, s:s}", "size", (json_int_t)st.st_size, "sha256", digest);
	return *ret ? 0 : ssi_errno(e, -ENOMEM, "%s", path);
}

static int add_files(const char *dir, const char *const *files, json_t *o, struct ssi_err *e)
{
	json_t *all = json_object();

	if (json_object_set_new(o, "files", all) < 0)
		return ssi_errno(e, -ENOMEM, "%s", dir);
	for (; *files; files++) {
		_cleanup_free_ char *path = ssi_path_join(dir, *files);
		json_t *one = NULL;
		int r = path ? result_file(path, &one, e) : ssi_errno(e, -ENOMEM, "%s", dir);

		if (r < 0)
			return r;
		json_object_set_new(all, *files, one);
	}
	return 0;
}

int result_commit(const char *cache, const char *kind, const char *key, bool replace, struct tmpdir *t, json_t *o, const char *const *files,
		  struct ssi_err *e)
{
	_cleanup_free_ char *path = result_path(cache, kind, key);
	_cleanup_free_ char *file = ssi_path_join(t->path, RESULT_JSON);
	_cleanup_free_ char *text = NULL;
	int r;

	if (!path || !file)
		return ssi_errno(e, -ENOMEM, "%s", kind);
	r = add_files(t->path, files, o, e);
	if (r < 0)
		return r;
	text = json_dumps(o, JSON_SORT_KEYS | JSON_INDENT(1));
	r = text ? ssi_file_write_atomic(file, text, strlen(text), 0644) : -ENOMEM;
	if (r < 0)
		return ssi_errno(e, r, "%s", file);
	if (replace && access(path, F_OK) == 0)
		tmpdir_discard(cache, path);
	r = tmpdir_commit(t, path, e);
	return r == -EEXIST || r == -ENOTEMPTY ? 0 : r;
}

int result_load(const char *cache, const char *kind, const char *key, json_t **ret, struct ssi_err *e)
{
	_cleanup_free_ char *path = result_path(cache, kind, key);
	_cleanup_free_ char *file = path ? ssi_path_join(path, RESULT_JSON) : NULL;
	_cleanup_free_ char *text = NULL;
	json_error_t why;
	size_t len;
	int r = file ? ssi_file_read(file, RESULT_JSON_MAX, &text, &len) : -ENOMEM;

	if (r < 0)
		return ssi_errno(e, r, "%s", file ? file : kind);
	*ret = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	return *ret ? 0 : ssi_errf(e, -EBADMSG, "%s: %s. Remove its folder: it will be made again", file, why.text);
}

void result_touch(const char *cache, const char *kind, const char *key)
{
	_cleanup_free_ char *path = result_path(cache, kind, key);

	if (path)
		utimensat(AT_FDCWD, path, NULL, 0);
}

/* The one that was not used for longest; how many there are in *ret_n. */
static char *oldest(const char *cache, const char *kind, unsigned *ret_n)
{
	_cleanup_closedir_ DIR *d = opendir(cache);
	_cleanup_free_ char *found = NULL;
	struct timespec when = { 0 };
	struct dirent *de;
	size_t n = strlen(kind);

	*ret_n = 0;
	while (d && (de = readdir(d))) {
		struct stat st;

		if (strncmp(de->d_name, kind, n) || de->d_name[n] != '-' || fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		++*ret_n;
		if (found && (st.st_mtim.tv_sec > when.tv_sec || (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec >= when.tv_nsec)))
			continue;
		free(found);
		found = ssi_path_join(cache, de->d_name);
		when = st.st_mtim;
	}
	return TAKE_PTR(found);
}

void result_prune(const char *cache, const char *kind)
{
	unsigned n = RESULT_KEEP + 1;

	while (n > RESULT_KEEP) {
		_cleanup_free_ char *path = oldest(cache, kind, &n);

		if (!path || n <= RESULT_KEEP || tmpdir_discard(cache, path) < 0)
			return;
	}
}
