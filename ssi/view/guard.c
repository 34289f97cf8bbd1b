/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The filter, and who answers for it: a process of root's that executes ssi-view anew, as the file system's does. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/model/proctable.h"
#include "ssi/view/guard.h"
#include "ssi/view/session.h"

/* In the lower 32 bits: */
#define REMOTE SCMP_CMP_MASKED_EQ, 0xffe00000u, SSI_PID_REMOTE_FIRST       /* 2^21 to 2^22 - 1 */
#define REMOTE_GROUP SCMP_CMP_MASKED_EQ, 0xffe00000u, 0xffc00000u          /* the negative of those, but for 2^21 itself */
#define JOB SCMP_CMP_MASKED_EQ, 0xfff00000u, SSI_PID_JOB_FIRST             /* 2^20 to 2^21 - 1: jobs without a deputy */
#define JOB_GROUP SCMP_CMP_MASKED_EQ, 0xfff00000u, 0xffe00000u             /* the negative of 2^20 + 1 to 2^21 */
#define FIRST_GROUP SCMP_CMP_MASKED_EQ, 0xffffffffu, 0xfff00000u
_Static_assert(SSI_PID_JOB_FIRST == 1u << 20 && SSI_PID_REMOTE_FIRST == 1u << 21 && SSI_PID_END == 1u << 22, "the masks above");

static int add_rules(scmp_filter_ctx f)
{
	static const int first[] = { SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(tgkill), SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(pidfd_open) };
	static const int second[] = { SCMP_SYS(getpriority), SCMP_SYS(setpriority) };
	const struct scmp_arg_cmp some[] = { SCMP_A0(REMOTE), SCMP_A0(JOB) };
	const struct scmp_arg_cmp groups[] = { SCMP_A0(REMOTE_GROUP), SCMP_A0(JOB_GROUP), SCMP_A0(FIRST_GROUP) };
	int r = 0;

	for (size_t i = 0; r == 0 && i < 2 * sizeof(first) / sizeof(*first); i++)
		r = seccomp_rule_add_array(f, SCMP_ACT_NOTIFY, first[i / 2], 1, &some[i % 2]);
	for (size_t i = 0; r == 0 && i < sizeof(groups) / sizeof(*groups); i++)
		r = seccomp_rule_add_array(f, SCMP_ACT_NOTIFY, SCMP_SYS(kill), 1, &groups[i]);
	/* A deputy passes signals on, but does not hear what is done to its priority and its processors: asked about for every number but 0, the caller itself. */
	for (size_t i = 0; r == 0 && i < sizeof(second) / sizeof(*second); i++)
		r = seccomp_rule_add(f, SCMP_ACT_NOTIFY, second[i], 1, SCMP_A1(SCMP_CMP_NE, 0, 0));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_NOTIFY, SCMP_SYS(sched_setaffinity), 1, SCMP_A0(SCMP_CMP_NE, 0, 0));
	/* For 0 too: nproc counts the processors of all nodes. */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_NOTIFY, SCMP_SYS(sched_getaffinity), 0);
	if (r < 0)
		return r;
	/* killall names whom it means by a descriptor of /proc/PID. */
	return seccomp_rule_add(f, SCMP_ACT_NOTIFY, SCMP_SYS(pidfd_send_signal), 0);
}

/*
 * As seccomp_load(3), which has no way yet to say that a caller waits for its answer: a signal that what it does brings about (it kills a job, and its child, the
 * deputy, ends) would let the call begin anew, to find that there is nobody to kill. Kernels before 5.19 do not know of that either.
 */
static int load_program(const scmp_filter_ctx f)
{
	const unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	struct sock_filter code[BPF_MAXINSNS];
	struct sock_fprog program = { .filter = code };
	_cleanup_close_ int fd = memfd_create("filter", MFD_CLOEXEC);
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(f, fd);
	if (r < 0)
		return r;
	n = pread(fd, code, sizeof(code), 0);
	if (n <= 0 || (size_t)n % sizeof(*code))
		return -EIO;
	program.len = (unsigned short)((size_t)n / sizeof(*code));
	r = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (r < 0 && errno == EINVAL)
		r = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	return r < 0 ? -errno : r;
}

/* The listener's descriptor; -EBUSY: another program listens. There is no no_new_privs: sudo is to go on working; root may do without. */
static int load(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r = f ? seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW) : -ENOMEM;

	if (r == 0)
		r = add_rules(f);
	if (r == 0)
		r = load_program(f);
	if (f)
		seccomp_release(f);
	return r;
}

/* Take the listener from the process that has it, and say that it is taken. */
static void be_guard(pid_t session, int s, const char *dir, const char *self)
{
	int fd, pidfd = pidfd_open(session, 0);

	if (setsid() < 0 || fork() != 0 || ssi_fd_read_full(s, &fd, sizeof(fd)) != sizeof(fd))
		_exit(0);
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (fd < 0 || write(s, "", 1) != 1)
		_exit(1);
	session_exec_part(self, "--guard", &fd, 1, dir);
	_exit(1);
}

static int hand_over(int s, int listener)
{
	char c;
	int r = ssi_fd_write_all(s, &listener, sizeof(listener));

	return r < 0 ? r : ssi_fd_read_full(s, &c, 1) == 1 ? 0 : -EPIPE;
}

int guard_start(const char *dir, const char *self, struct ssi_err *e)
{
	_cleanup_close_ int here = -1, there = -1;
	pid_t session = getpid(), pid;
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
		return ssi_errno(e, -errno, "guard");
	here = s[0];
	there = s[1];
	pid = fork();
	if (pid < 0)
		return ssi_errno(e, -errno, "guard");
	if (pid == 0) {
		close(here);
		be_guard(session, there, dir, self);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return TAKE_FD(here);
}

int guard_enter(int s, struct ssi_err *e)
{
	_cleanup_close_ int here = s, listener = load();
	int r;

	if (listener == -EBUSY)
		return 0;
	r = listener < 0 ? listener : hand_over(here, listener);
	return r < 0 ? ssi_errno(e, r, "guard: seccomp") : 0;
}
