/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the archives of trees: made of a list of files, and kept in the user's cache (~/.cache/ssi/trees) under the key of that list, KEY.tree, with what the
 * libraries among them ask for in KEY.libs. Called by pack-tree.c. Where no cache can be written they lie in memory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "ssi/rexec/pack-internal.h"
#include "ssi/rexec/tree.h"

#define ARCHIVE_LIBS (64u << 10)
#define ARCHIVE_KEPT 16                  /* in the cache, and bytes of them: the oldest go first */
#define ARCHIVE_YOUNG 3600               /* seconds: longer than this none is made; it was left behind */
#define ARCHIVE_BYTES ((uint64_t)512 << 20)

/* --- making one --- */

static int archive_file(struct ssi_tree_writer *w, const struct pack_entry *t, struct ssi_err *e)
{
	_cleanup_close_ int fd = open(t->from, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *buf = malloc(64u << 10);
	uint64_t size = (uint64_t)t->st.st_size;
	struct stat st;
	int r = 0;

	if (fd < 0 || !buf || fstat(fd, &st) < 0)
		return ssi_errno(e, -errno, "%s", t->from);
	if (st.st_ino != t->st.st_ino || st.st_size != t->st.st_size || st.st_mtim.tv_nsec != t->st.st_mtim.tv_nsec)
		return ssi_errf(e, -ESTALE, "%s was changed while it was read: start it again once it is whole", t->from);
	r = ssi_tree_entry(w, t->st.st_mode & 0111 ? SSI_TREE_PROGRAM : SSI_TREE_FILE, t->path, size, st.st_mtim.tv_sec, e);
	for (uint64_t left = size; left && r >= 0;) {
		ssize_t n = read(fd, buf, left < 64u << 10 ? (size_t)left : 64u << 10);

		if (n <= 0)
			return n < 0 && errno == EINTR ? -EINTR : ssi_errf(e, -ESTALE, "%s was changed while it was read: start it again once it is whole", t->from);
		left -= (uint64_t)n;
		r = ssi_tree_bytes(w, buf, (size_t)n, e);
	}
	return r;
}

static int archive_write(const struct pack_walk *walk, int fd, struct ssi_err *e)
{
	struct ssi_tree_writer *w;
	int r = ssi_tree_write(fd, &w, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < walk->n && r >= 0; i++) {
		const struct pack_entry *t = walk->entries[i];

		if (t->link) {
			r = ssi_tree_entry(w, SSI_TREE_LINK, t->path, strlen(t->link), 0, e);
			if (r >= 0)
				r = ssi_tree_bytes(w, t->link, strlen(t->link), e);
		} else if (S_ISDIR(t->st.st_mode)) {
			r = ssi_tree_entry(w, SSI_TREE_FOLDER, t->path, 0, 0, e);
		} else {
			r = archive_file(w, t, e);
		}
	}
	if (r >= 0)
		return ssi_tree_end(w, e);
	ssi_tree_drop(w);
	return r;
}

/* What its libraries need, a line for each name. */
static void archive_needs(const struct pack_walk *w, struct ssi_buf *ret)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct pack_entry *t = w->entries[i];
		struct ssi_arena a = { 0 };
		_cleanup_close_ int fd = S_ISREG(t->st.st_mode) && fnmatch("*.so*", t->path, 0) == 0 ? open(t->from, O_RDONLY | O_CLOEXEC) : -1;
		struct ssi_elf elf = { 0 };

		if (fd >= 0 && ssi_elf_read(fd, t->from, &a, &elf, NULL) >= 0)
			for (size_t k = 0; k < elf.n_needed && ret->len < ARCHIVE_LIBS / 2; k++) {
				_cleanup_free_ char *line = NULL;

				if (strchr(elf.needed[k], '\n') || asprintf(&line, "%s\n", elf.needed[k]) < 0)
					continue;
				if (!ret->data || !strstr(ret->data, line))
					ssi_buf_adds(ret, line);
			}
		ssi_arena_free(&a);
	}
}

/* --- the cache --- */

struct kept { char name[SSI_HASH_HEX + 16]; time_t used; };

static int archive_by_age(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	return (x->used < y->used) - (x->used > y->used);
}

/* The last of the name's parts. */
static void archive_rename(struct kept *k, const char *suffix)
{
	strcpy(strrchr(k->name, '.'), suffix);
}

