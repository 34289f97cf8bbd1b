/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's end of the control socket. Owns the listening socket and the handlers: the daemon registers one for each verb. Who connects is control-client.c's.
 * Nothing is written outside the loop, except once when the server is freed.
 */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libssi/base/path.h"
#include "libssi/comm/control-server-internal.h"

#define BACKLOG 16
#define PAUSE_MS 500                /* without descriptors: how long until the next try */

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
	control_client_new(s, cfd);
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
	while (s->clients)
		control_client_free(s->clients);
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
