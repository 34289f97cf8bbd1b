/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks at the lower root every few seconds. A look may block for as long as the master is away (the mount is hard), so each is made by a child,
 * and a silent one is waited for, not killed. Started by main; it keeps running when PID 1 becomes systemd. It is in the memory
 * of the initramfs and opens nothing of the image, so it can speak when nothing else can.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "ssi-init/boot.h"
#include "ssi-init/event.h"
#include "ssi-init/watch.h"

#define LOOK_MS 2000            /* between two looks */
#define SILENT_MS 6000          /* without an answer: say so */

enum watch_state { WATCH_WELL, WATCH_STALLED, WATCH_LOST };

struct watch {
	enum watch_state state;
	uint64_t well_ms;           /* when it last was */
	char master[INET_ADDRSTRLEN];
	const char *root;
};

/* The errno of one look, as the child's exit status: an attribute that is asked of the server now, whatever is cached. */
static pid_t watch_look(void)
{
	struct statx st;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(statx(AT_FDCWD, BOOT_LOWER, AT_STATX_FORCE_SYNC, STATX_MTIME, &st) < 0 ? errno & 0xff : 0);
}

/* At most ms for the child to end: 0 or the errno it saw, -ETIMEDOUT; -ECANCELED: it was killed before it saw anything. */
static int watch_wait(pid_t pid, unsigned ms)
{
	uint64_t end = ssi_clock_mono_ms() + ms, now;
	struct timespec ts;
	sigset_t set;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -ECANCELED;
		now = ssi_clock_mono_ms();
		if (now >= end)
			return -ETIMEDOUT;
		ts = (struct timespec){ .tv_sec = (time_t)((end - now) / 1000), .tv_nsec = (long)((end - now) % 1000) * 1000000 };
		sigtimedwait(&set, NULL, &ts);
	}
}

static void watch_enter(struct watch *w, enum watch_state to, int error)
{
	uint64_t now = ssi_clock_mono_ms();
	char took[24];

	if (w->state == to)
		return;
	switch (to) {
	case WATCH_STALLED:
		log_warning("root: %s has not answered for %d s; this node waits for it", w->master, SILENT_MS / 1000);
		event_send("root-stalled", "%s has not answered for %d s", w->root, SILENT_MS / 1000);
		break;
	case WATCH_LOST:
		log_error("root: LOST: %s: %s; what needs the image fails until it is served again", w->root, strerror(error));
		log_error("root: look at 'ssi-bootsvc check' and 'ssi-mkimage list' on %s", w->master);
		event_send("root-lost", "%s: %s", w->root, strerror(error));
		break;
	case WATCH_WELL:
		ssi_num_format_ms(took, sizeof(took), now - w->well_ms);
		log_notice("root: back after %s", took);
		event_send("root-back", "%s: back after %s", w->root, took);
		break;
	}
	w->state = to;
}

static void watch_rest(void)
{
	struct timespec ts = { .tv_sec = LOOK_MS / 1000, .tv_nsec = LOOK_MS % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

void watch_run(const struct ssi_bootargs *a)
{
	struct watch w = { .root = a->root, .well_ms = ssi_clock_mono_ms() };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	prctl(PR_SET_NAME, "ssi-root-watch");
	inet_ntop(AF_INET, &a->master, w.master, sizeof(w.master));
	event_open();
	for (;; watch_rest()) {
		pid_t pid = watch_look();
		int r = pid < 0 ? -errno : watch_wait(pid, SILENT_MS);

		while (pid > 0 && r == -ETIMEDOUT) {
			watch_enter(&w, WATCH_STALLED, 0);
			r = watch_wait(pid, 60000);
		}
		if (r >= 0)
			watch_enter(&w, r ? WATCH_LOST : WATCH_WELL, r);
		if (r == 0)
			w.well_ms = ssi_clock_mono_ms();
	}
}
