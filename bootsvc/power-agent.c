/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Telling a fence agent what to do. Owns the rules about passwords: they come from a file that only its owner may read, go to
 * the agent's standard input (a memory file, so that nothing blocks), and are wiped. What an agent does with a password further on
 * is the agent's: fence_ipmilan, for one, hands it to ipmitool. Called by power.c.
 */
#include "bootsvc/power-agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "bootsvc/power.h"
#include "libssi/base/buf.h"
#include "libssi/base/fd.h"
#include "libssi/base/num.h"
#include "libssi/base/spawn.h"

#define PASSWORD_MAX 256
#define PREFIX "power."

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void power_agent_free(struct power_agent *a)
{
	wipe(&a->options);
	wipe(&a->password);
	free(a->program);
	a->program = NULL;
}

static int password_open(const char *path, struct ssi_err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return ssi_errno(e, -errno, "cannot read the password file %s", path);
	if (fstat(fd, &st) < 0)
		return ssi_errno(e, -errno, "cannot read the password file %s", path);
	if (!S_ISREG(st.st_mode))
		return ssi_errf(e, -EINVAL, "%s is no file: power.password_file names one with the password on its first line", path);
	if (st.st_mode & 077)
		return ssi_errf(e, -EACCES, "others may read the password file %s (mode %04o): run 'chmod 0600 %s'", path, st.st_mode & 07777, path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return ssi_errf(e, -EACCES, "the password file %s is another user's: run 'chown root %s'", path, path);
	return TAKE_FD(fd);
}

/* The first line of the file. */
static int password_read(const char *path, char **ret, struct ssi_err *e)
{
	char line[PASSWORD_MAX + 2];
	_cleanup_close_ int fd = password_open(path, e);
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return fd;
	n = ssi_fd_read_full(fd, line, sizeof(line) - 1);
	if (n < 0)
		return ssi_errno(e, (int)n, "cannot read the password file %s", path);
	line[n] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	if (!*line || strlen(line) > PASSWORD_MAX)
		r = ssi_errf(e, -EINVAL, "the password file %s: its first line must be a password of 1 to %d bytes", path, PASSWORD_MAX);
	else if (!(*ret = strdup(line)))
		r = ssi_errf(e, -ENOMEM, "out of memory");
	explicit_bzero(line, sizeof(line));
	return r;
}

/* One power.OPTION. */
static int option_read(const struct ssi_machine *m, const char *name, const char *value, struct power_agent *a, struct ssi_buf *to, struct ssi_err *e)
{
	uint64_t ms;

	if (strcmp(name, "action") == 0)
		return ssi_errf(e, -EINVAL, "machine %s: power.action is given by what is asked for: remove it", m->mac);
	if (strcmp(name, "password") == 0 || strcmp(name, "passwd") == 0)
		return ssi_errf(e, -EINVAL, "machine %s: power.%s would be readable by all: put it into a file of mode 0600 "
				"and name that with power.password_file", m->mac, name);
	if (strcmp(name, "password_file") == 0) {
		wipe(&a->password);
		return password_read(value, &a->password, e);
	}
	if (strcmp(name, "timeout") == 0) {
		if (ssi_num_duration_ms(value, &ms) < 0 || ms < 1000 || ms > 3600000)
			return ssi_errf(e, -EINVAL, "machine %s: power.timeout must be from 1s to 1h", m->mac);
		a->timeout_ms = (unsigned)ms;
		return 0;
	}
	return ssi_buf_addf(to, "%s=%s\n", name, value);
}

static int options_read(const struct ssi_machine *m, struct power_agent *a, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;

	for (size_t i = 0; i < m->n_values; i++) {
		const struct ssi_value *v = &m->values[i];
		int r = 0;

		if (strncmp(v->key, PREFIX, strlen(PREFIX)) == 0)
			r = option_read(m, v->key + strlen(PREFIX), v->value, a, &b, e);
		if (r < 0)
			return r;
	}
	if (a->password)         /* last, and with room for it there already: a buffer that grows leaves its old place unwiped */
		ssi_buf_reserve(&b, strlen(a->password) + 16);
	if (a->password)
		ssi_buf_addf(&b, "password=%s\n", a->password);
	a->options = ssi_buf_take(&b);
	return a->options ? 0 : ssi_errf(e, -ENOMEM, "out of memory");
}

int power_agent_read(const struct ssi_machine *m, struct power_agent *ret, struct ssi_err *e)
{
	struct power_agent a = { .timeout_ms = SSI_POWER_TIMEOUT_MS };
	const char *program = ssi_machine_value(m, "power");
	int r;

	if (!program || !*program)
		return ssi_errf(e, -ENOTSUP, "machine %s has no 'power' in nodes.d: its power cannot be switched from here", m->mac);
	if (strchr(program, '/') || !ssi_spawn_which(program))
		return ssi_errf(e, -ENOENT, "machine %s: no fence agent '%s' on this host: install fence-agents", m->mac, program);
	a.program = strdup(program);
	r = a.program ? options_read(m, &a, e) : ssi_errf(e, -ENOMEM, "out of memory");
	if (r < 0) {
		power_agent_free(&a);
		return r;
	}
	*ret = a;
	return 0;
}

/* The agent's standard input, complete and at its beginning. */
static int input_open(const struct power_agent *a, const char *action)
{
	_cleanup_close_ int fd = memfd_create("fence", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = ssi_fd_write_all(fd, "action=", 7);
	if (r >= 0)
		r = ssi_fd_write_all(fd, action, strlen(action));
	if (r >= 0)
		r = ssi_fd_write_all(fd, "\n", 1);
	if (r >= 0)
		r = ssi_fd_write_all(fd, a->options, strlen(a->options));
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int power_agent_spawn(const struct power_agent *a, const char *action, pid_t *ret_pid, int *ret_output, struct ssi_err *e)
{
	char *argv[] = { a->program, NULL };
	_cleanup_close_ int in = input_open(a, action), out = -1, to = -1;
	int p[2], r;

	if (in < 0)
		return ssi_errno(e, in, "cannot tell %s what to do", a->program);
	if (pipe2(p, O_CLOEXEC) < 0)
		return ssi_errno(e, -errno, "cannot run %s", a->program);
	out = p[0];
	to = p[1];
	r = ssi_fd_nonblock(out);
	if (r < 0)
		return ssi_errno(e, r, "cannot run %s", a->program);
	r = ssi_spawn(argv, &(struct ssi_spawn_io){ .in = in, .out = to, .err = to }, SSI_SPAWN_NEWGROUP | SSI_SPAWN_PDEATH, ret_pid, e);
	if (r < 0)
		return r;
	*ret_output = TAKE_FD(out);
	return 0;
}

static void strip(char *text, const char *secret)
{
	size_t n = secret ? strlen(secret) : 0;

	for (char *p = text; n && (p = strstr(p, secret)); p += n)
		memset(p, '*', n);
}

/* Cut the last line off a text and return it, NULL when there is none left. */
static char *line_cut(char *text)
{
	char *end = text + strlen(text), *p;

	while (end > text && (unsigned char)end[-1] <= ' ')
		*--end = '\0';
	if (end == text)
		return NULL;
	p = strrchr(text, '\n');
	if (!p)
		return text;
	*p = '\0';
	return p + 1;
}

/* The last line that says why, without control characters and the time that agents write before "ERROR: ". */
static const char *last_line(char *text)
{
	static const char usage[] = "Please use '-h' for usage", level[] = " ERROR: ";
	char *line, *p;

	do
		line = line_cut(text);
	while (line && line != text && strstr(line, usage));
	if (!line)
		return "";
	for (p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	p = strstr(line, level);
	return p ? p + strlen(level) : line;
}

int power_agent_failed(const struct power_agent *a, const char *action, int status, char *output, struct ssi_err *e)
{
	const char *words;

	strip(output, a->password);
	words = last_line(output);
	if (status >= 128)
		return ssi_errf(e, -EIO, "%s: %s was ended by signal %d", a->program, action, status - 128);
	return ssi_errf(e, -EIO, "%s: %s failed: %s (exit status %d)", a->program, action, *words ? words : "it did not say why", status);
}
