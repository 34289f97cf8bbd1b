/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole files, read and written. Called by every program that keeps or reads small files; large ones (images) are copied
 * by mkimage itself. The temporary is a dot file beside its target: drop-in readers pass over such names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"

#define FILE_CHUNK 4096

/* st_size says nothing on /proc and /sys, so it is read until the end. */
int ssi_file_read_at(int dir, const char *path, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	size_t len, want = FILE_CHUNK;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) && st.st_size > 0)
		want = ((uint64_t)st.st_size < max ? (size_t)st.st_size : max) + 1;
	do {
		char *to = ssi_buf_reserve(&b, want);

		if (!to)
			return b.err;
		n = ssi_fd_read_full(fd, to, want);
		if (n < 0)
			return (int)n;
		b.len += n;
		if (b.len > max)
			return -EFBIG;
	} while ((size_t)n == want);
	len = b.len;
	if (!ssi_buf_reserve(&b, 0))
		return b.err;
	*ret = ssi_buf_take(&b);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int ssi_file_read(const char *path, size_t max, char **ret, size_t *ret_len)
{
	return ssi_file_read_at(AT_FDCWD, path, max, ret, ret_len);
}

int ssi_file_read_line_at(int dir, const char *path, char *buf, size_t n)
{
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	char line[4096];
	ssize_t got;
	size_t len;

	if (fd < 0)
		return -errno;
	got = ssi_fd_read_full(fd, line, sizeof(line) - 1);
	if (got < 0)
		return (int)got;
	line[got] = '\0';
	len = strcspn(line, "\n");
	if (len >= n)
		return -ENOSPC;
	memcpy(buf, line, len);
	buf[len] = '\0';
	return 0;
}

int ssi_file_read_line(const char *path, char *buf, size_t n)
{
	return ssi_file_read_line_at(AT_FDCWD, path, buf, n);
}

int ssi_file_sync_folder(const char *path)
{
	_cleanup_free_ char *folder = strdup(path);
	_cleanup_close_ int fd = -1;
	char *slash;

	if (!folder)
		return -ENOMEM;
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		return -errno;
	return 0;
}

static int file_fill(int fd, const void *p, size_t n, mode_t mode)
{
	int r = ssi_fd_write_all(fd, p, n);

	if (r < 0)
		return r;
	return fchmod(fd, mode) < 0 || fsync(fd) < 0 ? -errno : 0;
}

int ssi_file_write_atomic(const char *path, const void *p, size_t n, mode_t mode)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	_cleanup_buf_ struct ssi_buf tmp = SSI_BUF_INIT;
	_cleanup_close_ int fd = -1;
	int r;

	if (ssi_buf_addf(&tmp, "%.*s.%s.XXXXXX", (int)(name - path), path, name) < 0)
		return tmp.err;
	fd = mkostemp(tmp.data, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = file_fill(fd, p, n, mode);
	if (r == 0 && rename(tmp.data, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(tmp.data);
		return r;
	}
	return ssi_file_sync_folder(path);
}

int ssi_file_write_if_changed(const char *path, const void *p, size_t n, mode_t mode)
{
	_cleanup_free_ char *old = NULL;
	size_t len;
	int r;

	if (ssi_file_read(path, n, &old, &len) == 0 && len == n && memcmp(old, p, n) == 0)
		return 0;
	r = ssi_file_write_atomic(path, p, n, mode);
	return r < 0 ? r : 1;
}

int ssi_file_poke(const char *path, const char *s)
{
	return ssi_file_poke_at(AT_FDCWD, path, s);
}

int ssi_file_poke_at(int dir, const char *path, const char *s)
{
	_cleanup_close_ int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	size_t n = strlen(s);
	ssize_t r;

	if (fd < 0)
		return -errno;
	do
		r = write(fd, s, n);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return (size_t)r == n ? 0 : -EIO;
}
