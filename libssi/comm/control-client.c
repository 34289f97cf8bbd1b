/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clients of the control socket: their queues, and the request that each has open. Called by control-server.c and by who answers. A client is read only while
 * it has no request open (or one that takes input), so a flood of requests waits in its own socket.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libssi/base/base64.h"
#include "libssi/comm/control-server-internal.h"

#define READ_STEP 65536
#define TRIM_BYTES (1u << 20)

static size_t client_queued(const struct client *c)
{
	return c->out.len - c->sent;
}

static void client_free(struct client *c)
{
	struct ssi_control_server *s = c->server;

	if (c->request.open) {
		c->request.open = false;
		if (c->request.gone)
			c->request.gone(&c->request, c->request.userdata);
	}
	if (c->prev)
		c->prev->next = c->next;
	else
		s->clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->n_clients--;
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->more);
	close(c->fd);
	ssi_buf_free(&c->in);
	ssi_buf_free(&c->out);
	free(c);
}

/* Is a line of the client of any use now? */
static bool client_listens(const struct client *c)
{
	return !c->closing && (!c->request.open || (c->request.input && !c->request.full));
}

/* What the loop is to look at. EPOLLHUP always comes: a client that only shut down its sending half is still answered. */
static void client_arm(struct client *c)
{
	uint32_t events = 0;

	if (client_listens(c))
		events |= EPOLLIN;
	if (client_queued(c))
		events |= EPOLLOUT;
	sd_event_source_set_io_events(c->io, events);
}

/* The client is beyond help: the loop will find the hang-up and free it. */
static void client_drop(struct client *c)
{
	c->closing = true;
	ssi_buf_free(&c->out);
	c->sent = 0;
	shutdown(c->fd, SHUT_RDWR);
}

/* Queue a line; takes j over. */
static int client_queue(struct client *c, json_t *j, size_t max)
{
	_cleanup_json_ json_t *own = j;
	_cleanup_free_ char *line = own ? json_dumps(own, JSON_COMPACT) : NULL;
	size_t len = line ? strlen(line) : 0;

	if (!line)
		return -ENOMEM;
	if (client_queued(c) + len + 1 > max)
		return -ENOBUFS;
	ssi_buf_consume(&c->out, c->sent);
	c->sent = 0;
	line[len] = '\n';
	if (ssi_buf_add(&c->out, line, len + 1) < 0)
		return -ENOMEM;
	client_arm(c);
	return 0;
}

static void request_end(struct ssi_control_request *q, json_t *answer)
{
	struct client *c = q->client;
	int r;

	if (!q->open || c->closing) {
		q->open = false;
		json_decref(answer);
		return;
	}
	q->open = false;
	r = client_queue(c, answer, SSI_CONTROL_ANSWER_MAX);
	if (r < 0)
		r = client_queue(c, json_pack("{s:b, s:s, s:i}", "ok", 0, "error", r == -ENOBUFS ? "the answer is too long: ask for fewer nodes" :
					      "the daemon is out of memory", "status", 1), SSI_CONTROL_ANSWER_MAX + 4096);
	if (r < 0)
		client_drop(c);
}

void ssi_control_ok(struct ssi_control_request *q, json_t *data)
{
	request_end(q, json_pack("{s:b, s:o*}", "ok", 1, "data", data));
}

void ssi_control_partial(struct ssi_control_request *q, json_t *data, size_t failed)
{
	request_end(q, json_pack("{s:b, s:I, s:o*}", "ok", 1, "failed", (json_int_t)failed, "data", data));
}

void ssi_control_fail(struct ssi_control_request *q, const struct ssi_err *why, json_t *errors, json_t *data)
{
	request_end(q, json_pack("{s:b, s:o, s:i, s:o*, s:o*}", "ok", 0, "error", ssi_control_text(why->text), "status", 1,
				 "errors", errors, "data", data));
}

int ssi_control_event(struct ssi_control_request *q, json_t *event)
{
	struct client *c = q->client;
	int r;

	if (c->closing) {
		json_decref(event);
		return -EPIPE;
	}
	r = client_queue(c, json_pack("{s:o}", "event", event), SSI_CONTROL_QUEUE_MAX);
	if (r < 0) {
		client_drop(c);
		return -ENOBUFS;
	}
	if (client_queued(c) > SSI_CONTROL_QUEUE_HIGH)
		q->paused = true;
	return q->paused;
}

void ssi_control_watch(struct ssi_control_request *q, void (*drained)(struct ssi_control_request *q, void *userdata),
		       void (*gone)(struct ssi_control_request *q, void *userdata), void *userdata)
{
	q->drained = drained;
	q->gone = gone;
	q->userdata = userdata;
}

void ssi_control_take_input(struct ssi_control_request *q, ssi_control_input_fn input)
{
	q->input = input;
}

/* The loop reads on: what is here already is looked at then, too. */
void ssi_control_input_more(struct ssi_control_request *q)
{
	if (!q->full)
		return;
	q->full = false;
	sd_event_source_set_enabled(q->client->more, SD_EVENT_ONESHOT);
	client_arm(q->client);
}

uid_t ssi_control_uid(const struct ssi_control_request *q)
{
	return q->client->uid;
}

bool ssi_control_from_all(const struct ssi_control_request *q)
{
	return q->client->server->to_all;
}

static int no_verb(const struct ssi_control_request *q, struct ssi_err *e)
{
	if (q->client->server->to_all)
		return ssi_errf(e, -EACCES, "not allowed to ask for '%s': be root, or a member of the group 'ssi'", q->spec->verb);
	return ssi_errf(e, -EOPNOTSUPP, "this daemon has no verb '%s'", q->spec->verb);
}

