/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client's end of the control socket: ssi and the verbs of ssi-bootsvc call it. It blocks, with a bound on silence.
 * It does no more than one call at a time, and after a broken one the connection is to be closed.
 */
#include "libssi/comm/control.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "libssi/base/base64.h"
#include "libssi/base/buf.h"
#include "libssi/base/clock.h"

#define INPUT_STEP 32768
#define READ_STEP 65536
#define PATIENCE_S 5             /* until a connection is taken, and for each step of a long request: a stopped daemon takes neither */

struct ssi_control {
	int fd;
	struct ssi_buf in;
	size_t start;            /* of the first line not yet taken out of in */
	size_t scanned;          /* up to here there is no newline after start */
};

/* Who may use the socket, for the message to one who may not. */
static int refused(const char *path, struct ssi_err *e)
{
	struct stat st;
	const struct group *g = NULL;

	if (stat(path, &st) == 0 && (st.st_mode & S_IWGRP) && st.st_gid != 0)
		g = getgrgid(st.st_gid);
	if (g)
		return ssi_errf(e, -EACCES, "not allowed to use %s: be root, or a member of the group '%s'", path, g->gr_name);
	return ssi_errf(e, -EACCES, "not allowed to use %s: be root", path);
}

static int connect_errno(const char *path, int err, struct ssi_err *e)
{
	switch (err) {
	case ENOENT:
	case ECONNREFUSED:
		return ssi_errf(e, -err, "ssi-bootsvc is not running on this host (nothing answers at %s): "
				"start it with 'ssi-bootsvc start'", path);
	case EAGAIN:
		return ssi_errf(e, -ETIMEDOUT, "ssi-bootsvc has not taken a connection at %s for %u s: is it stopped, or the host overloaded?", path, PATIENCE_S);
	case EACCES:
	case EPERM:
		return refused(path, e);
	default:
		return ssi_errno(e, -err, "cannot connect to %s", path);
	}
}

/* 0 or -errno; *ret is the caller's. */
static int dial(const char *path, int *ret)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	strcpy(sa.sun_path, path);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		if (errno != EINTR)
			return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

