/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making an initramfs reproducible. Called by step-initramfs.c on what dracut wrote: dracut 059 leaves the hour of the build, paths of this
 * host and folders for its own hooks in it. Hard links are written as dracut has them: names that share an inode keep sharing one.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "mkimage/cpio.h"

#define CPIO_HEADER 110
#define CPIO_MAGIC "070701"
#define CPIO_END "TRAILER!!!"

/* Fields in the order in which they stand, eight hexadecimal digits each. */
enum { F_INO, F_MODE, F_UID, F_GID, F_NLINK, F_MTIME, F_SIZE, F_DEVMAJOR, F_DEVMINOR, F_RDEVMAJOR, F_RDEVMINOR, F_NAMESIZE, F_CHECK, FIELDS };

struct entry {
	uint32_t field[FIELDS];
	const char *name;       /* NUL-terminated, in the archive */
	const char *data;
};

struct inodes {                 /* old number -> new one, for names that are linked */
	uint32_t *old;
	uint32_t n;
};

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static bool parse_hex(const char *p, uint32_t *ret)
{
	char digits[9] = "", *end;

	memcpy(digits, p, 8);
	*ret = (uint32_t)strtoul(digits, &end, 16);
	return end == digits + 8 && digits[0] != '-' && digits[0] != '+' && digits[0] != ' ';
}

/* Read the entry at *at and move on; -EBADMSG. */
static int read_entry(const char *in, size_t len, size_t *at, struct entry *ret)
{
	size_t name = *at + CPIO_HEADER, data, size;

	if (len - *at < CPIO_HEADER || memcmp(in + *at, CPIO_MAGIC, 6))
		return -EBADMSG;
	for (size_t i = 0; i < FIELDS; i++)
		if (!parse_hex(in + *at + 6 + 8 * i, &ret->field[i]))
			return -EBADMSG;
	size = ret->field[F_NAMESIZE];
	if (size == 0 || size > 4096 || size > len - name || in[name + size - 1] != '\0')
		return -EBADMSG;
	data = padded(name + size);
	if (data > len || ret->field[F_SIZE] > len - data)
		return -EBADMSG;
	ret->name = in + name;
	ret->data = in + data;
	*at = padded(data + ret->field[F_SIZE]);
	return *at > len ? -EBADMSG : 0;
}

/* 0 or -errno, also for what failed while it lay in out's buffer. */
static int write_entry(const struct entry *en, FILE *out)
{
	static const char zero[4];
	size_t name = strlen(en->name) + 1;

	errno = EIO;
	fputs(CPIO_MAGIC, out);
	for (size_t i = 0; i < FIELDS; i++)
		fprintf(out, "%08x", en->field[i]);
	fwrite(en->name, 1, name, out);
	fwrite(zero, 1, padded(CPIO_HEADER + name) - CPIO_HEADER - name, out);
	fwrite(en->data, 1, en->field[F_SIZE], out);
	fwrite(zero, 1, padded(en->field[F_SIZE]) - en->field[F_SIZE], out);
	return ferror(out) ? -errno : 0;
}

static int new_inode(struct inodes *all, uint32_t old, uint32_t nlink, uint32_t *ret)
{
	uint32_t *grown;

	for (uint32_t i = 0; nlink > 1 && i < all->n; i++)
		if (all->old[i] == old) {
			*ret = i + 1;
			return 0;
		}
	grown = reallocarray(all->old, all->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	all->old = grown;
	grown[all->n++] = old;
	*ret = all->n;
	return 0;
}

static bool dropped(const char *name, const char *const *drop, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fnmatch(drop[i], name, 0) == 0)
			return true;
	return false;
}

