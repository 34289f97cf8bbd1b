/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who answers the filter's questions. What is asked of a node is asked by a child, so that a node that is slow holds up its own caller only; the rest is
 * answered from the tables. A caller that is gone, or was interrupted, is noticed by the kernel: the answer goes nowhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "ssi/view/act.h"
#include "ssi/view/guard.h"
#include "ssi/view/view.h"

#define STANDS_MAX 256
#define LOOK_MS 500
#define ASKED_MAX 16                     /* that are asked of nodes at once: root's processes, which no limit of the user's counts */
#define ASKED_S 120                      /* more than any answer takes; a page of the caller's memory may never come */

/* A local process that stands for a remote one, so that there is a pidfd of it: it ends when that one has. */
struct stand { uint32_t pid; uint64_t start_ms; pid_t local; int pidfd; };
struct guard {
	struct view view;
	int listener;
	const char *dir;
	struct stand stands[STANDS_MAX];
	size_t n_stands, n_children;             /* stands are children too */
};
struct question {
	const struct seccomp_notif *n;
	uint32_t pid;                    /* the remote process; 0: the caller itself */
	struct act_caller who;
};

/*
 * Is the caller still in that call? What was read of it by its number counts only if so, asked afterwards: a signal takes it out of the call, and then it may
 * have executed a setuid program, or ended, and its number be another's.
 */
static bool still_asks(const struct guard *g, const struct question *q)
{
	return ioctl(g->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &q->n->id) == 0;
}

/* Do numbers mean the same to the caller as here? Not in a pid namespace of its own. */
static bool same_numbers(const struct guard *g, uint32_t pid)
{
	char path[32], theirs[64] = "", ours[64] = "";

	snprintf(path, sizeof(path), "%" PRIu32 "/ns/pid", pid);
	return readlinkat(g->view.proc, path, theirs, sizeof(theirs) - 1) > 0 && readlinkat(g->view.proc, "self/ns/pid", ours, sizeof(ours) - 1) > 0 &&
	       !strcmp(theirs, ours);
}

/* As fork(2), with a bound. */
static pid_t child(struct guard *g)
{
	pid_t pid = -1;

	if (g->n_children < ASKED_MAX + STANDS_MAX)
		pid = fork();
	g->n_children += pid > 0;
	return pid;
}

static void reap(struct guard *g)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		g->n_children--;
}

