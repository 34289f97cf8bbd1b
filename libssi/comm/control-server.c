/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's end of the control socket. Owns the listening socket, the clients and their queues; the daemon registers a
 * handler for each verb. A client is read only while it has no request open (or one that takes input), so a flood of requests waits in its own socket.
 * Nothing is written outside the loop, except once when the server is freed.
 */
#include "libssi/comm/control-server.h"

#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "libssi/base/base64.h"
#include "libssi/base/buf.h"
#include "libssi/base/path.h"

#define READ_STEP 65536
#define BACKLOG 16
#define PAUSE_MS 500                /* without descriptors: how long until the next try */
#define TRIM_BYTES (1u << 20)

struct verb {
	ssi_control_handler run;
	void *userdata;
};

struct ssi_control_request {
	struct client *client;
	const struct ssi_control_spec *spec;
	bool open, paused;
	void (*drained)(struct ssi_control_request *q, void *userdata);
	void (*gone)(struct ssi_control_request *q, void *userdata);
	ssi_control_input_fn input;      /* NULL: it takes none, or has its end */
	bool full;                       /* input() has said: no more now */
	void *userdata;
};

struct client {
	struct ssi_control_server *server;
	struct client *prev, *next;
	sd_event_source *io, *more;      /* more: lines that are here are served, now that they may be */
	int fd;
	uid_t uid;
	struct ssi_buf in, out;
	size_t scanned;                  /* of in: no newline before this */
	size_t sent;                     /* of out */
	bool closing;                    /* after what is queued */
	bool ended;                      /* it has shut its end: what is in `in` is all */
	struct ssi_control_request request;
};

struct ssi_control_server {
	sd_event *event;
	sd_event_source *io, *pause;
	int fd;
	bool to_all;
	char *path;
	struct client *clients;
	unsigned n_clients;
	struct verb *verbs;              /* as ssi_control_specs */
};

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

static void client_new(struct ssi_control_server *s, int fd)
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

static int server_on_pause(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ssi_control_server *s = userdata;

	return sd_event_source_set_enabled(s->io, SD_EVENT_ON);
}

/* Without descriptors the listener would be ready for ever, and the daemon turn round and round: it rests. */
static void server_rest(struct ssi_control_server *s)
{
	if (sd_event_source_set_time_relative(s->pause, PAUSE_MS * 1000ull) >= 0 && sd_event_source_set_enabled(s->pause, SD_EVENT_ONESHOT) >= 0)
		sd_event_source_set_enabled(s->io, SD_EVENT_OFF);
}

static int server_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	static const char full[] = "{\"ok\":false,\"error\":\"too many clients of the control socket: try again\",\"status\":1}\n";
	struct ssi_control_server *s = userdata;
	int cfd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (cfd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			server_rest(s);
		return 0;
	}
	if (s->n_clients >= SSI_CONTROL_CLIENTS) {
		(void)!send(cfd, full, sizeof(full) - 1, MSG_NOSIGNAL);
		close(cfd);
		return 0;
	}
	client_new(s, cfd);
	return 0;
}

/* Is somebody there, or is it what a killed daemon left? */
static bool socket_answers(const struct sockaddr_un *sa)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* EAGAIN: so many wait already that it must be stopped, but it is there. */
	return fd >= 0 && (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN);
}

static int socket_bind(int fd, const struct sockaddr_un *sa, struct ssi_err *e)
{
	mode_t mask = umask(0177);       /* nobody gets in between bind and chmod */
	int r = bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : 0;

	if (r == -EADDRINUSE) {
		if (socket_answers(sa))
			ssi_errf(e, r, "another ssi-bootsvc answers at %s: stop it first with 'ssi-bootsvc stop'", sa->sun_path);
		else if (unlink(sa->sun_path) == 0)
			r = bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? ssi_errno(e, -errno, "cannot make %s", sa->sun_path) : 0;
		else
			ssi_errno(e, r, "cannot make %s", sa->sun_path);
	} else if (r < 0) {
		ssi_errno(e, r, "cannot make %s", sa->sun_path);
	}
	umask(mask);
	return r;
}

