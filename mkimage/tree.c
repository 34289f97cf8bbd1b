/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a step wants to know of an unpacked tree. Called by the step-*.c. Nothing here runs anything from the tree. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/buf.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "mkimage/tree.h"

#define TREE_FILE_MAX (32u << 20)

static char *modules_folder(const char *tree)
{
	static const char *const places[] = { "usr/lib/modules", "lib/modules" };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		char *path = ssi_path_join(tree, places[i]);

		if (!path || access(path, F_OK) == 0)
			return path;
		free(path);
	}
	return ssi_path_join(tree, places[0]);
}

int tree_kernel(const char *tree, char *ret, size_t n, struct ssi_err *e)
{
	_cleanup_free_ char *folder = modules_folder(tree);
	_cleanup_closedir_ DIR *d = folder ? opendir(folder) : NULL;
	char found[256] = "";
	struct dirent *de;

	while (d && (de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		if (*found)
			return ssi_errf(e, -EEXIST, "the tree has two kernels, %s and %s: it must have one", found, de->d_name);
		snprintf(found, sizeof(found), "%s", de->d_name);
	}
	if (!*found)
		return ssi_errf(e, -ENOENT, "the tree has no kernel: nothing is in its lib/modules");
	snprintf(ret, n, "%s", found);
	return 0;
}

char *tree_modules(const char *tree, const char *kernel)
{
	_cleanup_free_ char *folder = modules_folder(tree);

	return folder ? ssi_path_join(folder, kernel) : NULL;
}

int tree_vmlinuz(const char *tree, const char *kernel, char **ret, struct ssi_err *e)
{
	_cleanup_free_ char *boot = NULL, *beside = NULL;
	_cleanup_free_ char *modules = tree_modules(tree, kernel);

	if (!modules || asprintf(&boot, "%s/boot/vmlinuz-%s", tree, kernel) < 0 || !(beside = ssi_path_join(modules, "vmlinuz")))
		return ssi_errno(e, -ENOMEM, "%s", tree);
	if (access(boot, R_OK) == 0)
		*ret = TAKE_PTR(boot);
	else if (access(beside, R_OK) == 0)
		*ret = TAKE_PTR(beside);
	else
		return ssi_errf(e, -ENOENT, "the tree has modules for kernel %s but no boot/vmlinuz-%s", kernel, kernel);
	return 0;
}

int tree_epoch(const char *tree, int64_t limit, int64_t *ret, struct ssi_err *e)
{
	char *const roots[] = { (char *)tree, NULL };
	FTS *f = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	int64_t newest = 0;
	FTSENT *at;

	if (!f)
		return ssi_errno(e, -errno, "%s", tree);
	while ((at = fts_read(f)))
		if (at->fts_info == FTS_F && at->fts_statp->st_mtime > newest && (!limit || at->fts_statp->st_mtime < limit))
			newest = at->fts_statp->st_mtime;
	fts_close(f);
	*ret = newest;
	return 0;
}

/* Is there a line "...PATH/NAME.ko..." whose NAME is name? */
static bool has_module(const char *text, const char *name)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *end = line + strcspn(line, ":\n"), *p = end;
		size_t i = 0;

		while (p > line && p[-1] != '/')
			p--;
		while (name[i] && p < end && (name[i] == *p || (strchr("-_", name[i]) && strchr("-_", *p)))) {
			i++;
			p++;
		}
		if (!name[i] && !strncmp(p, ".ko", 3))
			return true;
	}
	return false;
}

int tree_missing_module(const char *modules, const struct list *names, const struct list_word **ret, struct ssi_err *e)
{
	_cleanup_free_ char *dep_path = ssi_path_join(modules, "modules.dep"), *builtin_path = ssi_path_join(modules, "modules.builtin");
	_cleanup_free_ char *dep = NULL, *builtin = NULL;
	int r;

	if (!dep_path || !builtin_path)
		return ssi_errno(e, -ENOMEM, "%s", modules);
	r = ssi_file_read(dep_path, TREE_FILE_MAX, &dep, NULL);
	if (r < 0)
		return ssi_errno(e, r, "%s", dep_path);
	if (ssi_file_read(builtin_path, TREE_FILE_MAX, &builtin, NULL) < 0)
		builtin = NULL;
	*ret = NULL;
	for (size_t i = 0; i < names->n && !*ret; i++) {
		const char *name = names->words[i].text;

		if (*name != '=' && !has_module(dep, name) && !has_module(builtin, name))
			*ret = &names->words[i];
	}
	return 0;
}

