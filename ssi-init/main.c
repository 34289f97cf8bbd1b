/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssi-init: PID 1 of a node from the first instruction of the initramfs to the last of the shutdown (doc/boot.md). The table below is the story;
 * stage.c runs it, and what follows the switch is supervise.c, or systemd where the boot says so.
 *
 * PID 1 itself allocates only before its first stage, and links the C library and libmnl alone: what needs more (modules, TLS) is done by helper
 * programs in children with a deadline.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "ssi-init/boot.h"
#include "ssi-init/console.h"
#include "ssi-init/event.h"
#include "ssi-init/exitrd.h"
#include "ssi-init/failure.h"
#include "ssi-init/identity.h"
#include "ssi-init/mounts.h"
#include "ssi-init/network.h"
#include "ssi-init/overlay.h"
#include "ssi-init/root.h"
#include "ssi-init/shared.h"
#include "ssi-init/session.h"
#include "ssi-init/supervise.h"
#include "ssi-init/switch.h"
#include "ssi-init/timeline.h"
#include "ssi-init/verb.h"
#include "ssi-init/watch.h"

enum { S_INIT, S_DRIVERS, S_MODULES, S_NETWORK, S_TOKEN, S_LOGIN, S_IMAGE, S_ROOT, S_OVERLAY, S_IDENTITY, S_SHARED, S_SWITCH, S_ALL };
#define AFTER(s) (1u << (s))

static bool main_systemd(const struct boot *b)
{
	return !strcmp(b->args.init, "systemd");
}

