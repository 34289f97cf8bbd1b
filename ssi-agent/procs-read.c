/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what was read of this machine's processes the last time. Called by the thread of procs.c. */
#include "ssi-agent/procs-read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"

#define READ_TURN 16                     /* of scans, in which all that seldom changes is read once */
#define READ_ALL 512                     /* so many processes are all read each time; of more the idle ones */
#define READ_IDLE_TURN 4                 /* in so many scans once */
#define READ_HELD 400                    /* files that are held open */
#define READ_HELD_AGE 3
#define READ_IDLE 3                      /* scans without change, and it is idle */
#define PF_KTHREAD 0x00200000u

/* Beside each process that is seen. */
struct known {
	uint64_t stack;
	unsigned idle;
	char *cmdline;
	int stat;                        /* its file, held open when it has lived for some scans: that halves what reading it costs; -1 */
	unsigned age;                    /* scans */
};

struct list { struct ssi_procs_seen *seen; struct known *known; size_t n, cap; };

struct procs_reader {
	int proc;
	DIR *dir;
	struct list now, before;
	unsigned turn, held;
};

int procs_reader_new(int proc, struct procs_reader **ret)
{
	struct procs_reader *r = calloc(1, sizeof(*r));
	int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (r && fd >= 0) {
		r->proc = proc;
		r->dir = fdopendir(fd);
	}
	if (!r || fd < 0 || !r->dir) {
		int e = r ? errno : ENOMEM;

		if (fd >= 0)
			close(fd);
		free(r);
		return -e;
	}
	*ret = r;
	return 0;
}

static void known_free(struct procs_reader *r, struct known *k)
{
	free(k->cmdline);
	if (k->stat >= 0) {
		close(k->stat);
		r->held--;
	}
}

static void list_free(struct procs_reader *r, struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		known_free(r, &l->known[i]);
	free(l->seen);
	free(l->known);
}

void procs_reader_free(struct procs_reader *r)
{
	if (!r)
		return;
	list_free(r, &r->now);
	list_free(r, &r->before);
	closedir(r->dir);
	free(r);
}

/* The next place of the list, or NULL. */
static struct ssi_procs_seen *list_next(struct list *l)
{
	if (l->n == SSI_PROCS_MAX)
		return NULL;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 256;
		struct ssi_procs_seen *seen = reallocarray(l->seen, cap, sizeof(*seen));
		struct known *known;

		if (!seen)
			return NULL;
		l->seen = seen;
		known = reallocarray(l->known, cap, sizeof(*known));
		if (!known)
			return NULL;
		l->known = known;
		l->cap = cap;
	}
	return &l->seen[l->n];
}

static int open_file(int proc, uint32_t pid, const char *file)
{
	char path[32];

	snprintf(path, sizeof(path), "%u/%s", pid, file);
	return openat(proc, path, O_RDONLY | O_CLOEXEC);
}

static ssize_t read_file(int proc, uint32_t pid, const char *file, char *buf, size_t n)
{
	int fd = open_file(proc, pid, file);
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = read(fd, buf, n - 1);
	if (got < 0)
		got = -errno;
	close(fd);
	if (got >= 0)
		buf[got] = '\0';
	return got;
}

/* A file that is held is that of one process, whoever has its number later. */
static ssize_t read_stat(struct procs_reader *r, uint32_t pid, struct known *k, char *buf, size_t n)
{
	ssize_t got;

	if (k->stat < 0 && ++k->age > READ_HELD_AGE && r->held < READ_HELD) {
		k->stat = open_file(r->proc, pid, "stat");
		r->held += k->stat >= 0;
	}
	if (k->stat < 0)
		return read_file(r->proc, pid, "stat", buf, n);
	got = pread(k->stat, buf, n - 1, 0);
	if (got > 0) {
		buf[got] = '\0';
		return got;
	}
	close(k->stat);
	k->stat = -1;
	k->age = 0;
	r->held--;
	return read_file(r->proc, pid, "stat", buf, n);
}

