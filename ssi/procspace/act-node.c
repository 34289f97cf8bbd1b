/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns nothing but the way to /proc. Called by ccm; never waits. */
#include "ssi/procspace/act-node.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "ssi/procspace/procs-head.h"
#include "ssi/procspace/procspace.pb-c.h"

struct ssi_act_node { int proc; };

/* Field 22 of /proc/PID/stat, in 1/100 s. */
static int started(int proc, pid_t pid, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	char path[32], *at;
	uint64_t ticks;
	int r;

	/* Not its first line: a process may have a newline in its name. */
	snprintf(path, sizeof(path), "%d/stat", (int)pid);
	r = ssi_file_read_at(proc, path, 4096, &text, NULL);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64, &ticks) != 1)
		return -EIO;
	*ret = ticks * 100 / (uint64_t)sysconf(_SC_CLK_TCK);
	return 0;
}

/* 0 if it is his, -EPERM. */
static int owned(int proc, pid_t pid, uid_t uid)
{
	_cleanup_free_ char *text = NULL;
	unsigned real, saved;
	char path[32], *at;
	int r;

	if (uid == 0)
		return 0;
	snprintf(path, sizeof(path), "%d/status", (int)pid);
	r = ssi_file_read_at(proc, path, 65536, &text, NULL);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	at = strstr(text, "\nUid:");
	if (!at || sscanf(at, "\nUid: %u %*u %u", &real, &saved) != 2)
		return -EIO;
	return uid == real || uid == saved ? 0 : -EPERM;
}

static int set_affinity(pid_t pid, const Ssi__Procspace__Act *m)
{
	unsigned long mask[SSI_PROCS_MASK] = { 0 };

	_Static_assert(sizeof(unsigned long) == sizeof(uint64_t), "a word of a mask is one of the kernel's");
	for (size_t i = 0; i < m->n_mask && i < SSI_PROCS_MASK; i++)
		mask[i] = m->mask[i];
	return syscall(SYS_sched_setaffinity, pid, sizeof(mask), mask) < 0 ? -errno : 0;
}

static int get_affinity(pid_t pid, uint64_t ret[SSI_PROCS_MASK], size_t *ret_n)
{
	long n = syscall(SYS_sched_getaffinity, pid, SSI_PROCS_MASK * sizeof(*ret), ret);

	if (n < 0)
		return -errno;
	*ret_n = (size_t)n / sizeof(*ret);
	return 0;
}

/* A user who is not root may make things nicer, not less nice. */
static int set_nice(pid_t pid, uid_t uid, int value)
{
	int now;

	errno = 0;
	now = getpriority(PRIO_PROCESS, (id_t)pid);
	if (now == -1 && errno)
		return -errno;
	if (uid != 0 && value < now)
		return -EACCES;
	return setpriority(PRIO_PROCESS, (id_t)pid, value) < 0 ? -errno : 0;
}

static int act(struct ssi_act_node *a, const Ssi__Procspace__Act *m, uint64_t mask[SSI_PROCS_MASK], size_t *n_mask)
{
	_cleanup_close_ int fd = -1;
	pid_t pid = (pid_t)m->pid;
	uint64_t start = 0;
	int r;

	if (pid <= 0)
		return -EINVAL;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return -errno;
	r = started(a->proc, pid, &start);
	if (r >= 0 && start != m->start)
		r = -ESRCH;
	if (r >= 0 && m->what != SSI__PROCSPACE__ACT__WHAT__GET_AFFINITY)
		r = owned(a->proc, pid, m->uid);
	if (r < 0)
		return r;
	switch (m->what) {
	case SSI__PROCSPACE__ACT__WHAT__SIGNAL:
		return syscall(SYS_pidfd_send_signal, fd, m->value, NULL, 0) < 0 ? -errno : 0;
	case SSI__PROCSPACE__ACT__WHAT__NICE:
		return set_nice(pid, m->uid, m->value);
	case SSI__PROCSPACE__ACT__WHAT__AFFINITY:
		return set_affinity(pid, m);
	case SSI__PROCSPACE__ACT__WHAT__GET_AFFINITY:
		return get_affinity(pid, mask, n_mask);
	default:
		return -EINVAL;
	}
}

static int on_act(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	Ssi__Procspace__Act *m = ssi__procspace__act__unpack(NULL, f->size, body);
	Ssi__Procspace__Acted answer = SSI__PROCSPACE__ACTED__INIT;
	uint64_t mask[SSI_PROCS_MASK];
	uint8_t buf[16 + 11 * SSI_PROCS_MASK];

	if (!m)
		return -EBADMSG;
	answer.error = (uint32_t)-act(userdata, m, mask, &answer.n_mask);
	answer.mask = mask;
	ssi__procspace__act__free_unpacked(m, NULL);
	ssi_ccm_send(c, SSI_MOD_PROCSPACE, SSI_PROCSPACE_ACTED, f->sequence, buf, ssi__procspace__acted__pack(&answer, buf));
	return 0;
}

int ssi_act_node_new(struct ssi_ccm *m, int proc, struct ssi_act_node **ret)
{
	struct ssi_act_node *a = malloc(sizeof(*a));
	const struct ssi_ccm_rule rule = { SSI_MOD_PROCSPACE, SSI_PROCSPACE_ACT, 512, SSI_FROM_MASTER, on_act, a };
	int r = a ? ssi_ccm_register(m, &rule, 1) : -ENOMEM;

	if (r < 0) {
		free(a);
		return r;
	}
	a->proc = proc;
	*ret = a;
	return 0;
}

void ssi_act_node_free(struct ssi_act_node *a)
{
	free(a);
}
