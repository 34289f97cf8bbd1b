/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libmicrohttpd driven by its own epoll descriptor, which is one source of the daemon's loop. What a path means is route.c's, what a machine is
 * told is boot.c's, where files are is images.c's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include "bootsvc/boot.h"
#include "bootsvc/http.h"
#include "bootsvc/images.h"
#include "bootsvc/route.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/log.h"

/* A file that goes to a booting node. */
struct transfer { LIST_ENTRY(transfer) link; char node[64]; };

struct http {
	struct daemon *daemon;
	LIST_HEAD(transfers, transfer) transfers;
	struct MHD_Daemon *mhd;
	sd_event_source *io, *timer;
};

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result ok;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", "text/plain");
	MHD_add_response_header(r, "Cache-Control", "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result answer_file(struct http *h, struct MHD_Connection *c, const struct route *route)
{
	_cleanup_close_ int fd = images_open_file(h->daemon->images, route->image, route->generation, route->file);
	struct MHD_Response *r;
	enum MHD_Result ok;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return answer_text(c, MHD_HTTP_NOT_FOUND, "no such image or generation\n");
	r = MHD_create_response_from_fd64((uint64_t)st.st_size, fd);   /* owns fd from here */
	if (!r)
		return MHD_NO;
	(void)TAKE_FD(fd);
	MHD_add_response_header(r, "Content-Type", "application/octet-stream");
	ok = MHD_queue_response(c, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return ok;
}

static int addresses(struct MHD_Connection *c, struct in_addr *local, struct in_addr *peer)
{
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr_in a, b;
	socklen_t n = sizeof(a), m = sizeof(b);

	if (!fd || getsockname(fd->connect_fd, (struct sockaddr *)&a, &n) < 0 || getpeername(fd->connect_fd, (struct sockaddr *)&b, &m) < 0)
		return -ENOTCONN;
	*local = a.sin_addr;
	*peer = b.sin_addr;
	return 0;
}

/* HEAD must not arm a boot: it says that there is such a path, no more. */
static enum MHD_Result answer_boot(struct http *h, struct MHD_Connection *c, const struct route *route, const struct ssi_system *system,
				   struct in_addr peer, bool head)
{
	_cleanup_buf_ struct ssi_buf script = SSI_BUF_INIT;
	struct ssi_err e;

	if (head)
		return answer_text(c, MHD_HTTP_OK, "");
	if (boot_answer(h->daemon, system, route->mac, peer, &script, &e) < 0) {
		log_error("no boot script for %s: %s", route->mac, e.text);
		return answer_text(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "the master failed: see its log\n");
	}
	return answer_text(c, MHD_HTTP_OK, script.data);
}

static char seen;                /* a request whose headers are in, in the place of a transfer */

static void transfer_begin(struct http *h, struct in_addr peer, const char *file, void **per_request)
{
	struct transfer *t = calloc(1, sizeof(*t));
	char node[64];

	boot_fetches(h->daemon, peer, file, node);
	if (!t || !node[0]) {
		free(t);
		return;
	}
	strcpy(t->node, node);
	LIST_INSERT_HEAD(&h->transfers, t, link);
	*per_request = t;
}

static void on_completed(void *userdata, struct MHD_Connection *c, void **per_request, enum MHD_RequestTerminationCode how)
{
	struct transfer *t = *per_request;

	if (!t || *per_request == &seen)
		return;
	LIST_REMOVE(t, link);
	free(t);
	*per_request = NULL;
}

bool http_serves(const struct http *h, const char *node)
{
	const struct transfer *t;

	for (t = h ? LIST_FIRST(&h->transfers) : NULL; t; t = LIST_NEXT(t, link))
		if (strcmp(t->node, node) == 0)
			return true;
	return false;
}

static enum MHD_Result on_request(void *userdata, struct MHD_Connection *c, const char *url, const char *method, const char *version,
				  const char *upload, size_t *upload_size, void **per_request)
{
	struct http *h = userdata;
	const struct ssi_system *system;
	struct in_addr local, peer;
	struct route route;
	bool head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;

	if (!*per_request) {             /* the headers are in: go on reading, or say at once that there is no use */
		*per_request = &seen;
		return head || strcmp(method, MHD_HTTP_METHOD_GET) == 0 ? MHD_YES
			: answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD\n");
	}
	if (addresses(c, &local, &peer) < 0)
		return MHD_NO;
	system = daemon_system_at(h->daemon, local, peer);
	if (!system)
		return answer_text(c, MHD_HTTP_FORBIDDEN, "not on a network of a system\n");
	switch (route_parse(url, &route)) {
	case 0:
		break;
	case -EINVAL:
		return answer_text(c, MHD_HTTP_BAD_REQUEST, "malformed path\n");
	default:
		return answer_text(c, MHD_HTTP_NOT_FOUND, "no such path\n");
	}
	if (route.kind == ROUTE_BOOT)
		return answer_boot(h, c, &route, system, peer, head);
	if (!head)
		transfer_begin(h, peer, route.file, per_request);
	return answer_file(h, c, &route);
}

/* route.c undoes percent-encoding itself, where it can refuse. */
static size_t leave_encoded(void *userdata, struct MHD_Connection *c, char *s)
{
	return strlen(s);
}

static void http_run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(h->mhd);
	if (MHD_get_timeout(h->mhd, &ms) == MHD_YES) {
		sd_event_source_set_time_relative(h->timer, (uint64_t)ms * 1000);
		sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
	} else {
		sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	}
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	http_run(userdata);
	return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	http_run(userdata);
	return 0;
}

static int http_attach(struct http *h)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	int r;

	if (!info)
		return -ENOTSUP;
	r = sd_event_add_io(h->daemon->event, &h->io, info->epoll_fd, EPOLLIN, on_io, h);
	if (r >= 0)
		r = sd_event_add_time_relative(h->daemon->event, &h->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, h);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	return r;
}

static void http_freep(struct http **h)
{
	http_free(*h);
}

int http_start(struct daemon *d, struct http **ret, struct ssi_err *e)
{
	SSI_CLEANUP(http_freep) struct http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return ssi_errno(e, -ENOMEM, "HTTP server");
	h->daemon = d;
	errno = 0;
	h->mhd = MHD_start_daemon(MHD_USE_EPOLL, d->opt->http_port, NULL, NULL, on_request, h,
				  MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
				  MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS,
				  MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)HTTP_PER_ADDRESS,
				  MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_SILENCE_S,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)8192,
				  MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned)HTTP_CONNECTIONS,
				  MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL,
				  MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,    /* else it does not use sendfile: daemon.c ignores the signal */
				  MHD_OPTION_END);
	if (!h->mhd)
		return ssi_errno(e, errno ? -errno : -EIO, "cannot serve HTTP on port %u ('ss -ltnp' shows who has it)", d->opt->http_port);
	r = http_attach(h);
	if (r < 0)
		return ssi_errno(e, r, "HTTP server");
	*ret = TAKE_PTR(h);
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	sd_event_source_disable_unref(h->io);
	sd_event_source_disable_unref(h->timer);
	if (h->mhd)
		MHD_stop_daemon(h->mhd);
	free(h);
}
