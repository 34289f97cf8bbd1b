/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the fifo run_dir/events: who has something to tell of this node (ssi-init's root watch and its services) writes a line "KIND TEXT" into it,
 * shorter than PIPE_BUF so that lines do not mix. It is read while we are joined; meanwhile lines wait in it, 64 KiB of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ssi-agent/agent.h"
#include "ssi/boot/boot.pb-c.h"

#define EVENTS_KIND_MAX 31
#define EVENTS_TEXT_MAX 511

static void events_send(struct agent *a, char *line)
{
	Ssi__Boot__NodeEvent m = SSI__BOOT__NODE_EVENT__INIT;
	struct ssi_ccm_conn *c = ssi_member_conn(a->member);
	char *text = strchr(line, ' ');
	uint8_t buf[1024];

	if (text)
		*text++ = '\0';
	if (!line[0] || !c || strlen(line) > EVENTS_KIND_MAX)
		return;
	if (text && strlen(text) > EVENTS_TEXT_MAX)
		text[EVENTS_TEXT_MAX] = '\0';
	m.kind = line;
	m.text = text ? text : (char *)"";
	ssi_ccm_send(c, SSI_MOD_BOOT, SSI_BOOT_NODE_EVENT, 0, buf, ssi__boot__node_event__pack(&m, buf));
}

/* A read that filled its buffer may end in the middle of a line: its beginning is kept for the next one. How much of buf is lines. */
static size_t events_keep_rest(struct agent *a, const char *buf, size_t len)
{
	const char *end = memrchr(buf, '\n', len);
	size_t rest = end ? len - (size_t)(end + 1 - buf) : 0;

	if (rest > sizeof(a->events_rest))
		rest = 0;                    /* nobody's line is as long as that */
	memcpy(a->events_rest, buf + len - rest, rest);
	a->events_rest_len = rest;
	return len - rest;
}

static int events_on_line(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct agent *a = userdata;
	char buf[sizeof(a->events_rest) + AGENT_EVENTS_READ + 1], *line, *save;
	size_t len = a->events_rest_len;
	ssize_t n;

	if (!ssi_member_conn(a->member)) {
		events_enable(a, false);     /* between two joins: they wait in the fifo */
		return 0;
	}
	memcpy(buf, a->events_rest, len);
	n = read(fd, buf + len, AGENT_EVENTS_READ);
	if (n <= 0)
		return 0;
	a->events_rest_len = 0;
	len += (size_t)n;
	if (n == AGENT_EVENTS_READ)
		len = events_keep_rest(a, buf, len);
	buf[len] = '\0';
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		events_send(a, line);
	return 0;
}

int events_open(struct agent *a, struct ssi_err *e)
{
	int r;

	if (mkfifo("events", 0600) < 0 && errno != EEXIST)
		return ssi_errno(e, -errno, "%s/events", a->run_dir);
	a->events_fd = open("events", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (a->events_fd < 0)
		return ssi_errno(e, -errno, "%s/events", a->run_dir);
	r = sd_event_add_io(a->event, &a->events_io, a->events_fd, EPOLLIN, events_on_line, a);
	if (r >= 0)
		r = sd_event_source_set_enabled(a->events_io, SD_EVENT_OFF);
	return r < 0 ? ssi_errno(e, r, "event loop") : 0;
}

void events_enable(struct agent *a, bool joined)
{
	if (a->events_io)
		sd_event_source_set_enabled(a->events_io, joined ? SD_EVENT_ON : SD_EVENT_OFF);
}

void events_close(struct agent *a)
{
	a->events_io = sd_event_source_disable_unref(a->events_io);
	if (a->events_fd >= 0)
		close(a->events_fd);
}