/* One line: check it, hand it to its handler. */
static void client_request(struct client *c, const char *line, size_t len)
{
	struct ssi_control_request *q = &c->request;
	_cleanup_json_ json_t *args = NULL;
	struct ssi_err e = { 0 };
	const struct verb *v;
	int r;

	*q = (struct ssi_control_request){ .client = c, .open = true };
	r = ssi_control_parse(line, len, &q->spec, &args, &e);
	if (r >= 0) {
		v = &c->server->verbs[q->spec - ssi_control_specs];
		r = v->run ? v->run(q, args, v->userdata, &e) : no_verb(q, &e);
	}
	if (r < 0)
		ssi_control_fail(q, &e, NULL, NULL);
}

/* p NULL: the end. */
static void client_give(struct client *c, const void *p, size_t n)
{
	struct ssi_control_request *q = &c->request;
	ssi_control_input_fn input = q->input;
	int r;

	if (!n)
		q->input = NULL;
	r = input(q, p, n, q->userdata);
	q->full = r > 0;
	if (r < 0)
		client_drop(c);
}

/* A line of input. One that is none ends it, and the client. */
static void client_input(struct client *c, const char *line, size_t len)
{
	_cleanup_json_ json_t *j = json_loadb(line, len, 0, NULL);
	_cleanup_free_ char *data = NULL;
	size_t n;

	if (!json_is_string(json_object_get(j, "input")) || ssi_base64_decode(json_string_value(json_object_get(j, "input")), &data, &n) < 0)
		client_drop(c);
	else
		client_give(c, data, n);
}

/* Serve the lines that are there, one after the other, until one stays open. */
static void client_lines(struct client *c)
{
	while (client_listens(c)) {
		char *nl = c->scanned < c->in.len ? memchr(c->in.data + c->scanned, '\n', c->in.len - c->scanned) : NULL;
		size_t len;

		if (!nl) {
			c->scanned = c->in.len;
			if (c->ended && c->request.open) {
				client_give(c, NULL, 0);
				return;
			}
			if (c->in.len < SSI_CONTROL_REQUEST_MAX)
				return;
			if (c->request.open) {
				client_drop(c);
				return;
			}
			c->request = (struct ssi_control_request){ .client = c, .open = true };
			ssi_control_fail(&c->request, &(struct ssi_err){ -E2BIG, "a request of more than 1 MiB" }, NULL, NULL);
			c->closing = true;
			return;
		}
		len = (size_t)(nl - c->in.data);
		if (c->request.open)
			client_input(c, c->in.data, len);
		else
			client_request(c, c->in.data, len);
		ssi_buf_consume(&c->in, len + 1);
		c->scanned = 0;
	}
}

/* 1 when something was read, 0 at the end, -errno. */
static int client_read(struct client *c)
{
	char *p = ssi_buf_reserve(&c->in, READ_STEP);
	ssize_t n;

	if (!p)
		return -ENOMEM;
	n = read(c->fd, p, READ_STEP);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -errno;
	c->in.len += (size_t)n;
	return n > 0;
}

static int client_write(struct client *c)
{
	struct ssi_control_request *q = &c->request;
	ssize_t n = send(c->fd, c->out.data + c->sent, client_queued(c), MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->sent += (size_t)n;
	if (client_queued(c))
		return 0;
	ssi_buf_free(&c->out);           /* an idle client holds no memory */
	if (c->sent >= TRIM_BYTES)       /* nor does what a long answer was made of stay with an idle daemon */
		malloc_trim(0);
	c->sent = 0;
	if (q->open && q->paused) {
		q->paused = false;
		if (q->drained)
			q->drained(q, q->userdata);
	}
	return 0;
}

static int client_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct client *c = userdata;
	int r = 1;

	if (revents & (EPOLLHUP | EPOLLERR)) {
		client_free(c);
		return 0;
	}
	if (revents & EPOLLOUT && client_queued(c) && client_write(c) < 0) {
		client_free(c);
		return 0;
	}
	if (revents & EPOLLIN && client_listens(c))
		r = client_read(c);
	if (r < 0) {
		client_free(c);
		return 0;
	}
	c->ended = c->ended || r == 0;
	client_lines(c);
	if (r == 0)                      /* it will ask no more; what it asked is still answered */
		c->closing = !c->request.open;
	if (c->closing && !client_queued(c)) {
		client_free(c);
		return 0;
	}
	client_arm(c);
	return 0;
}

static int client_more(sd_event_source *source, void *userdata)
{
	client_lines(userdata);
	client_arm(userdata);
	return 0;
}

/* Of a socket that is open to all nobody may take so much that others have none. */
static bool has_enough(const struct ssi_control_server *s, uid_t uid)
{
	unsigned n = 0;

	for (const struct client *c = s->clients; c; c = c->next)
		n += c->uid == uid;
	return s->to_all && uid != 0 && n >= SSI_CONTROL_CLIENTS_OF_USER;
}

void control_client_new(struct ssi_control_server *s, int fd)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);
	struct client *c = NULL;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || has_enough(s, cred.uid)) {
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c || sd_event_add_io(s->event, &c->io, fd, EPOLLIN, client_io, c) < 0 || sd_event_add_defer(s->event, &c->more, client_more, c) < 0 ||
	    sd_event_source_set_enabled(c->more, SD_EVENT_OFF) < 0) {
		if (c) {
			sd_event_source_disable_unref(c->io);
			sd_event_source_disable_unref(c->more);
		}
		free(c);
		close(fd);
		return;
	}
	c->server = s;
	c->fd = fd;
	c->uid = cred.uid;
	c->request.client = c;
	c->next = s->clients;
	if (c->next)
		c->next->prev = c;
	s->clients = c;
	s->n_clients++;
}

void control_client_free(struct client *c)
{
	if (client_queued(c))
		(void)client_write(c);
	client_free(c);
}
