/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs that outlived the machine that they were started on (doc/pids.md): with its next boot each gets a deputy again, ssi-deputy, a child of the daemon with
 * the same number; what it writes from then on is in two files of its user's, STATE/jobs/NUMBER.out and .err. Called by jobs.c, jobs-table.c and
 * control-jobs.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bootsvc/jobs-internal.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"

#define AGAIN_BYTES (256u << 20)             /* of all jobs of a user together */
#define AGAIN_MOST (16u << 20)               /* of a file */
#define AGAIN_LEAST (64u << 10)
#define AGAIN_BLOCK (64u << 10)              /* numbers from which each boot of the machine begins at others */

#define AGAIN_FIRST_NS 0xeffffffcu           /* the inode of the first pid namespace (the kernel's PROC_PID_INIT_INO) */

struct again { const char *program, *socket; int out, err; uint64_t bytes; };

char *again_file(const struct jobs *j, uint64_t number, const char *which)
{
	char *path;

	return asprintf(&path, "%s/jobs/%" PRIu64 ".%s", j->d->opt->state, number, which) < 0 ? NULL : path;
}

void again_forget(const struct jobs *j, uint64_t number)
{
	_cleanup_free_ char *out = again_file(j, number, "out"), *err = again_file(j, number, "err");

	if (out)
		unlink(out);
	if (err)
		unlink(err);
}

static int file_open(const struct jobs *j, const struct job *job, const char *which)
{
	_cleanup_free_ char *path = again_file(j, job->s.number, which);
	_cleanup_close_ int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;

	return fd < 0 || fchown(fd, job->s.uid, job->s.gid) < 0 ? -1 : TAKE_FD(fd);
}

/* In the child: nothing of root's is left but what the program's file is. */
static _Noreturn void become(const struct job *job, const struct again *a)
{
	char number[24], bytes[24];
	char *argv[] = { (char *)"ssi-deputy", (char *)a->socket, number, bytes, NULL }, *env[] = { NULL };
	sigset_t none;
	int in = open("/dev/null", O_RDONLY);

	snprintf(number, sizeof(number), "%" PRIu64, job->s.number);
	snprintf(bytes, sizeof(bytes), "%" PRIu64, a->bytes);
	(void)ssi_file_poke("/proc/self/oom_score_adj", "0");
	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (dup2(in, 0) < 0 || dup2(a->out, 1) < 0 || dup2(a->err, 2) < 0 || chdir("/") < 0)
		_exit(126);
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (setgroups(0, NULL) == 0 && setresgid(job->s.gid, job->s.gid, job->s.gid) == 0 && setresuid(job->s.uid, job->s.uid, job->s.uid) == 0)
		execve(a->program, argv, env);
	_exit(127);
}

/* As fork(2), with this number if it is not 0. */
static pid_t clone_as(pid_t pid)
{
	struct clone_args a = { .exit_signal = SIGCHLD, .set_tid = pid ? (uintptr_t)&pid : 0, .set_tid_size = pid ? 1 : 0 };

	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

static int on_dead(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	sd_event_source_set_floating(s, false);          /* the last reference */
	return 0;
}

static int make(struct jobs *j, struct job *job, struct again *a)
{
	_cleanup_close_ int out = file_open(j, job, "out"), err = file_open(j, job, "err");
	pid_t pid;

	if (out < 0 || err < 0)
		return -errno;
	a->out = out;
	a->err = err;
	pid = clone_as(job->s.deputy ? (pid_t)job->s.pid : 0);
	if (pid < 0)
		pid = clone_as(0);               /* somebody else has the number now */
	if (pid == 0)
		become(job, a);
	if (pid < 0)
		return -errno;
	if (sd_event_add_child(j->d->event, NULL, pid, WEXITED, on_dead, NULL) < 0)
		log_warning("deputy %d: nobody will wait for it", (int)pid);
	if (deputy_take(j, job, (uint32_t)pid, DEPUTY_OURS) < 0)
		log_warning("job %" PRIu64 ": deputy %d could not be taken", job->s.number, (int)pid);
	job_changed(j, job);
	return 0;
}

static uint64_t bytes_for(const struct jobs *j, uid_t uid)
{
	uint64_t n = AGAIN_BYTES / 2 / (jobs_of_user(j, uid) ?: 1);

	return n > AGAIN_MOST ? AGAIN_MOST : n < AGAIN_LEAST ? AGAIN_LEAST : n;
}

/* Beside the program that this is, as it was installed; where it runs from the place that it was built in, there. */
static void program_find(char *buf, size_t n)
{
	char self[PATH_MAX];
	ssize_t k = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[k > 0 ? k : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	snprintf(buf, n, "%s/../libexec/ssi/ssi-deputy", self);
	if (access(buf, X_OK) < 0)
		snprintf(buf, n, "%s/ssi-deputy", SSI_LIBEXECDIR);
}

void again_all(struct jobs *j)
{
	_cleanup_free_ char *folder = ssi_path_join(j->d->opt->state, "jobs"), *socket = ssi_path_join(j->d->opt->run, "jobs.sock");
	char program[PATH_MAX + 32];
	struct again a = { .program = program, .socket = socket };
	struct job *job, *next;
	int r;

	if (!folder || !socket || (mkdir(folder, 0711) < 0 && errno != EEXIST) || chmod(folder, 0711) < 0)
		return;
	program_find(program, sizeof(program));
	for (job = TAILQ_FIRST(&j->active); job; job = next) {
		next = TAILQ_NEXT(job, order);
		if (!job->s.boot || job->s.boot == j->boot)
			continue;
		a.bytes = bytes_for(j, job->s.uid);
		r = make(j, job, &a);
		if (r < 0)
			log_error("job %" PRIu64 " of an earlier boot: no deputy could be made: %s", job->s.number, strerror(-r));
		else
			log_info("job %" PRIu64 " of an earlier boot has a deputy again, %u", job->s.number, job->s.pid);
	}
}

/* Numbers of nodes' processes are above, so the local ones are to stay below. In a container it would be other people's kernel. */
static void numbers_bound(void)
{
	char text[24], is[24] = "";
	struct stat st;

	if (stat("/proc/self/ns/pid", &st) < 0 || st.st_ino != AGAIN_FIRST_NS || ssi_file_read_line("/proc/sys/kernel/pid_max", is, sizeof(is)) < 0)
		return;
	snprintf(text, sizeof(text), "%u", JOBS_PID_FIRST);
	if (strcmp(text, is) != 0 && ssi_file_poke("/proc/sys/kernel/pid_max", text) < 0)
		log_warning("kernel.pid_max is %s and cannot be set to %s", is, text);
}

/* In a boot's first life of the daemon: the numbers of jobs of an earlier boot are to be free. */
void again_numbers(struct jobs *j)
{
	uint64_t boot = 0, block = 0;
	char text[24];

	state_value_get(j->d->state, "job:boot", &boot, NULL);
	state_value_get(j->d->state, "job:block", &block, NULL);
	j->first_life = boot != j->boot;
	if (geteuid() == 0)
		numbers_bound();
	if (!j->first_life)
		return;
	block = 1 + block % (JOBS_PID_FIRST / AGAIN_BLOCK - 1);
	snprintf(text, sizeof(text), "%" PRIu64, block * AGAIN_BLOCK);
	if (ssi_file_poke("/proc/sys/kernel/ns_last_pid", text) < 0)
		log_info("the numbers of processes do not begin at %s: jobs of an earlier boot may get another one", text);
	state_value_put(j->d->state, "job:block", block, NULL);
	state_value_put(j->d->state, "job:boot", j->boot, NULL);
}
