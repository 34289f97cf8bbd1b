/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One job between descriptors. Called by ssi run and ssi_rexec(). Descriptors are the caller's and may be shared with others, so they stay blocking: pipes are
 * written by calls that do not block (RWF_NOWAIT; where the kernel has that not, and for terminals, in pieces of PIPE_BUF once poll has said that there is
 * room), and files at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "libssi/base/buf.h"
#include "libssi/comm/jobframe.h"
#include "ssi/rexec/pack.h"
#include "ssi/rexec/run-one.h"
#include "ssi/rexec/run-spec.h"

#define TERMINAL_MS 200
#define SETTLE_MS 50
#define SINK_PIPE_BYTES (256 << 10)
#define SETTLE_TRIES 10

struct sink {
	int fd;
	unsigned stream;
	enum { SINK_FILE, SINK_SOCKET, SINK_PIPE, SINK_OTHER } kind;
	bool ended, broken, pipe;            /* pipe: or another thing whose reader may go away */
	bool wide;                           /* the pipe was made so, when it did not take all */
	struct ssi_buf buf;
	size_t at;
};
struct source { int fd; unsigned stream; bool ended, terminal; };
struct one {
	struct ssi_run *run;
	const struct ssi_run_io *io;
	struct sink sinks[3];
	struct source sources[2];
	int stop;                            /* by which signal it was stopped, not yet told */
};
enum { POLL_HOP, POLL_SIGNALS, POLL_SOURCES, POLL_SINKS = POLL_SOURCES + 2, POLL_N = POLL_SINKS + 3 };

static void sink_open(struct sink *s, unsigned stream, int fd)
{
	struct stat st = { 0 };

	*s = (struct sink){ .fd = fd, .stream = stream, .kind = SINK_OTHER };
	if (fd >= 0 && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode)))
		s->kind = S_ISREG(st.st_mode) ? SINK_FILE : SINK_SOCKET;
	if (fd >= 0 && S_ISFIFO(st.st_mode))
		s->kind = SINK_PIPE;
	s->pipe = s->kind == SINK_PIPE && stream != 4;
}

static bool sink_ready(const struct sink *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };

	return s->kind != SINK_OTHER || (poll(&p, 1, 0) > 0 && p.revents);
}

static ssize_t sink_pipe(struct sink *s, const void *p, size_t n)
{
	const struct iovec v = { (void *)p, n };
	ssize_t k = pwritev2(s->fd, &v, 1, -1, RWF_NOWAIT);

	if (k < 0 && errno == EOPNOTSUPP) {
		s->kind = SINK_OTHER;
		errno = EINTR;               /* again, the other way */
	}
	if ((k < 0 ? errno == EAGAIN : (size_t)k < n) && !s->wide) {
		(void)fcntl(s->fd, F_SETPIPE_SZ, SINK_PIPE_BYTES);
		s->wide = true;
	}
	return k;
}

static ssize_t sink_once(struct sink *s, const void *p, size_t n)
{
	if (s->kind == SINK_PIPE)
		return sink_pipe(s, p, n);
	if (s->kind == SINK_SOCKET)
		return send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(s->fd, p, s->kind == SINK_FILE || n < PIPE_BUF ? n : PIPE_BUF);
}

/* A reader who has gone is to the job what it is to a program that writes here: EPIPE and SIGPIPE. A terminal that has gone says so itself (SIGHUP). */
static void sink_broken(struct one *o, struct sink *s, int error)
{
	s->broken = true;
	if (error == EPIPE && s->stream != 4)
		ssi_run_gone(o->run, s->stream);
}

/* As much as goes now; how much that was. */
static size_t sink_write(struct one *o, struct sink *s, const char *p, size_t n)
{
	size_t done = 0;

	while (done < n && s->fd >= 0 && !s->broken && sink_ready(s)) {
		ssize_t k = sink_once(s, p + done, n - done);

		if (k > 0)
			done += (size_t)k;
		else if (k < 0 && errno == EINTR)
			continue;
		else if (k < 0 && errno == EAGAIN)
			break;
		else
			sink_broken(o, s, k < 0 ? errno : EIO);
	}
	return s->fd < 0 || s->broken ? n : done;
}