/* Who may not use the socket at path: the one for all beside it. */
static int dial_users(const char *path, int *ret)
{
	const char *slash = strrchr(path, '/');
	char users[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int n = slash ? snprintf(users, sizeof(users), "%.*s/%s", (int)(slash - path), path, SSI_CONTROL_USERS) : -1;

	return n < 0 || (size_t)n >= sizeof(users) ? -EACCES : dial(users, ret);
}

int ssi_control_open(const char *path, struct ssi_control **ret, struct ssi_err *e)
{
	_cleanup_close_ int fd = -1;
	struct ssi_control *c;
	int r;

	if (!path)
		path = getenv("SSI_SOCKET");
	if (!path || !*path)
		path = SSI_CONTROL_SOCKET;
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return ssi_errf(e, -ENAMETOOLONG, "%s: too long for the name of a socket", path);
	r = dial(path, &fd);
	if (r < 0 && (r != -EACCES || dial_users(path, &fd) < 0))
		return connect_errno(path, -r, e);
	c = calloc(1, sizeof(*c));
	if (!c)
		return ssi_errf(e, -ENOMEM, "out of memory");
	c->fd = TAKE_FD(fd);
	*ret = c;
	return 0;
}

void ssi_control_close(struct ssi_control *c)
{
	if (!c)
		return;
	close(c->fd);
	ssi_buf_free(&c->in);
	free(c);
}

static int gone(struct ssi_err *e)
{
	return ssi_errf(e, -ECONNRESET, "ssi-bootsvc went away before it answered: look at 'ssi-bootsvc status'");
}

static int send_request(struct ssi_control *c, const char *verb, json_t *args, struct ssi_err *e)
{
	_cleanup_json_ json_t *request = json_pack("{s:s, s:O*}", "verb", verb, "args", args);
	_cleanup_free_ char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
	size_t len, done = 0;

	if (!line)
		return ssi_errf(e, -EINVAL, "the request is not valid UTF-8");
	len = strlen(line);
	if (len + 1 > SSI_CONTROL_REQUEST_MAX)
		return ssi_errf(e, -E2BIG, "the request is too long: %zu bytes, at most %u", len, SSI_CONTROL_REQUEST_MAX - 1);
	line[len] = '\n';        /* in the place of the NUL */
	while (done < len + 1) {
		ssize_t n = send(c->fd, line + done, len + 1 - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return ssi_errf(e, -ETIMEDOUT, "ssi-bootsvc has not read for %u s: is it stopped, or the host overloaded?", PATIENCE_S);
		if (n < 0)
			return gone(e);
		done += (size_t)n;
	}
	return 0;
}

/* A line out of what was read; 0 and its place (without the newline), or -EAGAIN. */
static int line_take(struct ssi_control *c, const char **ret, size_t *ret_len)
{
	char *nl = c->scanned < c->in.len ? memchr(c->in.data + c->scanned, '\n', c->in.len - c->scanned) : NULL;

	if (!nl) {
		ssi_buf_consume(&c->in, c->start);
		c->start = 0;
		c->scanned = c->in.len;
		return -EAGAIN;
	}
	*ret = c->in.data + c->start;
	*ret_len = (size_t)(nl - *ret);
	c->start = c->scanned = (size_t)(nl + 1 - c->in.data);
	return 0;
}

static int wait_readable(struct ssi_control *c, unsigned timeout_ms, struct ssi_err *e)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	uint64_t end = ssi_clock_mono_ms() + timeout_ms;
	int r;

	for (;;) {
		uint64_t now = ssi_clock_mono_ms();

		r = poll(&p, 1, !timeout_ms ? -1 : now >= end ? 0 : (int)(end - now));
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return ssi_errno(e, -errno, "cannot wait for ssi-bootsvc");
		if (r == 0)
			return ssi_errf(e, -ETIMEDOUT, "ssi-bootsvc has not answered for %u s: is it stopped, or the host overloaded?",
					timeout_ms / 1000);
	}
}

/* What the daemon has said meanwhile: something, at least. */
static int line_fill(struct ssi_control *c, struct ssi_err *e)
{
	char *p;
	ssize_t n;

	if (c->in.len > SSI_CONTROL_ANSWER_MAX)
		return ssi_errf(e, -EBADMSG, "ssi-bootsvc sent a line of more than %u bytes", SSI_CONTROL_ANSWER_MAX);
	p = ssi_buf_reserve(&c->in, READ_STEP);
	if (!p)
		return ssi_errf(e, -ENOMEM, "out of memory");
	do
		n = read(c->fd, p, READ_STEP);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return gone(e);
	c->in.len += (size_t)n;
	return 0;
}

/* The next line; borrowed until the next call. */
static int line_read(struct ssi_control *c, unsigned timeout_ms, const char **ret, size_t *ret_len, struct ssi_err *e)
{
	while (line_take(c, ret, ret_len) < 0) {
		int r = wait_readable(c, timeout_ms, e);

		if (r >= 0)
			r = line_fill(c, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ok:false into a text. Several "errors" (lines) stay in the answer for who wants them. */
static int answer_status(const json_t *answer, struct ssi_err *e)
{
	const char *text = json_string_value(json_object_get(answer, "error"));

	if (json_is_true(json_object_get(answer, "ok")))
		return 0;
	ssi_errf(e, -EREMOTEIO, "%s", text ? text : "ssi-bootsvc refused, without a reason");
	return 1;
}

/* A line that came: -EAGAIN after an event, else what the call returns. */
static int call_line(const char *p, size_t n, ssi_control_event_fn event, void *userdata, json_t **ret_answer, struct ssi_err *e)
{
	_cleanup_json_ json_t *line = json_loadb(p, n, 0, NULL);
	const json_t *ev;
	int r;

	if (!json_is_object(line))
		return ssi_errf(e, -EBADMSG, "ssi-bootsvc sent what is not an answer: is it of another version?");
	ev = json_object_get(line, "event");
	if (ev)
		return event && event(ev, userdata) != 0 ? ssi_errf(e, -ECANCELED, "cancelled") : -EAGAIN;
	r = answer_status(line, e);
	*ret_answer = TAKE_PTR(line);
	return r;
}

int ssi_control_call(struct ssi_control *c, const char *verb, json_t *args, unsigned timeout_ms,
		     ssi_control_event_fn event, void *userdata, json_t **ret_answer, struct ssi_err *e)
{
	int r = send_request(c, verb, args, e);

	if (r < 0)
		return r;
	do {
		const char *p = NULL;
		size_t n = 0;

		r = line_read(c, timeout_ms, &p, &n, e);
		if (r >= 0)
			r = call_line(p, n, event, userdata, ret_answer, e);
	} while (r == -EAGAIN);
	return r;
}

/* What was read and has not been sent. */
struct input { int fd; char *line; size_t len, sent; };

/* Some more of it, as a line; at its end, or where it cannot be read, the line that says so. */
static int input_read(struct input *in, struct ssi_err *e)
{
	char buf[INPUT_STEP];
	_cleanup_free_ char *data = NULL;
	ssize_t n = read(in->fd, buf, sizeof(buf));
	int len;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		in->fd = -1;
	data = ssi_base64_encode(buf, n > 0 ? (size_t)n : 0);
	len = data ? asprintf(&in->line, "{\"input\":\"%s\"}\n", data) : -1;
	if (len < 0) {
		in->line = NULL;
		return ssi_errf(e, -ENOMEM, "out of memory");
	}
	in->len = (size_t)len;
	in->sent = 0;
	return 0;
}

/* As far as the daemon takes it. */
static int input_send(struct input *in, int fd, struct ssi_err *e)
{
	ssize_t n = send(fd, in->line + in->sent, in->len - in->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : gone(e);
	in->sent += (size_t)n;
	if (in->sent == in->len) {
		free(in->line);
		in->line = NULL;
	}
	return 0;
}

/* Wait for either side, and do what can be done. */
static int input_turn(struct ssi_control *c, struct input *in, struct ssi_err *e)
{
	struct pollfd p[2] = { { .fd = c->fd, .events = (short)(POLLIN | (in->line ? POLLOUT : 0)) }, { .fd = in->line ? -1 : in->fd, .events = POLLIN } };
	int r = 0;

	if (poll(p, 2, -1) < 0)
		return errno == EINTR ? 0 : ssi_errno(e, -errno, "cannot wait for ssi-bootsvc");
	if (p[0].revents & ~POLLOUT)
		r = line_fill(c, e);
	if (r >= 0 && p[0].revents & POLLOUT)
		r = input_send(in, c->fd, e);
	if (r >= 0 && p[1].revents)
		r = input_read(in, e);
	return r;
}

int ssi_control_call_input(struct ssi_control *c, const char *verb, json_t *args, int fd, ssi_control_event_fn event, void *userdata,
			   json_t **ret_answer, struct ssi_err *e)
{
	struct input in = { .fd = fd };
	int r = send_request(c, verb, args, e);

	if (r < 0)
		return r;
	do {
		const char *p;
		size_t n;

		r = line_take(c, &p, &n) == 0 ? call_line(p, n, event, userdata, ret_answer, e) : input_turn(c, &in, e);
		if (r == 0 && !*ret_answer)
			r = -EAGAIN;
	} while (r == -EAGAIN);
	free(in.line);
	return r;
}

int ssi_control_ask(const char *path, const char *verb, json_t *args, unsigned timeout_ms, json_t **ret_answer, struct ssi_err *e)
{
	_cleanup_control_ struct ssi_control *c = NULL;
	_cleanup_json_ json_t *own = args;
	int r = ssi_control_open(path, &c, e);

	return r < 0 ? r : ssi_control_call(c, verb, own, timeout_ms, NULL, NULL, ret_answer, e);
}