/* What seldom changes. A process that waits for a disk may keep the lock of its memory for long: another time. */
static void read_rest(struct procs_reader *r, struct ssi_procs_seen *s, struct known *k)
{
	char buf[SSI_PROCTABLE_CMDLINE_MAX + 1];
	ssize_t n = read_file(r->proc, s->p.pid, "status", buf, sizeof(buf));

	if (n > 0)
		procs_parse_status(buf, &s->p);
	if (s->p.flags & PF_KTHREAD || s->p.state == 'D')
		return;
	n = read_file(r->proc, s->p.pid, "cmdline", buf, sizeof(buf));
	if (n > 0 && buf[n - 1])
		buf[n < (ssize_t)sizeof(buf) - 1 ? n++ : n - 1] = '\0';
	if (n < 0 || ((size_t)n == s->cmdline_len && (!n || memcmp(buf, s->cmdline, (size_t)n) == 0)))
		return;
	free(k->cmdline);
	k->cmdline = n ? malloc((size_t)n) : NULL;
	if (k->cmdline)
		memcpy(k->cmdline, buf, (size_t)n);
	s->cmdline = k->cmdline;
	s->cmdline_len = k->cmdline ? (size_t)n : 0;
}

static bool is_due(const struct procs_reader *r, uint32_t pid, unsigned turns)
{
	return (r->turn + pid) % turns == 0;
}

/* It goes over from the list before, with all that it owns. */
static void take_over(struct known *k, struct known *knew)
{
	*k = *knew;
	*knew = (struct known){ .stat = -1 };
}

/* One process into the list; was and knew: it as it was before, or NULL. */
static void scan_one(struct procs_reader *r, uint32_t pid, const struct ssi_procs_seen *was, struct known *knew)
{
	struct ssi_procs_seen *s = list_next(&r->now);
	struct known *k = s ? &r->now.known[r->now.n] : NULL;
	uint64_t stack;
	char buf[1024];

	if (!s)
		return;
	*s = was ? *was : (struct ssi_procs_seen){ .p.pid = pid };
	*k = (struct known){ .stat = -1 };
	if (was && r->before.n > READ_ALL && knew->idle >= READ_IDLE && !is_due(r, pid, READ_IDLE_TURN)) {
		take_over(k, knew);
		r->now.n++;
		return;
	}
	if (read_stat(r, pid, knew ?: k, buf, sizeof(buf)) <= 0 || procs_parse_stat(buf, &s->p, &stack) < 0)
		return;                          /* it ended meanwhile */
	if (was && s->p.start != was->p.start) { /* another one by this number */
		*s = (struct ssi_procs_seen){ .p.pid = pid };
		procs_parse_stat(buf, &s->p, &stack);
		was = NULL;
	} else if (was)
		take_over(k, knew);
	if (!was || k->stack != stack || strcmp(s->p.comm, was->p.comm) != 0 || is_due(r, pid, READ_TURN))
		read_rest(r, s, k);
	k->stack = stack;
	k->idle = was && memcmp(&s->p, &was->p, sizeof(s->p)) == 0 ? k->idle + 1 : 0;
	r->now.n++;
}

static void list_swap(struct procs_reader *r)
{
	struct list old = r->before;

	r->before = r->now;
	for (size_t i = 0; i < old.n; i++)
		known_free(r, &old.known[i]);
	old.n = 0;
	r->now = old;
}

static bool pid_of(const char *name, uint32_t *ret)
{
	uint32_t v = 0;

	if (*name < '1' || *name > '9')
		return false;
	for (; *name >= '0' && *name <= '9' && v < SSI_PID_END; name++)
		v = v * 10 + (uint32_t)(*name - '0');
	*ret = v;
	return !*name;
}

/* /proc lists its processes by number. */
int procs_reader_scan(struct procs_reader *r, const struct ssi_procs_seen **ret, size_t *ret_n)
{
	const struct dirent *de;
	uint32_t pid, last = 0;
	size_t at = 0;

	list_swap(r);
	r->turn++;
	rewinddir(r->dir);
	errno = 0;
	while ((de = readdir(r->dir))) {
		struct list *b = &r->before;
		bool is;

		if (!pid_of(de->d_name, &pid) || pid <= last)
			continue;
		last = pid;
		while (at < b->n && b->seen[at].p.pid < pid)
			at++;
		is = at < b->n && b->seen[at].p.pid == pid;
		scan_one(r, pid, is ? &b->seen[at] : NULL, is ? &b->known[at] : NULL);
	}
	if (errno && !r->now.n)
		return -errno;
	*ret = r->now.seen;
	*ret_n = r->now.n;
	return 0;
}