static void sink_drain(struct one *o, struct sink *s)
{
	size_t n = sink_write(o, s, s->buf.data + s->at, s->buf.len - s->at);

	if (n)
		ssi_run_consumed(o->run, s->stream, n);
	s->at += n;
	if (s->at == s->buf.len) {
		s->buf.len = s->at = 0;
	} else if (s->at > s->buf.len / 2) {
		ssi_buf_consume(&s->buf, s->at);
		s->at = 0;
	}
	if (s->ended && !s->buf.len && s->stream == 4 && s->fd >= 0) {
		close(s->fd);
		s->fd = -1;
	}
}

static void sink_polled(struct one *o, struct sink *s, short revents)
{
	if (s->buf.len)
		sink_drain(o, s);
	else if (revents & POLLERR)
		sink_broken(o, s, EPIPE);
}

/* What the program wrote before it was stopped is to be seen; but who is to read it may be stopped as well. */
static void sinks_settle(struct one *o)
{
	for (int i = 0; i < 2; i++)
		for (int tries = 0; o->sinks[i].buf.len && !o->sinks[i].pipe && tries < SETTLE_TRIES; tries++) {
			struct pollfd p = { .fd = o->sinks[i].fd, .events = POLLOUT };

			if (poll(&p, 1, SETTLE_MS) > 0)
				sink_drain(o, &o->sinks[i]);
		}
}

static void on_output(struct ssi_run *r, unsigned stream, const void *p, size_t n, void *userdata)
{
	struct one *o = userdata;
	struct sink *s = &o->sinks[stream == 4 ? 2 : stream - 1];
	size_t done = n && !s->buf.len ? sink_write(o, s, p, n) : 0;

	if (done)
		ssi_run_consumed(r, stream, done);
	if (!n)
		s->ended = true;
	else if (done < n && ssi_buf_add(&s->buf, (const char *)p + done, n - done) < 0)
		s->broken = true;
	if (s->ended || s->broken)
		sink_drain(o, s);
}

static void on_state(struct ssi_run *r, enum ssi_run_state s, int signal, void *userdata)
{
	((struct one *)userdata)->stop = s == SSI_RUN_STOPPED ? signal : 0;
}

static void source_read(struct one *o, struct source *s)
{
	char buf[SSI_JOBFRAME_PIECE];
	size_t room = ssi_run_room(o->run, s->stream);
	ssize_t n = room ? read(s->fd, buf, room < sizeof(buf) ? room : sizeof(buf)) : -1;

	if (!room || (n < 0 && (errno == EINTR || errno == EAGAIN)))
		return;
	s->ended = n <= 0;
	ssi_run_input(o->run, s->stream, buf, n > 0 ? (size_t)n : 0);
}

static void window(struct one *o)
{
	struct winsize w;

	if (o->io->terminal >= 0 && ioctl(o->io->terminal, TIOCGWINSZ, &w) == 0)
		ssi_run_window(o->run, w.ws_row, w.ws_col);
}

static void signals_read(struct one *o)
{
	struct signalfd_siginfo si;

	while (read(o->io->signals, &si, sizeof(si)) == (ssize_t)sizeof(si))
		if (si.ssi_signo == SIGWINCH && o->io->terminal >= 0 && si.ssi_code == SI_KERNEL)
			window(o);
		else if (si.ssi_signo == SIGCONT && si.ssi_code == SI_QUEUE)
			continue;                /* the daemon's: the job goes on already */
		else
			/* From a terminal it is for all in the foreground, from kill(2) for one process; all go on, as all were stopped. */
			ssi_run_signal(o->run, (int)si.ssi_signo, si.ssi_code == SI_KERNEL || si.ssi_signo == SIGCONT);
}