static int socket_open(const char *path, int *ret, struct ssi_err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_free_ char *dir = strdup(path);
	const struct group *g = getgrnam("ssi");
	_cleanup_close_ int fd = -1;
	char *slash;
	int r;

	if (strlen(path) >= sizeof(sa.sun_path))
		return ssi_errf(e, -ENAMETOOLONG, "%s: too long for the name of a socket", path);
	strcpy(sa.sun_path, path);
	slash = dir ? strrchr(dir, '/') : NULL;
	if (slash && slash != dir) {
		*slash = '\0';
		r = ssi_path_mkdirs(dir, 0755);
		if (r < 0)
			return ssi_errno(e, r, "cannot make %s", dir);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ssi_errno(e, -errno, "cannot make a socket");
	r = socket_bind(fd, &sa, e);
	if (r < 0)
		return r;
	if (g && chown(path, (uid_t)-1, g->gr_gid) < 0 && geteuid() == 0)
		return ssi_errno(e, -errno, "cannot give %s to the group ssi", path);
	if (chmod(path, 0660) < 0 || listen(fd, BACKLOG) < 0)
		return ssi_errno(e, -errno, "cannot listen on %s", path);
	*ret = TAKE_FD(fd);
	return 0;
}

static size_t specs_count(void)
{
	size_t n = 0;

	while (ssi_control_specs[n].verb)
		n++;
	return n;
}

int ssi_control_listen(sd_event *event, const char *path, struct ssi_control_server **ret, struct ssi_err *e)
{
	struct ssi_control_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return ssi_errf(e, -ENOMEM, "out of memory");
	s->fd = -1;
	s->event = sd_event_ref(event);
	s->verbs = calloc(specs_count(), sizeof(*s->verbs));
	r = s->verbs ? socket_open(path ? path : SSI_CONTROL_SOCKET, &s->fd, e) : ssi_errf(e, -ENOMEM, "out of memory");
	if (r >= 0) {
		s->path = strdup(path ? path : SSI_CONTROL_SOCKET);
		r = s->path ? sd_event_add_io(event, &s->io, s->fd, EPOLLIN, server_io, s) : -ENOMEM;
		if (r >= 0)              /* those that hung up leave before others are told that there are too many */
			r = sd_event_source_set_priority(s->io, SD_EVENT_PRIORITY_NORMAL + 10);
		if (r >= 0)              /* now: without descriptors there is no timer to be had */
			r = sd_event_add_time_relative(event, &s->pause, CLOCK_MONOTONIC, 0, 1000, server_on_pause, s);
		if (r >= 0)
			r = sd_event_source_set_enabled(s->pause, SD_EVENT_OFF);
		if (r < 0)
			ssi_errno(e, r, "cannot serve the control socket");
	}
	if (r < 0) {
		ssi_control_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int ssi_control_to_all(struct ssi_control_server *s)
{
	s->to_all = true;
	return chmod(s->path, 0666) < 0 ? -errno : 0;
}

void ssi_control_server_free(struct ssi_control_server *s)
{
	if (!s)
		return;
	while (s->clients) {
		if (client_queued(s->clients))
			(void)client_write(s->clients);
		client_free(s->clients);
	}
	sd_event_source_disable_unref(s->io);
	sd_event_source_disable_unref(s->pause);
	if (s->fd >= 0)
		close(s->fd);
	if (s->path)
		unlink(s->path);
	free(s->path);
	free(s->verbs);
	sd_event_unref(s->event);
	free(s);
}

int ssi_control_register(struct ssi_control_server *s, const char *verb, ssi_control_handler run, void *userdata)
{
	for (size_t i = 0; ssi_control_specs[i].verb; i++) {
		if (strcmp(ssi_control_specs[i].verb, verb) != 0)
			continue;
		if (s->verbs[i].run)
			return -EEXIST;
		s->verbs[i] = (struct verb){ run, userdata };
		return 0;
	}
	return -ENOENT;
}