/* KEY.libs says when the two were used: the archive's own times stay, or its digest would not be remembered. */
static bool archive_look(int dir, const char *name, struct kept *ret)
{
	const char *dot = strrchr(name, '.');
	struct stat st;

	if (!dot || strlen(name) >= sizeof(ret->name) - 8 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (!strncmp(name, "new.", 4) && st.st_mtime + ARCHIVE_YOUNG < time(NULL))
		unlinkat(dir, name, 0);
	*ret = (struct kept){ .used = st.st_mtime };
	strcpy(ret->name, name);
	return !strcmp(dot, ".libs");
}

/* The newest stay. */
static void archive_tidy(const char *folder)
{
	_cleanup_closedir_ DIR *d = opendir(folder);
	struct kept list[4 * ARCHIVE_KEPT];
	struct dirent *de;
	uint64_t bytes = 0;
	size_t n = 0;

	while (d && n < sizeof(list) / sizeof(*list) && (de = readdir(d)))
		n += archive_look(dirfd(d), de->d_name, &list[n]);
	qsort(list, n, sizeof(*list), archive_by_age);
	for (size_t i = 0; i < n; i++) {
		struct stat st;

		archive_rename(&list[i], ".tree");
		bytes += fstatat(dirfd(d), list[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size : 0;
		if (i < ARCHIVE_KEPT && bytes <= ARCHIVE_BYTES)
			continue;
		unlinkat(dirfd(d), list[i].name, 0);
		archive_rename(&list[i], ".libs");
		unlinkat(dirfd(d), list[i].name, 0);
	}
}

/* One that nobody can take for whole: it gets its name at the end. -1: nothing can be kept there. */
static int archive_create(const char *folder, char **ret)
{
	uint64_t number;
	int fd;

	if (!folder || ssi_path_mkdirs(folder, 0700) < 0 || ssi_hash_random(&number, sizeof(number)) < 0 ||
	    asprintf(ret, "%s/new.%016llx", folder, (unsigned long long)number) < 0) {
		*ret = NULL;
		return -1;
	}
	fd = open(*ret, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		free(TAKE_PTR(*ret));
	return fd;
}

static int archive_make(const struct pack_walk *w, const char *tree, const char *libs, int *ret_fd, struct ssi_buf *ret_libs, struct ssi_err *e)
{
	_cleanup_free_ char *young = NULL;
	_cleanup_close_ int fd = archive_create(w->p->trees, &young);
	int r;

	if (fd < 0)
		fd = memfd_create("tree", MFD_CLOEXEC);
	if (fd < 0)
		return ssi_errno(e, -errno, "memory for a tree");
	archive_needs(w, ret_libs);
	r = ret_libs->err ? ssi_errf(e, -ENOMEM, "no memory for a tree") : archive_write(w, fd, e);
	if (r >= 0 && young && (ssi_file_write_atomic(libs, ret_libs->data ? ret_libs->data : "", ret_libs->len, 0600) < 0 || rename(young, tree) < 0))
		unlink(young);                   /* it is open, and serves this once */
	else if (r < 0 && young)
		unlink(young);
	if (r >= 0 && young)
		archive_tidy(w->p->trees);
	if (r >= 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

/* 1: it is there. */
static int archive_find(const char *tree, const char *libs, int *ret_fd, struct ssi_buf *ret_libs)
{
	_cleanup_close_ int fd = open(tree, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_free_ char *text = NULL;

	if (fd < 0 || ssi_file_read(libs, ARCHIVE_LIBS, &text, NULL) < 0)
		return 0;
	utimensat(AT_FDCWD, libs, NULL, AT_SYMLINK_NOFOLLOW);
	ssi_buf_adds(ret_libs, text);
	*ret_fd = TAKE_FD(fd);
	return 1;
}

static int archive_names(struct ssi_pack *p, const struct ssi_buf *text, const char ***ret, size_t *ret_n)
{
	char *copy = ssi_arena_strdup(&p->arena, text->data ? text->data : ""), *line;

	while (copy && (line = strsep(&copy, "\n")))
		if (*line && ssi_arena_push(&p->arena, ret, ret_n, line) < 0)
			return -ENOMEM;
	return p->arena.failed ? -ENOMEM : 0;
}

static int archive_as_file(struct ssi_pack *p, int *fd, const char *name, struct pack_file **ret, struct ssi_err *e)
{
	struct pack_file *f = ssi_arena_alloc(&p->arena, sizeof(*f));

	if (!f)
		return ssi_errf(e, -ENOMEM, "no memory for %s", name);
	f->path = name;
	f->fd = -1;
	if (fstat(*fd, &f->st) < 0)
		return ssi_errno(e, -errno, "%s", name);
	if (ssi_arena_push(&p->arena, &p->files, &p->n_files, f) < 0)
		return ssi_errf(e, -ENOMEM, "no memory for %s", name);
	f->fd = TAKE_FD(*fd);
	*ret = f;
	return pack_digest(p, f, e);
}

int pack_archive(const struct pack_walk *w, const char key[SSI_HASH_HEX], const char *name, struct pack_file **ret, const char ***ret_libs, size_t *ret_n_libs,
	struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf needs = SSI_BUF_INIT;
	_cleanup_close_ int fd = -1;
	const char *folder = w->p->trees ? w->p->trees : "/nonexistent";
	char *tree = ssi_arena_printf(&w->p->arena, "%s/%s.tree", folder, key), *libs = ssi_arena_printf(&w->p->arena, "%s/%s.libs", folder, key);
	int r = tree && libs && key[0] ? 0 : ssi_errf(e, -ENOMEM, "no memory for a tree");

	if (r >= 0 && !archive_find(tree, libs, &fd, &needs))
		r = archive_make(w, tree, libs, &fd, &needs, e);
	if (r >= 0 && archive_names(w->p, &needs, ret_libs, ret_n_libs) < 0)
		r = ssi_errf(e, -ENOMEM, "no memory for a tree");
	return r < 0 ? r : archive_as_file(w->p, &fd, name, ret, e);
}