/* Who reads a terminal in the background is stopped for it, and the job may not even want to read: what is typed is not for it then. */
static bool source_open(const struct one *o, const struct source *s)
{
	return !s->ended && ssi_run_room(o->run, s->stream) && (!s->terminal || tcgetpgrp(s->fd) == getpgrp());
}

static int one_poll(struct one *o, struct pollfd *p)
{
	int timeout = ssi_run_poll(o->run, &p[POLL_HOP]);

	p[POLL_SIGNALS] = (struct pollfd){ .fd = o->io->signals, .events = POLLIN };
	for (int i = 0; i < 2; i++) {
		const struct source *s = &o->sources[i];

		p[POLL_SOURCES + i] = (struct pollfd){ .fd = source_open(o, s) ? s->fd : -1, .events = POLLIN };
		if (s->terminal && p[POLL_SOURCES + i].fd < 0 && !s->ended && (timeout < 0 || timeout > TERMINAL_MS))
			timeout = TERMINAL_MS;       /* nobody tells that it is in the foreground again */
	}
	for (int i = 0; i < 3; i++) {
		const struct sink *s = &o->sinks[i];

		p[POLL_SINKS + i] = (struct pollfd){ .fd = s->buf.len || (s->pipe && !s->broken && !s->ended) ? s->fd : -1, .events = s->buf.len ? POLLOUT : 0 };
	}
	return poll(p, POLL_N, timeout) < 0 && errno != EINTR ? -errno : 0;
}

static int one_loop(struct one *o, struct ssi_err *e)
{
	struct pollfd p[POLL_N];
	int r = SSI_RUN_SENDING;

	while (r != SSI_RUN_ENDED) {
		if (o->io->front && tcgetpgrp(o->io->terminal) == getpgrp())
			o->io->front(o->io->userdata);
		r = one_poll(o, p);
		if (r < 0)
			return ssi_errno(e, r, "poll");
		if (p[POLL_SIGNALS].revents)
			signals_read(o);
		for (int i = 0; i < 2; i++)
			if (p[POLL_SOURCES + i].revents)
				source_read(o, &o->sources[i]);
		for (int i = 0; i < 3; i++)
			if (p[POLL_SINKS + i].revents)
				sink_polled(o, &o->sinks[i], p[POLL_SINKS + i].revents);
		r = ssi_run_step(o->run, p[POLL_HOP].revents, e);
		if (r < 0)
			return r;
		if (o->stop && o->io->stopped) {
			int signal = o->stop;

			o->stop = 0;
			sinks_settle(o);
			o->io->stopped(signal, o->io->userdata);
			window(o);               /* nobody told us of another size meanwhile */
		}
	}
	return 0;
}

int ssi_run_one(const char *socket, int fd, const struct ssi_run_place *place, const struct Ssi__Job__Spec *spec, struct ssi_pack *pack,
		const struct ssi_run_io *io, struct ssi_run_exit *ret, struct ssi_err *e)
{
	static const struct ssi_run_ops ops = { .output = on_output, .state = on_state };
	struct one o = { .io = io };
	int r = ssi_run_new(socket, fd, place, spec, pack, &ops, &o, &o.run, e);

	if (r < 0)
		return r;
	sink_open(&o.sinks[0], 1, io->out);
	sink_open(&o.sinks[1], 2, io->err);
	sink_open(&o.sinks[2], 4, io->result);
	o.sources[0] = (struct source){ io->in, 0, !spec->input, io->in >= 0 && isatty(io->in) };
	o.sources[1] = (struct source){ io->files, 3, !spec->files, false };
	r = one_loop(&o, e);
	if (r == 0)
		*ret = *ssi_run_exit(o.run);
	for (int i = 0; i < 3; i++)
		ssi_buf_free(&o.sinks[i].buf);
	ssi_run_free(o.run);
	return r;
}
