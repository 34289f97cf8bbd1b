/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Called by main and supervise.c. iscsid finds the session that iscsistart made in sysfs and takes it over, by a login of its own: iSCSI has the kernel's half of a session
 * outlive its user's half. While nobody has it, or the master is away, the kernel makes I/O wait (node.session.timeo.replacement_timeout is -1).
 */
#include <errno.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "ssi-init/event.h"
#include "ssi-init/keep.h"
#include "ssi-init/session.h"

#define LOOK_MS 1000            /* between two looks */
#define SILENT_MS 6000          /* without a session: say so */

bool session_state(char *state, size_t n)
{
	bool there;
	glob_t g = { 0 };
	char line[32] = "";

	there = glob(SESSION_GLOB "/state", 0, NULL, &g) == 0;
	/* One that a killed login left may lie beside it. */
	for (size_t i = 0; there && i < g.gl_pathc && strcmp(line, "LOGGED_IN") != 0; i++)
		(void)ssi_file_read_line(g.gl_pathv[i], line, sizeof(line));
	globfree(&g);
	if (there && state)
		snprintf(state, n, "%s", line);
	return there;
}

/* A mount namespace of the initramfs, /dev, /proc and /sys. 0 or -errno: then it goes on in the node's own root, which is better than not at all. */
static int session_enclose(void)
{
	static const char *const names[] = { "/dev", "/proc", "/sys" };
	char path[64];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s%s", KEEP_DIR, names[i]);
		if ((mkdir(path, 0755) < 0 && errno != EEXIST) || mount(names[i], path, NULL, MS_BIND, NULL) < 0)
			return -errno;
	}
	if (chdir(KEEP_DIR) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

static pid_t session_start(void)
{
	pid_t pid = fork();
	sigset_t none;

	if (pid != 0)
		return pid;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* '@': systemd's last killing spree spares it. */
	execl("/usr/sbin/iscsid", "@iscsid", "-f", "-c", "/etc/iscsi/iscsid.conf", "-i", "/etc/iscsi/initiatorname.iscsi", (char *)NULL);
	log_error("iscsid: %s", strerror(errno));
	_exit(127);
}

/* It means to do that itself, with a number of another scale (-17). */
static void session_spare(pid_t pid)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	(void)ssi_file_poke(path, "-1000");
}

struct keeper {
	uint64_t well_ms;       /* when it last was */
	bool stalled;
	const char *portals;
};

static void session_look(struct keeper *k)
{
	uint64_t now = ssi_clock_mono_ms();
	char state[32] = "none", took[24];

	session_state(state, sizeof(state));
	if (strcmp(state, "LOGGED_IN") == 0) {
		if (k->stalled) {
			ssi_num_format_ms(took, sizeof(took), now - k->well_ms);
			log_notice("iSCSI: back after %s", took);
			event_send("root-back", "iSCSI session with %s: back after %s", k->portals, took);
		}
		k->stalled = false;
		k->well_ms = now;
	} else if (!k->stalled && now - k->well_ms >= SILENT_MS) {
		k->stalled = true;
		log_warning("iSCSI: no session with %s for %d s; this node waits for it", k->portals, SILENT_MS / 1000);
		event_send("root-stalled", "no iSCSI session with %s for %d s", k->portals, SILENT_MS / 1000);
	}
}

void session_keep(const struct ssi_bootargs *a)
{
	struct keeper k = { .well_ms = ssi_clock_mono_ms(), .portals = a->iscsi };
	struct timespec ts = { .tv_sec = LOOK_MS / 1000 };
	pid_t iscsid = 0;
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	prctl(PR_SET_NAME, "ssi-iscsi");
	(void)ssi_file_poke("/proc/self/oom_score_adj", "-1000");
	event_open();
	r = session_enclose();
	if (r < 0)
		log_warning("iSCSI: not enclosed in memory: %s", strerror(-r));
	for (;;) {
		if (iscsid <= 0)
			iscsid = session_start();
		sigtimedwait(&set, NULL, &ts);
		session_spare(iscsid);
		if (iscsid > 0 && waitpid(iscsid, NULL, WNOHANG) == iscsid) {
			log_warning("iSCSI: iscsid ended; it is started again");
			iscsid = 0;
			nanosleep(&ts, NULL);
		}
		session_look(&k);
	}
}
