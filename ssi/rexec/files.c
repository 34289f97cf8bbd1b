/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the tar streams of jobs. Called by node-files on a node, and by ssi run where the job was started. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "ssi/rexec/files.h"

#define FILES_BLOCK (128u << 10)

static int files_error(struct ssi_err *e, struct archive *a, const char *what)
{
	int code = archive_errno(a);
	const char *text = archive_error_string(a);

	return ssi_errf(e, code > 0 ? -code : -EBADMSG, "%s: %s", what, text ? text : "not a tar stream");
}

static void files_read_free(struct archive **a) { if (*a) archive_read_free(*a); }
static void files_write_free(struct archive **a) { if (*a) archive_write_free(*a); }
static void files_entry_free(struct archive_entry **x) { if (*x) archive_entry_free(*x); }

/* --- from files to the stream --- */

static int files_data(struct archive *disk, struct archive *out, const char *name, struct ssi_err *e)
{
	const void *p;
	size_t n;
	la_int64_t offset, at = 0;
	int r;

	while ((r = archive_read_data_block(disk, &p, &n, &offset)) == ARCHIVE_OK) {
		static const char zero[4096];

		for (; at < offset; at += (la_int64_t)sizeof(zero)) {        /* a hole */
			size_t hole = offset - at < (la_int64_t)sizeof(zero) ? (size_t)(offset - at) : sizeof(zero);

			if (archive_write_data(out, zero, hole) < 0)
				return files_error(e, out, name);
		}
		if (archive_write_data(out, p, n) < 0)
			return files_error(e, out, name);
		at = offset + (la_int64_t)n;
	}
	return r == ARCHIVE_EOF ? 0 : files_error(e, disk, name);
}

static int files_one(struct archive *disk, struct archive *out, struct archive_entry *x, size_t skip, struct ssi_err *e)
{
	_cleanup_free_ char *name = strdup(archive_entry_pathname(x));
	const char *below = name ? name + (strlen(name) > skip ? skip : strlen(name)) : "";

	if (!name)
		return ssi_errf(e, -ENOMEM, "no memory for files");
	below += strspn(below, "/");
	if (!below[0] || archive_entry_filetype(x) == AE_IFSOCK)
		return 0;                    /* the folder itself; a socket is nothing elsewhere */
	archive_entry_set_pathname(x, below);
	archive_entry_set_uname(x, NULL);
	archive_entry_set_gname(x, NULL);
	archive_entry_set_uid(x, 0);
	archive_entry_set_gid(x, 0);
	archive_entry_sparse_clear(x);
	if (archive_write_header(out, x) < ARCHIVE_OK)
		return files_error(e, out, below);
	return archive_entry_size(x) > 0 && archive_entry_filetype(x) == AE_IFREG ? files_data(disk, out, below, e) : 0;
}

static int files_walk(struct archive *disk, struct archive *out, const char *path, size_t skip, struct ssi_err *e)
{
	SSI_CLEANUP(files_entry_free) struct archive_entry *x = archive_entry_new2(disk);
	int r = 0;

	if (!x)
		return ssi_errf(e, -ENOMEM, "no memory for files");
	if (archive_read_disk_open(disk, path) != ARCHIVE_OK)
		return files_error(e, disk, path);
	while (r == 0) {
		int k;

		archive_entry_clear(x);
		k = archive_read_next_header2(disk, x);
		if (k == ARCHIVE_EOF)
			break;
		if (k != ARCHIVE_OK)
			return files_error(e, disk, path);
		archive_read_disk_descend(disk);
		r = files_one(disk, out, x, skip, e);
	}
	return r;
}

int ssi_files_pack(const char *path, int fd, struct ssi_err *e)
{
	SSI_CLEANUP(files_read_free) struct archive *disk = archive_read_disk_new();
	SSI_CLEANUP(files_write_free) struct archive *out = archive_write_new();
	const char *base = strrchr(path, '/');
	struct stat st;
	int r;

	if (!disk || !out)
		return ssi_errf(e, -ENOMEM, "no memory for files");
	if (stat(path, &st) < 0)
		return ssi_errno(e, -errno, "%s", path);
	archive_read_disk_set_symlink_physical(disk);
	archive_read_disk_set_behavior(disk, ARCHIVE_READDISK_NO_XATTR | ARCHIVE_READDISK_NO_ACL | ARCHIVE_READDISK_NO_FFLAGS);
	archive_write_set_format_pax_restricted(out);
	archive_write_set_bytes_per_block(out, (int)FILES_BLOCK);
	archive_write_set_bytes_in_last_block(out, 1);
	if (archive_write_open_fd(out, fd) != ARCHIVE_OK)
		return files_error(e, out, path);
	r = files_walk(disk, out, path, S_ISDIR(st.st_mode) ? strlen(path) : base ? (size_t)(base + 1 - path) : 0, e);
	if (r == 0 && archive_write_close(out) != ARCHIVE_OK)
		r = files_error(e, out, path);
	return r;
}

/* --- and back --- */

static int files_take(struct archive *in, struct archive *disk, struct archive_entry *x, struct ssi_err *e)
{
	const char *name = archive_entry_pathname(x);
	const void *p;
	size_t n;
	la_int64_t offset;
	int r;

	if (!name)
		return ssi_errf(e, -EBADMSG, "a file without a name");
	if (archive_write_header(disk, x) < ARCHIVE_OK)
		return files_error(e, disk, name);
	while ((r = archive_read_data_block(in, &p, &n, &offset)) == ARCHIVE_OK)
		if (archive_write_data_block(disk, p, n, offset) < ARCHIVE_OK)
			return files_error(e, disk, name);
	if (r != ARCHIVE_EOF)
		return files_error(e, in, name);
	return archive_write_finish_entry(disk) < ARCHIVE_OK ? files_error(e, disk, name) : 0;
}

int ssi_files_unpack(int fd, struct ssi_err *e)
{
	SSI_CLEANUP(files_read_free) struct archive *in = archive_read_new();
	SSI_CLEANUP(files_write_free) struct archive *disk = archive_write_disk_new();
	struct archive_entry *x;
	int r = 0, k;

	if (!in || !disk)
		return ssi_errf(e, -ENOMEM, "no memory for files");
	archive_write_disk_set_options(disk, ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_SPARSE | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
				       ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
	archive_read_support_format_tar(in);
	if (archive_read_open_fd(in, fd, FILES_BLOCK) != ARCHIVE_OK)
		return files_error(e, in, "files");
	while (r == 0 && (k = archive_read_next_header(in, &x)) != ARCHIVE_EOF)
		r = k < ARCHIVE_OK ? files_error(e, in, "files") : files_take(in, disk, x, e);
	if (r == 0 && archive_write_close(disk) != ARCHIVE_OK)
		r = files_error(e, disk, "files");
	return r;
}
