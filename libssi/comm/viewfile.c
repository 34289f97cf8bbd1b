/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a reader's hold on a file of RUN/view. Called by the verbs that show nodes and processes, and by the merged view. The file's own time of change is
 * when it was written.
 */
#include "libssi/comm/viewfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/base/path.h"

struct ssi_viewfile {
	char *path;
	int wanted, news;                /* the lock; an inotify of the folder, made when it is waited on first */
	const void *map;
	size_t n;
	ino_t ino;
	uint64_t written_ns;
};

int ssi_viewfile_open(const char *folder, const char *name, struct ssi_viewfile **ret, struct ssi_err *e)
{
	const char *in = folder ?: getenv("SSI_VIEW_DIR") ?: SSI_RUNDIR "/view";
	_cleanup_free_ char *wanted = ssi_path_join(in, "wanted");
	struct ssi_viewfile *f = calloc(1, sizeof(*f));
	int r;

	if (!f || !wanted) {
		free(f);
		return ssi_errno(e, -ENOMEM, "%s", in);
	}
	*f = (struct ssi_viewfile){ .path = ssi_path_join(in, name), .wanted = open(wanted, O_RDONLY | O_CLOEXEC), .news = -1 };
	r = !f->path ? -ENOMEM : f->wanted < 0 ? -errno : 0;
	if (r < 0) {
		ssi_viewfile_close(f);
		return r == -ENOENT ? ssi_errf(e, r, "%s is not there: does ssi-bootsvc run on this machine?", wanted) : ssi_errno(e, r, "%s", wanted);
	}
	flock(f->wanted, LOCK_SH | LOCK_NB);     /* if it fails somebody holds it for himself, and that is as good */
	*ret = f;
	return 0;
}

static void unmap(struct ssi_viewfile *f)
{
	if (f->map)
		munmap((void *)f->map, f->n);
	f->map = NULL;
	f->n = 0;
}

void ssi_viewfile_close(struct ssi_viewfile *f)
{
	if (!f)
		return;
	unmap(f);
	if (f->wanted >= 0)
		close(f->wanted);
	if (f->news >= 0)
		close(f->news);
	free(f->path);
	free(f);
}

/* 1: another one; 0: the same; -errno. */
static int map_now(struct ssi_viewfile *f)
{
	_cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint64_t ns;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	if (f->map && st.st_ino == f->ino && ns == f->written_ns)
		return 0;
	if (st.st_size <= 0)
		return -EBADMSG;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	unmap(f);
	f->map = p;
	f->n = (size_t)st.st_size;
	f->ino = st.st_ino;
	f->written_ns = ns;
	return 1;
}

/* Until something happens in the folder, or the time is over. */
static void wait_news(struct ssi_viewfile *f, uint64_t until)
{
	uint64_t now = ssi_clock_mono_ms();
	struct pollfd p = { .fd = f->news, .events = POLLIN };
	char events[4096];

	if (now < until && poll(&p, 1, (int)(until - now)) > 0 && read(f->news, events, sizeof(events)) < 0)
		p.revents = 0;
}

static int watch(struct ssi_viewfile *f)
{
	_cleanup_free_ char *folder = strndup(f->path, (size_t)(strrchr(f->path, '/') - f->path));

	if (f->news >= 0)
		return 0;
	f->news = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return f->news < 0 || !folder || inotify_add_watch(f->news, folder, IN_MOVED_TO) < 0 ? -errno : 0;
}

int ssi_viewfile_map(struct ssi_viewfile *f, uint64_t newer_ms, unsigned wait_ms, const void **ret, size_t *ret_n, struct ssi_err *e)
{
	uint64_t until = ssi_clock_mono_ms() + wait_ms;
	bool another = false;
	int r = newer_ms && wait_ms ? watch(f) : 0;

	if (r < 0)
		return ssi_errno(e, r, "watch for %s", f->path);
	for (;;) {
		r = map_now(f);
		another |= r > 0;
		if ((r < 0 && r != -ENOENT) || (r >= 0 && f->written_ns / 1000000 >= newer_ms) || ssi_clock_mono_ms() >= until)
			break;
		wait_news(f, until);
	}
	if (r < 0 && !f->map)
		return ssi_errno(e, r, "%s", f->path);
	*ret = f->map;
	*ret_n = f->n;
	return another;
}
