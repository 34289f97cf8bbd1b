/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paths as text, and folders made and removed. Called by mkimage and bootsvc. Removing is careful: it never follows a
 * link and never steps into another mount, bind mounts included, so that a build tree with the host's /dev in it is safe.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/path.h"

char *ssi_path_join(const char *a, const char *b)
{
	_cleanup_buf_ struct ssi_buf p = SSI_BUF_INIT;
	size_t n = strlen(a);

	while (n > 1 && a[n - 1] == '/')
		n--;
	ssi_buf_add(&p, a, n);
	if (n && a[n - 1] != '/')
		ssi_buf_adds(&p, "/");
	ssi_buf_adds(&p, b);
	return ssi_buf_take(&p);
}

char *ssi_path_join3(const char *a, const char *b, const char *c)
{
	_cleanup_free_ char *ab = ssi_path_join(a, b);

	return ab ? ssi_path_join(ab, c) : NULL;
}

char *ssi_path_search(const char **at, const char *name)
{
	const char *folder = *at;
	size_t n;
	char *path;

	if (!folder)
		return NULL;
	n = strcspn(folder, ":");
	*at = folder[n] ? folder + n + 1 : NULL;
	return asprintf(&path, "%.*s%s%s", (int)n, folder, n ? "/" : "./", name) < 0 ? NULL : path;
}

bool ssi_path_is_name(const char *s)
{
	static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-";
	size_t n = strlen(s);

	return n > 0 && n <= 64 && strspn(s, ok) == n && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static int path_mkdir(const char *path, mode_t mode)
{
	struct stat st;
	int r;

	if (mkdir(path, mode) == 0)
		return 0;
	r = -errno;
	if (stat(path, &st) < 0)      /* it may stand although we may not make it: EACCES, EROFS */
		return r;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int ssi_path_mkdirs(const char *path, mode_t mode)
{
	_cleanup_free_ char *p = strdup(path);
	int r;

	if (!p)
		return -ENOMEM;
	for (char *s = p + 1; *p && *s; s++) {
		if (*s != '/' || s[-1] == '/')
			continue;
		*s = '\0';
		r = path_mkdir(p, mode);
		*s = '/';
		if (r < 0)
			return r;
	}
	return path_mkdir(p, mode);
}

/* Open a folder, but neither through a link nor in another mount (-EXDEV). One that its owner may not read is made readable. */
static int path_open_dir(int at, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
	};
	long fd = syscall(SYS_openat2, at, name, &how, sizeof(how));

	if (fd < 0 && errno == EACCES && fchmodat(at, name, 0700, 0) == 0)
		fd = syscall(SYS_openat2, at, name, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

static int path_rm_at(int at, const char *name);

static int path_rm_inside(int at, const char *name)
{
	_cleanup_close_ int fd = path_open_dir(at, name);
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *de;
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && (st.st_mode & 0300) != 0300)
		fchmod(fd, st.st_mode | 0700);
	d = fdopendir(fd);
	if (!d)
		return -errno;
	fd = -1;
	while (errno = 0, (de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		r = path_rm_at(dirfd(d), de->d_name);
		if (r < 0)
			return r;
	}
	return -errno;
}

static int path_rm_at(int at, const char *name)
{
	int r;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	r = path_rm_inside(at, name);
	if (r < 0)
		return r == -ENOTDIR ? -EPERM : r;
	return unlinkat(at, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int ssi_path_rmtree(const char *path)
{
	_cleanup_free_ char *folder = strdup(path);
	_cleanup_close_ int at = -1;
	size_t n = strlen(path);
	char *slash;

	if (!folder)
		return -ENOMEM;
	while (n > 1 && folder[n - 1] == '/')
		folder[--n] = '\0';
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	if (!n || (slash && !slash[1]))
		return -EINVAL;
	at = open(!slash ? "." : slash == folder ? "/" : folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return errno == ENOENT ? 0 : -errno;
	return path_rm_at(at, slash ? slash + 1 : folder);
}

const char *ssi_path_last(const char *path, size_t n, size_t *ret_n)
{
	const char *slash = n ? memrchr(path, '/', n) : NULL;
	const char *last = slash && slash + 1 < path + n ? slash + 1 : path;

	*ret_n = n - (size_t)(last - path);
	return last;
}
