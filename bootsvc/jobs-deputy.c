/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deputies (doc/pids.md): the local process that stands for a job, and has its number. Called by the other jobs-*.c. What is signalled to one it passes on
 * itself, but it does not hear of two signals: that it was killed is seen from its connection, or from here; that it was stopped nobody is told but its
 * parent, so it is looked at. A thousand are looked at within half a second, more of them less often.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bootsvc/jobs-internal.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"

#define LOOK_US 200000
#define LOOKS 500                            /* at a time */
#define STAT_BYTES 1024
#define STAT_START 22                        /* which word of it (proc_pid_stat(5)) */

uint64_t deputy_boot(void)
{
	char id[64] = "", digits[16] = "";
	size_t n = 0;

	ssi_file_read_line("/proc/sys/kernel/random/boot_id", id, sizeof(id));
	for (const char *p = id; *p && n < sizeof(digits) - 1; p++)
		if (*p != '-')
			digits[n++] = *p;
	return strtoull(digits, NULL, 16) ?: 1;
}

/* The state of the process whose stat fd is, and when it began; 'X': it is no more. The file is that process's: another one with its number has another. */
static char look_at(int fd, uint64_t *ret_start)
{
	char buf[STAT_BYTES + 1], *at;
	ssize_t n = pread(fd, buf, STAT_BYTES, 0);
	char state;

	if (n <= 0)
		return 'X';
	buf[n] = 0;
	at = strrchr(buf, ')');                  /* its name may hold anything */
	if (!at || strlen(at) < 3)
		return 'X';
	state = at[2];
	for (int word = 2; word < STAT_START && at; word++)
		at = strchr(at + 1, ' ');
	*ret_start = at ? strtoull(at, NULL, 10) : 0;
	return state == 'Z' ? 'X' : state;
}

/* -ESRCH: there is no such process, or it is none of his. */
static int stat_open(uint32_t pid, uid_t uid)
{
	char path[32];
	_cleanup_close_ int fd = -1;
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || fstat(fd, &st) < 0 || (uid != DEPUTY_OURS && st.st_uid != uid) ? -ESRCH : TAKE_FD(fd);
}

static void enter(struct jobs *j, struct job *job, int fd)
{
	if (TAILQ_EMPTY(&j->deputies)) {
		sd_event_source_set_time_relative(j->look, LOOK_US);
		sd_event_source_set_enabled(j->look, SD_EVENT_ON);
	}
	job->deputy = fd;
	job->held = job->holds = false;
	TAILQ_INSERT_TAIL(&j->deputies, job, looked);
}

int deputy_take(struct jobs *j, struct job *job, uint32_t pid, uid_t uid)
{
	_cleanup_close_ int fd = -1;
	uint64_t start;

	if (job->deputy >= 0)
		return job->s.pid == pid ? 0 : -EEXIST;
	fd = stat_open(pid, uid);
	if (fd < 0 || look_at(fd, &start) == 'X')
		return -ESRCH;
	if (job_renumber(j, job, pid) < 0)
		return -EEXIST;
	job->s.boot = j->boot;
	job->s.deputy = start;
	enter(j, job, TAKE_FD(fd));
	return 0;
}

void deputy_find(struct jobs *j, struct job *job)
{
	_cleanup_close_ int fd = stat_open(job->s.pid, job->s.uid);
	uint64_t start = 0;

	if (fd >= 0 && look_at(fd, &start) != 'X' && start == job->s.deputy)
		enter(j, job, TAKE_FD(fd));
	else
		job_doom(j, job);
}

void deputy_drop(struct jobs *j, struct job *job)
{
	if (job->deputy < 0)
		return;
	close(TAKE_FD(job->deputy));
	TAILQ_REMOVE(&j->deputies, job, looked);
	if (TAILQ_EMPTY(&j->deputies))
		sd_event_source_set_enabled(j->look, SD_EVENT_OFF);
}

void deputy_wake(struct job *job)
{
	uint64_t start;
	_cleanup_close_ int fd = -1;
	siginfo_t si = { .si_signo = SIGCONT, .si_code = SI_QUEUE };     /* it is not to be passed on */

	job->held = false;
	if (job->deputy < 0 || look_at(job->deputy, &start) != 'T')
		return;
	fd = pidfd_open((pid_t)job->s.pid, 0);
	if (fd >= 0 && look_at(job->deputy, &start) == 'T')      /* so its number was its own still */
		pidfd_send_signal(fd, SIGCONT, &si, 0);
}

static void look(struct jobs *j, struct job *job)
{
	uint64_t start;
	char state = look_at(job->deputy, &start);
	bool runs = job->state == JOB_RUNNING, holds = job->holds;

	job->holds = false;
	if (state == 'X') {
		if (runs || job->state == JOB_SENT || job->state == JOB_STOPPED)
			job_doom(j, job);
		deputy_drop(j, job);
	} else if (state == 'T' && runs && !job->held) {
		job->held = job_signal_first(job, SIGSTOP) >= 0;
		if (job->held && !job->client)
			job->state = JOB_STOPPED;        /* the node tells only who has attached */
	} else if (state != 'T' && job->held && !holds) {
		job->holds = true;               /* it goes on; it says so itself, if that was not before it was seen to be stopped */
	} else if (state != 'T' && job->held) {
		job->held = job_signal_first(job, SIGCONT) < 0;
	}
}

static int on_look(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct jobs *j = userdata;
	struct job *job, *last = TAILQ_LAST(&j->deputies, job_list);

	sd_event_source_set_time_relative(s, LOOK_US);
	for (unsigned i = 0; i < LOOKS && (job = TAILQ_FIRST(&j->deputies)); i++) {
		bool was_last = job == last;

		TAILQ_REMOVE(&j->deputies, job, looked);
		TAILQ_INSERT_TAIL(&j->deputies, job, looked);
		look(j, job);
		if (was_last)
			break;
	}
	return 0;
}

int deputies_new(struct jobs *j)
{
	int r = sd_event_add_time_relative(j->d->event, &j->look, CLOCK_MONOTONIC, LOOK_US, 0, on_look, j);

	TAILQ_INIT(&j->deputies);
	j->boot = deputy_boot();
	return r < 0 ? r : sd_event_source_set_enabled(j->look, SD_EVENT_OFF);
}