/* One component of a pattern at a time; the rest is matched below what it matches. */
int tree_remove(const char *dir, const char *pattern, struct ssi_err *e)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	_cleanup_free_ char *first = NULL;
	size_t n = strcspn(pattern, "/");
	const char *rest = pattern + n + strspn(pattern + n, "/");
	struct dirent *de;
	int count = 0, r = 0;

	if (!d)
		return ssi_errno(e, -errno, "%s", dir);
	first = strndup(pattern, n);
	if (!first)
		return ssi_errno(e, -ENOMEM, "%s", dir);
	while (r >= 0 && (de = readdir(d))) {
		_cleanup_free_ char *path = NULL;
		struct stat st;

		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, "..") || fnmatch(first, de->d_name, 0))
			continue;
		path = ssi_path_join(dir, de->d_name);
		if (!path || lstat(path, &st) < 0)
			return ssi_errno(e, path ? -errno : -ENOMEM, "%s/%s", dir, de->d_name);
		if (*rest)
			r = S_ISDIR(st.st_mode) ? tree_remove(path, rest, e) : 0;
		else if ((r = ssi_path_rmtree(path)) < 0)
			ssi_errno(e, r, "%s", path);
		else
			r = 1;
		count += r > 0 ? r : 0;
	}
	return r < 0 ? r : count;
}

static const char *field(const char *stanza, const char *end, const char *name, size_t *ret_n)
{
	size_t n = strlen(name);

	for (const char *p = stanza; p && p < end; p = memchr(p, '\n', (size_t)(end - p)) ? strchr(p, '\n') + 1 : NULL)
		if (!strncmp(p, name, n)) {
			*ret_n = strcspn(p + n, "\n");
			return p + n;
		}
	return NULL;
}

int tree_packages(const char *tree, struct list *ret, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(tree, "var/lib/dpkg/status"), *text = NULL;
	int r = path ? ssi_file_read(path, TREE_FILE_MAX, &text, NULL) : -ENOMEM;

	if (r == -ENOENT)
		return 0;
	for (const char *p = text, *end; r == 0 && p && *p; p = end + strspn(end, "\n")) {
		const char *name, *version, *status;
		char line[512];
		size_t n, v, s;

		end = strstr(p, "\n\n");
		end = end ? end : p + strlen(p);
		name = field(p, end, "Package: ", &n);
		version = field(p, end, "Version: ", &v);
		status = field(p, end, "Status: ", &s);
		if (!name || !version || !status || !memmem(status, s, " installed", 10))
			continue;
		snprintf(line, sizeof(line), "%.*s %.*s", (int)n, name, (int)v, version);
		r = list_add(ret, line, strlen(line), 0);
	}
	list_sort(ret);
	return r < 0 ? ssi_errno(e, r, "%s", path ? path : tree) : 0;
}

/* NAME:HASH:DAY:... with DAY set; a line with another shape is kept. */
static void password_line(struct ssi_buf *to, const char *line, size_t n, long day)
{
	const char *hash = memchr(line, ':', n), *old = hash ? memchr(hash + 1, ':', n - (size_t)(hash + 1 - line)) : NULL;
	const char *rest = old ? memchr(old + 1, ':', n - (size_t)(old + 1 - line)) : NULL;

	if (!rest)
		ssi_buf_add(to, line, n);
	else
		ssi_buf_addf(to, "%.*s:%ld%.*s", (int)(old - line), line, day, (int)(n - (size_t)(rest - line)), rest);
	ssi_buf_adds(to, "\n");
}

int tree_password_days(const char *tree, int64_t epoch, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(tree, "etc/shadow"), *text = NULL;
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	_cleanup_close_ int fd = -1;
	int r = path ? ssi_file_read(path, TREE_FILE_MAX, &text, NULL) : -ENOMEM;

	if (r == -ENOENT)
		return 0;
	for (const char *p = text; r == 0 && *p; p += strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n'))
		password_line(&b, p, strcspn(p, "\n"), (long)(epoch / 86400));
	if (r == 0 && b.err)
		r = b.err;
	/* Written in place: owner, group and mode stay. */
	if (r == 0 && (fd = open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC)) < 0)
		r = -errno;
	if (r == 0)
		r = ssi_fd_write_all(fd, b.data ? b.data : "", b.len);
	return r < 0 ? ssi_errno(e, r, "%s", path ? path : tree) : 0;
}
