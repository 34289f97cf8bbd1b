/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locks and their holders. Called by the store. The kernel tells holders in /proc/locks; one in another pid namespace has no name there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/tty.h"
#include "mkimage/holder.h"

#define HOLDER_LOCKS_MAX (4u << 20)

bool holder_is_held(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static void add_name(struct ssi_buf *to, int pid)
{
	char path[64], name[64] = "a process";

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (pid > 0)
		ssi_file_read_line(path, name, sizeof(name));
	ssi_buf_addf(to, "%s%s", to->len ? ", " : "", ssi_tty_clean(name, false));      /* any process may call itself anything */
	if (pid > 0)
		ssi_buf_addf(to, " (pid %d)", pid);
}

/* Lines "1: FLOCK  ADVISORY  READ 812 fd:01:12345 0 EOF". */
static void find_holders(const struct stat *st, struct ssi_buf *to)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (ssi_file_read("/proc/locks", HOLDER_LOCKS_MAX, &text, NULL) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned dev_major, dev_minor;
		unsigned long long inode;
		int pid;

		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%llu", &pid, &dev_major, &dev_minor, &inode) == 4 &&
		    makedev(dev_major, dev_minor) == st->st_dev && inode == st->st_ino)
			add_name(to, pid);
	}
}

int holder_take(const char *path, struct ssi_err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct ssi_buf names = SSI_BUF_INIT;
	struct stat st;

	if (fd < 0)
		return ssi_errno(e, -errno, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return TAKE_FD(fd);
	if (errno != EWOULDBLOCK)
		return ssi_errno(e, -errno, "%s", path);
	if (fstat(fd, &st) == 0)
		find_holders(&st, &names);
	return ssi_errf(e, -EBUSY, "in use by %s", names.len ? names.data : "another process");
}
