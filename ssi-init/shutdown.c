/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Called by supervise.c. Every wait has a bound: a process that will not die and a disk that does not answer delay a reboot, but cannot stop it. */
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/log.h"
#include "ssi-init/boot.h"
#include "ssi-init/reap.h"
#include "ssi-init/shutdown.h"

#define AGENT_MS 3000
#define TERM_MS 5000
#define KILL_MS 2000
#define DISKS_MS 10000

static int shutdown_reboots(int sig)
{
	return sig == SIGINT || sig == SIGTERM || sig == SIGRTMIN + 5;
}

static int shutdown_powers_off(int sig)
{
	return sig == SIGUSR2 || sig == SIGRTMIN + 4;
}

void shutdown_signals(sigset_t *ret)
{
	const int signals[] = { SIGINT, SIGTERM, SIGUSR2, SIGRTMIN + 4, SIGRTMIN + 5 };

	sigemptyset(ret);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(ret, signals[i]);
}

int shutdown_order(int sig)
{
	return shutdown_reboots(sig) ? RB_AUTOBOOT : shutdown_powers_off(sig) ? RB_POWER_OFF : 0;
}

/* A snapshot may be taken just now, and who would end it is dead already: nothing can be written before. */
static void shutdown_thaw(void)
{
	_cleanup_close_ int fd = open(BOOT_RW, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, FITHAW, 0) == 0)
		log_notice("%s stood still for a snapshot, and goes on", BOOT_RW);
}

/* In a child: what a disk holds is on it, and clean. The overlay first, then the layer below it. */
static void shutdown_disks(void)
{
	shutdown_thaw();
	sync();
	mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	if (mount(NULL, BOOT_RW, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		log_warning("%s stays writable; its journal is replayed at the next boot", BOOT_RW);
	sync();
	_exit(0);
}

static void shutdown_mark(const char *word)
{
	_cleanup_close_ int fd = open(BOOT_SHUTDOWN, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd >= 0)
		(void)ssi_fd_write_all(fd, word, strlen(word));
}

void shutdown_run(int how, pid_t agent)
{
	pid_t pid;

	log_notice("%s", how == RB_AUTOBOOT ? "rebooting" : "powering off");
	/* Tells the agent that this end is the machine's, not only its own. */
	shutdown_mark(how == RB_AUTOBOOT ? "reboot\n" : "poweroff\n");
	if (agent > 0) {
		kill(agent, SIGTERM);
		if (reap_wait(agent, AGENT_MS) < 0)
			log_warning("the agent did not end in %d s", AGENT_MS / 1000);
	}
	kill(-1, SIGTERM);
	kill(-1, SIGCONT);
	if (reap_wait(-1, TERM_MS) < 0) {
		kill(-1, SIGKILL);
		reap_wait(-1, KILL_MS);
	}
	pid = fork();
	if (pid == 0)
		shutdown_disks();
	if (pid > 0 && reap_wait(pid, DISKS_MS) < 0)
		log_warning("the disks did not answer in %d s", DISKS_MS / 1000);
	reboot(how);
	for (;;)
		pause();
}