/* The words without the token: whoever reads them cannot boot as this machine. */
static int main_write_args(const struct ssi_bootargs *args, struct ssi_err *e)
{
	struct ssi_bootargs a = *args;
	char text[2048];
	size_t n;
	int r;

	a.token[0] = '\0';
	r = ssi_bootargs_format(&a, text, sizeof(text) - 1);
	if (r < 0)
		return ssi_errno(e, r, "%s", BOOT_ARGS);
	n = strlen(text);
	for (size_t i = 0; i < n; i++)
		if (text[i] == ' ')
			text[i] = '\n';
	text[n++] = '\n';
	_cleanup_close_ int fd = open(BOOT_ARGS, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : ssi_fd_write_all(fd, text, n);
	return r < 0 ? ssi_errno(e, r, "%s", BOOT_ARGS) : 0;
}

static int main_init(void *ctx, struct ssi_err *e)
{
	struct boot *b = ctx;
	int r = mounts_first(e);

	if (r < 0)
		return r;
	/* A machine without any console, and no /dev/null yet when it was looked for: what is opened next must not become descriptor 0, 1 or 2. */
	if (fcntl(2, F_GETFD) < 0)
		console_open();
	/* The kernel started it as /init; people look for this name in ps. */
	(void)prctl(PR_SET_NAME, "ssi-init");
	/* Should PID 1 die all the same: the kernel starts the machine again rather than stand still. */
	(void)ssi_file_poke("/proc/sys/kernel/panic", "30");
	/* A job's first process has the number of the job, which is 2^20 at least (doc/pids.md). */
	(void)ssi_file_poke("/proc/sys/kernel/pid_max", "4194304");
	r = boot_read_args(b, e);
	if (r < 0)
		return r;
	if (b->args.debug)
		ssi_log_open("ssi-init", LOG_DEBUG);
	/* Before the mount: an NFS client is known to its server by this name. */
	if (b->args.node[0] && sethostname(b->args.node, strlen(b->args.node)) < 0)
		return ssi_errno(e, -errno, "hostname %s", b->args.node);
	event_open();
	return main_write_args(&b->args, e);
}

static int main_drivers(void *ctx, struct ssi_err *e)
{
	return boot_exec_helper("init-drivers", (char *[]){ "init-drivers", "boot", NULL }, e);
}

static int main_modules(void *ctx, struct ssi_err *e)
{
	/* On one processor the network goes first: while it waits for the master, there is time for this. */
	(void)setpriority(PRIO_PROCESS, 0, 10);
	return boot_exec_helper("init-drivers", (char *[]){ "init-drivers", "modules", NULL }, e);
}

static int main_network(void *ctx, struct ssi_err *e)
{
	return network_up(&((struct boot *)ctx)->args, e);
}

static int main_token(void *ctx, struct ssi_err *e)
{
	return boot_exec_helper("init-line", (char *[]){ "init-line", "token", NULL }, e);
}

static int main_login(void *ctx, struct ssi_err *e)
{
	return boot_exec_helper("init-iscsi", (char *[]){ "init-iscsi", "login", NULL }, e);
}

static int main_image(void *ctx, struct ssi_err *e)
{
	return boot_exec_helper("init-image", (char *[]){ "init-image", "fetch", NULL }, e);
}

static int main_root(void *ctx, struct ssi_err *e)
{
	return root_mount(&((struct boot *)ctx)->args, e);
}

static int main_overlay(void *ctx, struct ssi_err *e)
{
	const struct boot *b = ctx;
	int r = overlay_mount(&b->args, e);

	return r < 0 ? r : switch_check(main_systemd(b) ? "/sbin/init" : "/usr/sbin/ssi-agent", e);
}

static int main_identity(void *ctx, struct ssi_err *e)
{
	return identity_lay(BOOT_IDENTITY, BOOT_SYSROOT, e);
}

static int main_shared(void *ctx, struct ssi_err *e)
{
	return shared_mount(&((struct boot *)ctx)->args, e);
}

static int main_switch(void *ctx, struct ssi_err *e)
{
	const struct boot *b = ctx;

	return switch_root(!main_systemd(b) || boot_is_iscsi(b), main_systemd(b) && b->args.state[0], e);
}

static const struct stage stages[S_ALL] = {
	[S_INIT] = { "init", 0, NULL, main_init, true, 0, 1, 0,
		"the boot script of @ is wrong, or was not used. Look at the kernel's command line and at 'ssi-bootsvc check'" },
	[S_DRIVERS] = { "drivers", AFTER(S_INIT), NULL, main_drivers, false, 20000, 2, 500,
		"the initramfs lacks a driver or is damaged. Look at 'ssi-mkimage verify' and the recipe's [initramfs] drivers on @" },
	[S_MODULES] = { "modules", AFTER(S_INIT), NULL, main_modules, false, 20000, 2, 500,
		"the initramfs lacks a module or is damaged. Look at 'ssi-mkimage verify' and the recipe's [initramfs] modules on @" },
	[S_NETWORK] = { "network", AFTER(S_DRIVERS), boot_has_master, main_network, false, 22000, 3, 500,
		"look at the cable and the switch, and which interface the firmware boots from" },
	[S_TOKEN] = { "token", AFTER(S_NETWORK), boot_has_master, main_token, false, 10000, 12, 100,
		"the master gave this machine no key. Look at 'ssi-bootsvc events' on @" },
	/* The door is made when the token is exchanged: the first tries may come before it. */
	[S_LOGIN] = { "login", AFTER(S_TOKEN) | AFTER(S_MODULES), boot_is_iscsi, main_login, false, 60000, 12, 100,
		"the master's iSCSI target does not let this boot in. Look at 'ssi-bootsvc events' and 'targetcli ls' on @" },
	/* A try that gets nowhere ends by itself after 10 s; one that gets somewhere is left to it: hundreds may fetch at once. */
	[S_IMAGE] = { "image", AFTER(S_NETWORK) | AFTER(S_MODULES), boot_is_ram, main_image, false, 1800000, 6, 1000,
		"the image cannot be had in memory. Look at 'ssi-mkimage verify' on @; a machine that is too small wants 'root = nfs' in nodes.d there" },
	[S_ROOT] = { "root", AFTER(S_IMAGE) | AFTER(S_LOGIN) | AFTER(S_NETWORK) | AFTER(S_MODULES) | AFTER(S_DRIVERS), NULL, main_root, false, 12000, 6, 250,
		"the root cannot be mounted. Look at 'ssi-bootsvc check' on @" },
	[S_OVERLAY] = { "overlay", AFTER(S_ROOT), NULL, main_overlay, false, 15000, 3, 500,
		"the writable layer cannot be laid over the root. Look at 'ssi-mkimage verify' on @ and at the node's state volume" },
	[S_IDENTITY] = { "identity", AFTER(S_OVERLAY) | AFTER(S_TOKEN), boot_has_master, main_identity, false, 15000, 3, 500,
		"the node's machine-id and host key cannot be written into its root. Look at the node's state volume" },
	[S_SHARED] = { "shared", AFTER(S_OVERLAY) | AFTER(S_NETWORK) | AFTER(S_MODULES), boot_has_shared, main_shared, false, 20000, 6, 500,
		"what this system shares cannot be mounted. Look at 'ssi-bootsvc check' on @" },
	[S_SWITCH] = { "switch", AFTER(S_SHARED) | AFTER(S_IDENTITY) | AFTER(S_OVERLAY) | AFTER(S_TOKEN), NULL, main_switch, true, 0, 1, 0,
		"the image is not a root. Look at 'ssi-mkimage show' on @" },
};

static void main_ended(const struct stages *s)
{
	timeline_write(BOOT_TIMELINE, s, NULL);
}

/* PID 1 has a bug: say so and let the kernel restart the machine (kernel.panic, set above). */
static void main_crashed(int sig)
{
	static const char text[] = "\r\nssi-init: PID 1 crashed; the kernel reboots this machine\r\n";
	ssize_t n = write(2, text, sizeof(text) - 1);

	(void)n;
	signal(sig, SIG_DFL);
	_exit(128 + sig);
}

static void main_signals(void)
{
	const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		sigdelset(&set, fatal[i]);
		signal(fatal[i], main_crashed);
	}
	sigprocmask(SIG_SETMASK, &set, NULL);
	reboot(RB_DISABLE_CAD);
}

