/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads of the calling process what its job is to be like. Called by ssi run and ssi_rexec(). */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>
#include <linux/kcmp.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "ssi/rexec/run-spec.h"

extern char **environ;

/* A Spec and what it points to. */
struct spec {
	Ssi__Job__Spec m;
	Ssi__Job__Limit limits[RLIM_NLIMITS], *limit_list[RLIM_NLIMITS];
	Ssi__Job__Terminal terminal;
	struct termios termios;
	char cwd[PATH_MAX];
};

static int words(char *const *from, size_t *ret_n, ProtobufCBinaryData **ret)
{
	size_t n = 0;

	while (from[n])
		n++;
	*ret = calloc(n + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	*ret_n = n;
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = (ProtobufCBinaryData){ .len = strlen(from[i]), .data = (uint8_t *)from[i] };
	return 0;
}

static void limits(struct spec *s)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit l;
		Ssi__Job__Limit *m = &s->limits[s->m.n_limits];

		if (getrlimit((__rlimit_resource_t)i, &l) < 0)
			continue;
		ssi__job__limit__init(m);
		m->resource = (uint32_t)i;
		m->soft = l.rlim_cur;
		m->hard = l.rlim_max;
		s->limit_list[s->m.n_limits++] = m;
	}
	s->m.limits = s->limit_list;
}

/* What execve(2) hands on: signals that are ignored, and those that are blocked. */
static void signals(struct spec *s)
{
	struct sigaction act;
	sigset_t blocked;

	sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (int n = 1; n < NSIG; n++) {
		if (sigaction(n, NULL, &act) == 0 && act.sa_handler == SIG_IGN)
			s->m.ignored |= 1ull << (n - 1);
		if (sigismember(&blocked, n) == 1)
			s->m.blocked |= 1ull << (n - 1);
	}
}

/* Two numbers for one pipe, terminal or open file ("2>&1")? */
static bool is_same(int a, int b)
{
	struct stat x, y;

	if (a < 0 || b < 0 || fstat(a, &x) < 0 || fstat(b, &y) < 0 || x.st_dev != y.st_dev || x.st_ino != y.st_ino)
		return false;
	return !S_ISREG(x.st_mode) || syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b) == 0;
}

/* There is no call that only tells it. */
static uint32_t mask(void)
{
	mode_t m = umask(077);

	umask(m);
	return m;
}

static bool is_null(int fd)
{
	struct stat st;

	return fd < 0 || fstat(fd, &st) < 0 || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

static int terminal(struct spec *s, int fd, struct ssi_err *e)
{
	struct winsize w = { 0 };

	if (fd < 0)
		return 0;
	if (tcgetattr(fd, &s->termios) < 0)
		return ssi_errno(e, -errno, "the terminal");
	ioctl(fd, TIOCGWINSZ, &w);
	ssi__job__terminal__init(&s->terminal);
	s->terminal.rows = w.ws_row;
	s->terminal.columns = w.ws_col;
	s->terminal.termios = (ProtobufCBinaryData){ .len = sizeof(s->termios), .data = (uint8_t *)&s->termios };
	s->m.terminal = &s->terminal;
	return 0;
}

int ssi_spec_new(const struct ssi_spec_ask *a, Ssi__Job__Program *program, Ssi__Job__Spec **ret, struct ssi_err *e)
{
	struct spec *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return ssi_errf(e, -ENOMEM, "no memory for a job");
	ssi__job__spec__init(&s->m);
	if (!getcwd(s->cwd, sizeof(s->cwd)))
		s->cwd[0] = 0;                   /* it was removed: it gets a fresh one */
	s->m.cwd = s->cwd;
	s->m.umask = mask();
	s->m.program = program;
	s->m.input = !is_null(a->input);
	s->m.files = a->files;
	s->m.result = (char *)(a->result ? a->result : "");
	s->m.cpus = a->cpus;
	s->m.memory = a->memory;
	s->m.time_ms = a->time_ms;
	s->m.lease_ms = a->lease_ms;
	limits(s);
	signals(s);
	s->m.nice = getpriority(PRIO_PROCESS, 0);
	s->m.leader = getsid(0) == getpid();
	s->m.one_output = is_same(a->output, a->errors);
	r = words(a->argv, &s->m.n_argv, &s->m.argv);
	if (r == 0)
		r = words(a->env ? a->env : environ, &s->m.n_env, &s->m.env);
	if (r < 0)
		ssi_errf(e, r, "no memory for a job");
	else
		r = terminal(s, a->terminal, e);
	if (r < 0) {
		ssi_spec_free(&s->m);
		return r;
	}
	*ret = &s->m;
	return 0;
}

void ssi_spec_free(Ssi__Job__Spec *m)
{
	if (!m)
		return;
	free(m->argv);
	free(m->env);
	free(m);                                 /* it is the first of its struct spec */
}
