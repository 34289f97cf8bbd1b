/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssi-view: a shell, or a command, in the merged view (`ssi shell`); and the file system behind it. Installed setuid root, as a user may not mount: it
 * drops that for good before it executes anything of the user's. As a login shell (in /etc/shells) it needs no arguments.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "ssi/view/guard.h"
#include "ssi/view/serve.h"
#include "ssi/view/session.h"

static const char help[] =
	"Usage: ssi-view [-l] [--local] [-c COMMAND | COMMAND [ARG...]]\n"
	"A shell, or a command, that sees the processes and processors of all nodes; 'ssi shell' starts it.\n\n"
	"  -c, --command=COMMAND  run this by the shell, and end\n"
	"  -l, --login            a login shell\n"
	"      --local            this machine alone again\n"
	"      --view=DIR         where the daemon writes what it knows (only for root; default $SSI_VIEW_DIR, " SSI_RUNDIR "/view)\n"
	"  -h, --help             show this and exit\n"
	"      --version          show the version and exit\n";

struct args { const char *command, *dir; char **words; uint32_t serve, state, guard; bool local, login; };
enum { OPT_LOCAL = 256, OPT_VIEW, OPT_SERVE, OPT_STATE, OPT_GUARD, OPT_VERSION };

/* 1: go on; 0: done; negative: wrong usage. */
static int parse(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{ "command", required_argument, NULL, 'c' }, { "login", no_argument, NULL, 'l' }, { "local", no_argument, NULL, OPT_LOCAL },
		{ "view", required_argument, NULL, OPT_VIEW }, { "serve", required_argument, NULL, OPT_SERVE }, { "state", required_argument, NULL, OPT_STATE },
		{ "guard", required_argument, NULL, OPT_GUARD }, { "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, OPT_VERSION }, { 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "+c:lh", options, NULL)) >= 0)
		switch (o) {
		case 'c': a->command = optarg; break;
		case 'l': a->login = true; break;
		case OPT_LOCAL: a->local = true; break;
		case OPT_VIEW: a->dir = optarg; break;
		case OPT_SERVE:
		case OPT_STATE:
		case OPT_GUARD:
			if (ssi_num_u32(optarg, 3, INT_MAX, o == OPT_SERVE ? &a->serve : o == OPT_STATE ? &a->state : &a->guard) < 0)
				return -EINVAL;
			break;
		case 'h': fputs(help, stdout); return 0;
		case OPT_VERSION: puts("ssi-view " PACKAGE_VERSION); return 0;
		default: fputs("Try 'ssi-view --help'.\n", stderr); return -EINVAL;
		}
	a->words = argv + optind;
	if ((a->serve || a->state || a->guard || strcmp(a->dir, SSI_RUNDIR "/view") != 0) && getuid() != 0) {
		log_error("only root may say where the view is");
		return -EINVAL;
	}
	return 1;
}

/* The path of this program, which may have been replaced since. A user may have called it by a link of his own, where he could put another: for him it is where
 * it was installed. */
static int find_self(char *buf, size_t n)
{
	static const char deleted[] = " (deleted)";
	ssize_t k;

	if (getuid() != 0) {
		snprintf(buf, n, "%s", SSI_LIBEXECDIR "/ssi-view");
		return 0;
	}
	k = readlink("/proc/self/exe", buf, n - 1);

	if (k < 0)
		return -errno;
	buf[k] = '\0';
	if ((size_t)k > strlen(deleted) && !strcmp(buf + k - strlen(deleted), deleted))
		buf[(size_t)k - strlen(deleted)] = '\0';
	return 0;
}

/* The user's shell; not this program, if that is the login shell. */
static const char *shell(void)
{
	const char *s = getenv("SHELL"), *base = s ? strrchr(s, '/') : NULL;

	if (base && strcmp(base, "/ssi-view") != 0)
		return s;
	return access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
}

/* Be what was asked for, as who asked. Does not return on success. */
static int execute(const struct args *a)
{
	const char *s = shell(), *base = strrchr(s, '/') + 1;
	char name[NAME_MAX + 2];

	if (setresgid(getgid(), getgid(), getgid()) < 0 || setresuid(getuid(), getuid(), getuid()) < 0) {
		log_error("cannot give up root: %m");
		return EXIT_FAILURE;
	}
	setenv("SSI_VIEW", a->local ? "local" : "system", 1);
	snprintf(name, sizeof(name), "%s%s", a->login ? "-" : "", base);
	if (a->command) {
		execl(s, name, "-c", a->command, (char *)NULL);
	} else if (*a->words) {
		s = a->words[0];
		execvp(s, a->words);
	} else {
		execl(s, name, (char *)NULL);
	}
	log_error("%s: %m", s);
	return errno == ENOENT ? 127 : 126;
}

/* What the user's shell has set for itself is not for root's processes. */
static void forget_user(void)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	sigset_t set;

	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	for (int sig = 1; sig < SIGRTMIN; sig++)
		signal(sig, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		if (i != RLIMIT_NOFILE && i != RLIMIT_CORE)
			setrlimit((__rlimit_resource_t)i, &none);
}

/* One of the processes behind a session. */
static int be_part(const struct args *a, const char *self)
{
	struct ssi_err e = { 0 };
	int r;

	forget_user();

	prctl(PR_SET_NAME, a->guard ? "ssi-view-guard" : "ssi-view");
	prctl(PR_SET_DUMPABLE, 0);
	if (a->guard)
		r = guard_serve((int)a->guard, a->dir, &e);
	else
		r = serve((int)a->serve, a->state ? (int)a->state : -1, a->dir, self, &e);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int enter(const char *dir, const char *self, struct ssi_err *e)
{
	uid_t user = getuid();
	int guard, r;

	/* What is forked here is root's from its first moment: with the user's real identity he could stop or kill it before it gives that up. */
	if (setresuid(0, (uid_t)-1, (uid_t)-1) < 0)
		return ssi_errno(e, -errno, "root");
	guard = guard_start(dir, self, e);
	r = guard < 0 ? guard : session_enter(dir, self, e);
	if (setresuid(user, (uid_t)-1, (uid_t)-1) < 0 && r >= 0)
		r = ssi_errno(e, -errno, "the user");
	if (r < 0) {
		if (guard >= 0)
			close(guard);
		return r;
	}
	session_await(dir);
	return guard_enter(guard, e);
}

int main(int argc, char **argv)
{
	struct args a = { .dir = SSI_RUNDIR "/view", .login = argc > 0 && argv[0][0] == '-' };
	struct ssi_err e = { 0 };
	char self[PATH_MAX];
	int r;

	ssi_log_open("ssi-view", LOG_INFO);
	if (getuid() == 0 && getenv("SSI_VIEW_DIR"))
		a.dir = getenv("SSI_VIEW_DIR");
	r = parse(argc, argv, &a);
	if (r <= 0)
		return r < 0 ? 2 : 0;
	r = find_self(self, sizeof(self));
	if (r == 0 && (a.serve || a.guard))
		return be_part(&a, self);
	if (r < 0)
		ssi_errno(&e, r, "/proc/self/exe");
	else if (geteuid() != 0)
		r = ssi_errf(&e, -EPERM, "only root may mount: install ssi-view setuid root (chmod u+s %s)", self);
	else if (a.local)
		r = session_is_in() ? session_leave(&e) : 0;
	else if (!session_is_in())
		r = enter(a.dir, self, &e);
	if (r < 0) {
		log_error("%s", e.text);
		return EXIT_FAILURE;
	}
	return execute(&a);
}