/* systemd becomes PID 1; the root watch and the iSCSI session's keeper stay, spared by systemd's last killing spree for the '@' in their names. */
static void main_become_systemd(const struct boot *b, const struct stages *s, char **argv)
{
	static const struct stage agent = { .name = "agent", .next = "the image cannot run systemd. Look at 'ssi-mkimage show' on @" };
	struct stage_run line = { .stage = &agent, .tries = 1, .start_ms = ssi_clock_boot_ms() };
	sigset_t none;

	line.end_ms = line.start_ms;
	timeline_write(BOOT_TIMELINE, s, NULL);
	if (boot_is_nfs(b) && fork() == 0) {
		argv[0][0] = '@';
		setsid();
		watch_run(&b->args);
	}
	if (boot_is_iscsi(b) && fork() == 0) {
		argv[0][0] = '@';
		setsid();
		session_keep(&b->args);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	fcntl(2, F_SETFL, O_RDWR);
	execl("/sbin/init", "/sbin/init", (char *)NULL);
	ssi_errno(&line.err, -errno, "/sbin/init");
	main_signals();
	failure_end(b, &line);
}

int main(int argc, char **argv)
{
	static struct boot b;
	static struct stages s;
	const struct stage_run *failed = &s.runs[S_INIT];
	struct ssi_err e;

	if (getpid() != 1)
		return verb_main(argc, argv);
	ssi_log_open("ssi-init", LOG_INFO);
	console_open();
	if (exitrd_is(argv[0]))
		exitrd_run(argc > 1 ? argv[1] : "");
	main_signals();
	if (stages_init(&s, stages, S_ALL, &b, &e) < 0) {
		log_error("FAILED at init: %s", e.text);
		reboot(RB_AUTOBOOT);
	}
	s.ended = main_ended;
	s.finish = AFTER(S_DRIVERS) | AFTER(S_NETWORK);
	s.settle = AFTER(S_TOKEN);           /* or the token is used, there is no key, and the report with the token is an intrusion */
	if (stages_run(&s, &failed) < 0)
		failure_end(&b, failed);
	if (main_systemd(&b))
		main_become_systemd(&b, &s, argv);
	supervise(&b, &s);
}