/* --- the caller's memory --- */
static int memory(const struct guard *g, const struct question *q, uint64_t at, void *p, size_t n, bool write_it)
{
	_cleanup_close_ int fd = -1;
	char path[32];
	ssize_t k;

	snprintf(path, sizeof(path), "%" PRIu32 "/mem", q->n->pid);
	fd = openat(g->view.proc, path, (write_it ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* It is that process's memory still? Its number may be another's by now. */
	if (ioctl(g->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &q->n->id) < 0)
		return -ESRCH;
	k = write_it ? pwrite(fd, p, n, (off_t)at) : pread(fd, p, n, (off_t)at);
	return k == (ssize_t)n ? 0 : -EFAULT;
}

/* --- processors: the numbers here, and the node's own --- */
static int answer_mask(const struct guard *g, const struct question *q, const uint64_t *mask)
{
	size_t need = (g->view.snap.cpus + 63) / 64 * 8, len = q->n->data.args[1];
	int r;

	if (len < need || len % 8 || need > ACT_MASK_HERE * sizeof(*mask))
		return -EINVAL;
	r = memory(g, q, q->n->data.args[2], (void *)mask, need, true);
	return r < 0 ? r : (int)need;
}

static int own_affinity(struct guard *g, const struct question *q)
{
	uint64_t mask[ACT_MASK_HERE] = { 0 };
	cpu_set_t local;

	if (sched_getaffinity((pid_t)q->n->pid, sizeof(local), &local) < 0)
		return -errno;
	for (uint32_t i = 0; i < g->view.snap.cpus && i < ACT_MASK_HERE * 64; i++)
		if (i >= g->view.snap.local_cpus || (i < CPU_SETSIZE && CPU_ISSET(i, &local)))
			mask[i / 64] |= UINT64_C(1) << i % 64;
	return answer_mask(g, q, mask);
}

static const struct snapshot_node *node_of(const struct guard *g, uint32_t pid)
{
	const struct ssi_proctable_process *p = snapshot_process(&g->view.snap, pid);

	return p ? snapshot_node(&g->view.snap, ssi_proctable_node(&g->view.snap.table, p)->number) : NULL;
}

static int get_affinity(struct guard *g, const struct question *q)
{
	uint64_t theirs[ACT_MASK] = { 0 }, mask[ACT_MASK_HERE] = { 0 };
	const struct snapshot_node *n = node_of(g, q->pid);
	int r = n ? act_get_affinity(g->dir, &q->who, q->pid, theirs) : -ESRCH;

	for (uint32_t i = 0; r == 0 && i < n->load.shape.n_cpus && n->first_cpu + i < ACT_MASK_HERE * 64; i++) {
		uint32_t number = n->load.shape.cpus[i].number, here = n->first_cpu + i;

		if (number < ACT_MASK * 64 && theirs[number / 64] & UINT64_C(1) << number % 64)
			mask[here / 64] |= UINT64_C(1) << here % 64;
	}
	return r < 0 ? r : answer_mask(g, q, mask);
}

static int set_affinity(struct guard *g, const struct question *q)
{
	uint64_t theirs[ACT_MASK] = { 0 }, mask[ACT_MASK_HERE] = { 0 };
	const struct snapshot_node *n = node_of(g, q->pid);
	size_t len = q->n->data.args[1] < sizeof(mask) ? q->n->data.args[1] : sizeof(mask);
	int r = n ? memory(g, q, q->n->data.args[2], mask, len, false) : -ESRCH;
	bool any = false;

	for (uint32_t i = 0; r == 0 && i < n->load.shape.n_cpus && n->first_cpu + i < ACT_MASK_HERE * 64; i++) {
		uint32_t number = n->load.shape.cpus[i].number, here = n->first_cpu + i;

		if (number < ACT_MASK * 64 && mask[here / 64] & UINT64_C(1) << here % 64) {
			theirs[number / 64] |= UINT64_C(1) << number % 64;
			any = true;
		}
	}
	return r < 0 ? r : any ? act_set_affinity(g->dir, &q->who, q->pid, theirs) : -EINVAL;
}

/* --- signals and priorities --- */
static int signal_one(struct guard *g, const struct question *q, uint32_t pid, int sig)
{
	if (sig < 0 || sig > SIGRTMAX)
		return -EINVAL;
	return snapshot_process(&g->view.snap, pid) ? act_signal(g->dir, &q->who, pid, sig) : -ESRCH;
}

/* As kill(2) of a group: it is enough that one of it could be signalled. */
static int signal_group(struct guard *g, const struct question *q, uint32_t group, int sig)
{
	const struct ssi_proctable *t = &g->view.snap.table;
	int r = -ESRCH, k;

	for (uint32_t i = 0; t->head && i < t->head->n; i++)
		if (t->processes[i].pgrp == group) {
			k = signal_one(g, q, t->processes[i].pid, sig);
			r = k == 0 || r == -ESRCH ? (r == 0 ? 0 : k) : r;
		}
	return r;
}

static int get_priority(struct guard *g, const struct question *q)
{
	const struct ssi_proctable_process *p = snapshot_process(&g->view.snap, q->pid);

	if (q->n->data.args[0] != PRIO_PROCESS)
		return -ESRCH;
	return p ? 20 - p->on_node.nice : -ESRCH;
}

static int set_priority(struct guard *g, const struct question *q)
{
	int nice = (int)q->n->data.args[2];

	if (q->n->data.args[0] != PRIO_PROCESS || !snapshot_process(&g->view.snap, q->pid))
		return -ESRCH;
	return act_nice(g->dir, &q->who, q->pid, nice < -20 ? -20 : nice > 19 ? 19 : nice);
}

/* What a node has to be asked for. */
static int ask(struct guard *g, const struct question *q)
{
	const __u64 *a = q->n->data.args;
	int first = (int)a[0];

	switch (q->n->data.nr) {
	case SYS_kill: return first < 0 ? signal_group(g, q, (uint32_t)-first, (int)a[1]) : signal_one(g, q, q->pid, (int)a[1]);
	case SYS_tkill:
	case SYS_rt_sigqueueinfo: return signal_one(g, q, q->pid, (int)a[1]);
	case SYS_tgkill: return (int)a[1] == first ? signal_one(g, q, q->pid, (int)a[2]) : -ESRCH;
	case SYS_setpriority: return set_priority(g, q);
	case SYS_sched_setaffinity: return set_affinity(g, q);
	case SYS_sched_getaffinity: return get_affinity(g, q);
	default: return -ENOSYS;
	}
}

static void answer(const struct guard *g, const struct seccomp_notif *n, int r, uint32_t flags)
{
	struct seccomp_notif_resp resp = { .id = n->id, .val = r > 0 && !flags ? r : 0, .error = r < 0 ? r : 0, .flags = flags };

	ioctl(g->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

/* --- pidfds --- */
static pid_t stand(struct guard *g)
{
	pid_t pid = child(g);
	sigset_t all;

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "ssi-stand");
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (;;)
		pause();
}

/* A pidfd that becomes readable when the process is gone from the table. */
static int open_pidfd(struct guard *g, const struct question *q)
{
	const struct ssi_proctable_process *p = snapshot_process(&g->view.snap, q->pid);
	struct seccomp_notif_addfd add = { .id = q->n->id, .newfd_flags = O_CLOEXEC, .flags = SECCOMP_ADDFD_FLAG_SEND };
	struct stand *s;

	if (!p || q->n->data.args[1])
		return p ? -EINVAL : -ESRCH;
	if (g->n_stands == STANDS_MAX)
		return -EMFILE;
	s = &g->stands[g->n_stands];
	*s = (struct stand){ .pid = q->pid, .start_ms = p->start_ms, .local = stand(g), .pidfd = -1 };
	if (s->local < 0)
		return -ENOMEM;
	s->pidfd = pidfd_open(s->local, 0);
	if (s->pidfd < 0) {
		kill(s->local, SIGKILL);         /* a child that was not waited for has its number still */
		return -EMFILE;
	}
	add.srcfd = (uint32_t)s->pidfd;
	g->n_stands++;
	return ioctl(g->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? -errno : 0;
}

static void end_stands(struct guard *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_stands; i++) {
		struct stand *s = &g->stands[i];
		const struct ssi_proctable_process *p = snapshot_process(&g->view.snap, s->pid);

		if (p && p->start_ms == s->start_ms && p->on_node.state != 'Z') {
			g->stands[n++] = *s;
			continue;
		}
		/* By its pidfd: it may have been killed, and its number be another's. */
		if (s->pidfd >= 0) {
			pidfd_send_signal(s->pidfd, SIGKILL, NULL, 0);
			close(s->pidfd);
		}
	}
	g->n_stands = n;
}

/* As whom the caller may ask: kill(2) takes its real identity or its effective one, whichever may. */
static bool caller(struct guard *g, struct question *q)
{
	const struct ssi_proctable_process *p = snapshot_process(&g->view.snap, q->pid);
	uid_t uid, euid;

	if (!local_uids(&g->view, (pid_t)q->n->pid, &uid, &euid))
		return false;
	q->who.uid = p && euid != 0 && uid != euid && (uid == p->on_node.uid[0] || uid == p->on_node.uid[2]) ? uid : euid;
	return still_asks(g, q);
}

/* The process that the caller's descriptor means: a folder of the view (as killall has it), or the pidfd of a stand. 0: neither; *ret_local: a local one. */
static uint32_t fd_process(const struct guard *g, uint32_t pid, int fd, bool *ret_local)
{
	_cleanup_free_ char *text = NULL;
	char path[48], to[64];
	const char *line;
	uint32_t number;
	ssize_t k;

	snprintf(path, sizeof(path), "%" PRIu32 "/fd/%d", pid, fd);
	k = readlinkat(g->view.proc, path, to, sizeof(to) - 1);
	to[k > 0 ? k : 0] = '\0';
	if (!strncmp(to, "/proc/", 6) && local_number(to + 6, &number) == 0) {
		*ret_local = number < SSI_PID_REMOTE_FIRST;
		return number;
	}
	snprintf(path, sizeof(path), "%" PRIu32 "/fdinfo/%d", pid, fd);
	if (!strstr(to, "pidfd") || ssi_file_read_at(g->view.proc, path, 4096, &text, NULL) < 0 || !(line = strstr(text, "\nPid:")))
		return 0;
	for (size_t i = 0; i < g->n_stands; i++)
		if (atoi(line + 5) == g->stands[i].local)
			return g->stands[i].pid;
	return 0;
}

/* A local process by its folder: as the kernel would, for who asks. */
static int signal_local(const struct question *q, uid_t uid, uid_t euid, int sig)
{
	if (setresuid(uid, euid, euid) < 0)
		return -EPERM;
	return kill((pid_t)q->pid, sig) < 0 ? -errno : 0;
}

static void send_by_fd(struct guard *g, struct question *q)
{
	int sig = (int)q->n->data.args[1], r;
	bool local = false;
	uid_t uid, euid;
	pid_t pid;

	q->pid = same_numbers(g, q->n->pid) ? fd_process(g, q->n->pid, (int)q->n->data.args[0], &local) : 0;
	if (!q->pid) {
		answer(g, q->n, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	} else if (!local_uids(&g->view, (pid_t)q->n->pid, &uid, &euid) || !caller(g, q)) {
		answer(g, q->n, -ESRCH, 0);
	} else if ((pid = child(g)) < 0) {
		answer(g, q->n, -EAGAIN, 0);
	} else if (pid == 0) {
		alarm(ASKED_S);
		r = local ? signal_local(q, uid, euid, sig) : signal_one(g, q, q->pid, sig);
		answer(g, q->n, r, 0);
		_exit(0);
	}
}

/*
 * A number below those of remote processes is asked about as it may be a job's, which the table knows. Signals to a deputy are the kernel's all the same, as it
 * passes them on; a job that has none has no local process of its number.
 */
static bool is_local(struct guard *g, const struct question *q)
{
	const int nr = q->n->data.nr, pid = (int)q->pid;
	const struct view_caller c = { .pid = (pid_t)q->n->pid };
	bool group = pid < 0, of_signals = nr != SYS_getpriority && nr != SYS_setpriority && nr != SYS_sched_setaffinity && nr != SYS_sched_getaffinity;

	if ((group ? -q->pid : q->pid) >= SSI_PID_REMOTE_FIRST)
		return false;
	if (of_signals)
		return kill(pid, 0) == 0;
	return group || !snapshot_process(&g->view.snap, q->pid) || local_only(&g->view, &c);
}

static void handle(struct guard *g, const struct seccomp_notif *n)
{
	bool second = n->data.nr == SYS_getpriority || n->data.nr == SYS_setpriority;
	struct question q = { .n = n, .pid = (uint32_t)n->data.args[second ? 1 : 0] };
	struct view_caller c = { .pid = (pid_t)n->pid };
	pid_t pid;

	snapshot_refresh(&g->view.snap);
	if (n->data.nr == SYS_pidfd_send_signal) {
		send_by_fd(g, &q);
	} else if (q.pid == 0) {
		if (n->data.nr != SYS_sched_getaffinity || local_only(&g->view, &c))
			answer(g, n, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
		else
			answer(g, n, own_affinity(g, &q), 0);
	} else if (!same_numbers(g, n->pid) || is_local(g, &q)) {
		answer(g, n, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	} else if (!caller(g, &q)) {
		answer(g, n, -ESRCH, 0);
	} else if (n->data.nr == SYS_getpriority) {
		answer(g, n, get_priority(g, &q), 0);
	} else if (n->data.nr == SYS_pidfd_open) {
		int r = open_pidfd(g, &q);

		if (r < 0)
			answer(g, n, r, 0);
	} else if ((pid = child(g)) < 0) {
		answer(g, n, -EAGAIN, 0);
	} else if (pid == 0) {
		alarm(ASKED_S);
		answer(g, n, ask(g, &q), 0);
		_exit(0);
	}
}

int guard_serve(int listener, const char *dir, struct ssi_err *e)
{
	struct guard g = { .listener = listener, .dir = dir };
	struct pollfd p = { .fd = listener, .events = POLLIN };
	struct seccomp_notif n;
	int r = view_open(&g.view, dir);

	fcntl(listener, F_SETFD, FD_CLOEXEC);
	while (r >= 0) {
		p.revents = 0;
		r = poll(&p, 1, g.n_children ? LOOK_MS : -1);
		reap(&g);
		if (g.n_stands) {
			snapshot_refresh(&g.view.snap);
			end_stands(&g);
		}
		if (p.revents & (POLLHUP | POLLERR))
			break;
		memset(&n, 0, sizeof(n));
		if (r > 0 && ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0)
			handle(&g, &n);
		r = r < 0 && errno != EINTR ? -errno : 0;
	}
	g.n_stands = 0;
	view_close(&g.view);
	return r < 0 ? ssi_errno(e, r, "guard") : 0;
}