int cpio_normalise(const char *in, size_t len, uint32_t mtime, const char *const *drop, size_t n_drop, FILE *out, struct ssi_err *e)
{
	struct inodes inodes = { 0 };
	struct entry en;
	size_t at = 0;
	int r;

	do {
		r = read_entry(in, len, &at, &en);
		if (r < 0)
			ssi_errf(e, r, "not a cpio archive in the newc format, at byte %zu", at);
		if (r < 0 || dropped(en.name, drop, n_drop))
			continue;
		if (strcmp(en.name, CPIO_END)) {
			r = new_inode(&inodes, en.field[F_INO], en.field[F_MODE] >> 12 == 4 ? 1 : en.field[F_NLINK], &en.field[F_INO]);
			en.field[F_MTIME] = mtime;
		}
		en.field[F_UID] = en.field[F_GID] = en.field[F_DEVMAJOR] = en.field[F_DEVMINOR] = 0;
		if (r == 0)
			r = write_entry(&en, out);
		if (r < 0)
			ssi_errno(e, r, "%.200s", en.name);
	} while (r == 0 && strcmp(en.name, CPIO_END));
	free(inodes.old);
	if (r == 0 && fflush(out))
		r = ssi_errno(e, -errno, "write");
	return r;
}

/* ---- difference ---- */

struct archive { struct entry *all; size_t n; };

static int archive_read(const char *in, size_t len, struct archive *ret, struct ssi_err *e)
{
	struct entry en, *grown;
	size_t at = 0;

	for (;;) {
		if (read_entry(in, len, &at, &en) < 0)
			return ssi_errf(e, -EBADMSG, "not a cpio archive in the newc format, at byte %zu", at);
		if (!strcmp(en.name, CPIO_END))
			return 0;
		grown = reallocarray(ret->all, ret->n + 1, sizeof(*grown));
		if (!grown)
			return ssi_errno(e, -ENOMEM, "cpio");
		ret->all = grown;
		grown[ret->n++] = en;
	}
}

/* Of names that share an inode one has the data. */
static void archive_unlink(struct archive *a)
{
	for (size_t i = 0; i < a->n; i++)
		for (size_t j = 0; a->all[i].field[F_MODE] >> 12 == 8 && a->all[i].field[F_NLINK] > 1 && !a->all[i].field[F_SIZE] && j < a->n; j++)
			if (a->all[j].field[F_INO] == a->all[i].field[F_INO] && a->all[j].field[F_SIZE]) {
				a->all[i].field[F_SIZE] = a->all[j].field[F_SIZE];
				a->all[i].data = a->all[j].data;
			}
}

static bool archive_has(const struct archive *a, const struct entry *en)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct entry *o = &a->all[i];

		if (!strcmp(o->name, en->name))
			return o->field[F_MODE] == en->field[F_MODE] && o->field[F_SIZE] == en->field[F_SIZE] && !memcmp(o->data, en->data, en->field[F_SIZE]);
	}
	return false;
}

static int difference(const struct archive *base, struct archive *more, FILE *out, struct ssi_err *e)
{
	struct entry end = { .name = CPIO_END, .data = "" };
	uint32_t ino = 0;

	for (size_t i = 0; i < more->n; i++) {
		struct entry *en = &more->all[i];
		int r;

		if (en->field[F_MODE] >> 12 != 4 && archive_has(base, en))
			continue;
		en->field[F_INO] = ++ino;
		en->field[F_NLINK] = en->field[F_MODE] >> 12 == 4 ? 2 : 1;
		r = write_entry(en, out);
		if (r < 0)
			return ssi_errno(e, r, "%.200s", en->name);
	}
	end.field[F_NLINK] = 1;
	end.field[F_NAMESIZE] = sizeof(CPIO_END);
	return write_entry(&end, out) < 0 || fflush(out) ? ssi_errno(e, -errno, "write") : 0;
}

int cpio_difference(const char *base, size_t base_len, const char *more, size_t len, FILE *out, struct ssi_err *e)
{
	struct archive b = { 0 }, m = { 0 };
	int r = archive_read(base, base_len, &b, e);

	if (r == 0)
		r = archive_read(more, len, &m, e);
	if (r == 0) {
		archive_unlink(&b);
		archive_unlink(&m);
		r = difference(&b, &m, out, e);
	}
	free(b.all);
	free(m.all);
	return r;
}
