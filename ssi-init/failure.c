/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Called by main and supervise.c. The report and the shell are children; PID 1 only waits, with bounds, and then reboots. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "ssi-init/console.h"
#include "ssi-init/failure.h"
#include "ssi-init/keep.h"
#include "ssi-init/reap.h"

#define REPORT_MS 10000
#define SYNC_MS 10000
#define SHELL "/bin/busybox"

void failure_format(const struct boot *b, const struct stage_run *failed, char *what, char *next, size_t n)
{
	const char *text = failed->stage->next ? failed->stage->next : "", *at = strchr(text, '@');
	char took[24], master[INET_ADDRSTRLEN];

	snprintf(master, sizeof(master), "the master");
	if (b->args.master.s_addr)
		inet_ntop(AF_INET, &b->args.master, master, sizeof(master));
	ssi_num_format_ms(took, sizeof(took), failed->end_ms - failed->start_ms);
	if (failed->tries > 1)
		snprintf(what, n, "%s (%u tries in %s)", failed->err.text, failed->tries, took);
	else
		snprintf(what, n, "%s", failed->err.text);
	if (at)
		snprintf(next, n, "%.*s%s%s", (int)(at - text), text, master, at + 1);
	else
		snprintf(next, n, "%s", text);
}

/* The master hears of it, if it can be reached. */
static void failure_report(const struct boot *b, const char *stage, char *what, char *next)
{
	char name[32];
	char *argv[KEEP_WORDS + 6] = { 0 }, **words = argv + KEEP_WORDS;
	struct ssi_err e = { 0 };
	pid_t pid;

	if (!b->args_known || !boot_has_master(b))
		return;
	snprintf(name, sizeof(name), "%s", stage);
	memcpy(words, (char *[]){ (char *)"init-line", (char *)"failed", name, what, next }, 5 * sizeof(*words));
	pid = fork();
	if (pid == 0) {
		reap_child_signals();
		/* After the switch: the initramfs's own, if it stayed. Its last word is the program, in the place of words[0]. */
		if (keep_command(SSI_LIBEXECDIR "/init-line", argv + 1))
			execv(argv[1], argv + 1);
		words[0] = (char *)"init-line";
		boot_exec_helper("init-line", words, &e);
		log_warning("the master could not be told: %s", e.text);
		_exit(127);
	}
	if (pid > 0 && reap_wait(pid, REPORT_MS) == -1) {
		log_warning("the master could not be told: no answer in %d s", REPORT_MS / 1000);
		kill(pid, SIGKILL);
	}
}

static void failure_shell(void)
{
	pid_t pid;

	log_warning("ssi.rescue: a shell; when it ends, this machine reboots");
	pid = fork();
	if (pid == 0) {
		reap_child_signals();
		console_take();
		execl(SHELL, "sh", (char *)NULL);
		execl("/bin/sh", "sh", (char *)NULL);
		log_error("no shell here: neither %s nor /bin/sh", SHELL);
		_exit(127);
	}
	while (pid > 0 && reap_wait(pid, 60000) == -1)
		;
}

/* A disk that does not answer must not hold up the reboot. */
static void failure_sync(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		sync();
		_exit(0);
	}
	if (pid > 0 && reap_wait(pid, SYNC_MS) == -1)
		log_warning("the disks did not answer in %d s", SYNC_MS / 1000);
}

void failure_end(const struct boot *b, const struct stage_run *failed)
{
	unsigned delay = b->args_known ? b->args.delay_s : 30;
	char what[SSI_ERR_MAX + 64], next[SSI_ERR_MAX + 64];

	failure_format(b, failed, what, next, sizeof(what));
	log_error("FAILED at %s: %s", failed->stage->name, what);
	if (b->args.rescue) {
		log_error("%s.", next);
		failure_report(b, failed->stage->name, what, next);
		failure_shell();
	} else {
		log_error("%s. Rebooting in %u s.", next, delay);
		failure_report(b, failed->stage->name, what, next);
		reap_wait(0, delay * 1000);
	}
	failure_sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();        /* the kernel refused: nothing is left to do, and PID 1 must not end */
}
