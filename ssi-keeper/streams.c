/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the bytes of a job's streams while they are here. Called by the keeper's loop and attach.c. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "libssi/comm/jobframe.h"
#include "ssi-keeper/streams.h"

#define OUTLET_READ (256u << 10)
#define OUTLET_PIPE (64 << 10)       /* what a pipe holds: who fills it writes much, and is not to wait for us each time */
#define OUTLET_PIPE_WIDE (256 << 10)
#define INLET_TELL (64u << 10)       /* an ACK for so much, or when all is written */

void outlet_open(struct outlet *o, uint32_t stream, int fd)
{
	*o = (struct outlet){ .stream = stream, .fd = fd, .ring = o->ring, .end = fd < 0, .mute = o->mute };
}

static uint64_t outlet_most(const struct outlet *o, bool all)
{
	uint64_t held = o->produced - o->acked, most = all ? OUTLET_BYTES : SSI_JOB_WINDOW_BYTES;

	return held < most ? most - held : 0;
}

bool outlet_room(const struct outlet *o, bool all)
{
	return o->fd >= 0 && outlet_most(o, all) > 0;
}

/* Who writes little uses few pages of the ring. */
static size_t outlet_at(const struct outlet *o, uint64_t offset)
{
	return (size_t)(offset % OUTLET_BYTES);
}

int outlet_ring(struct outlet *o)
{
	void *p = o->ring ? o->ring : mmap(NULL, OUTLET_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	o->ring = p;
	return 0;
}

static int outlet_more(struct outlet *o, bool all)
{
	uint64_t room = outlet_most(o, all);
	size_t at = outlet_at(o, o->produced), first;
	struct iovec v[2];
	ssize_t n;

	room = room < OUTLET_READ ? room : OUTLET_READ;
	first = OUTLET_BYTES - at < room ? OUTLET_BYTES - at : (size_t)room;
	v[0] = (struct iovec){ o->ring + at, first };
	v[1] = (struct iovec){ o->ring, (size_t)room - first };
	n = readv(o->fd, v, v[1].iov_len ? 2 : 1);
	return n < 0 ? -errno : (int)n;
}

int outlet_read(struct outlet *o, bool all)
{
	int n = outlet_ring(o);

	if (n < 0)
		return n;
	do
		n = outlet_more(o, all);
	while (n == -EINTR);
	if (n == -EAGAIN)
		return n;
	if (n <= 0) {                        /* EIO: the last one has closed the terminal */
		close(o->fd);
		o->fd = -1;
		o->end = true;
		return 0;
	}
	if (n >= OUTLET_PIPE && !o->wide) {
		(void)fcntl(o->fd, F_SETPIPE_SZ, OUTLET_PIPE_WIDE);
		o->wide = true;
	}
	o->produced += (uint64_t)n;
	if (o->mute)
		o->acked = o->sent = o->produced;
	return n;
}

size_t outlet_next(struct outlet *o, size_t max, struct iovec ret[2], uint64_t *ret_offset, bool *ret_end)
{
	uint64_t limit = o->acked + SSI_JOB_WINDOW_BYTES, most = o->produced < limit ? o->produced : limit;
	size_t n = most > o->sent ? (size_t)(most - o->sent) : 0, at = outlet_at(o, o->sent), first;

	n = n < max ? n : max;
	first = OUTLET_BYTES - at < n ? OUTLET_BYTES - at : n;
	ret[0] = (struct iovec){ o->ring + at, first };
	ret[1] = (struct iovec){ o->ring, n - first };
	*ret_offset = o->sent;
	o->sent += n;
	*ret_end = o->end && o->sent == o->produced && !o->end_sent;
	o->end_sent |= *ret_end;
	return n;
}

void outlet_ack(struct outlet *o, uint64_t offset)
{
	if (offset > o->acked && offset <= o->sent)
		o->acked = offset;
}

void outlet_rewind(struct outlet *o, uint64_t have)
{
	o->mute = have == UINT64_MAX;
	if (have > o->produced)
		have = o->mute ? o->produced : o->acked;
	if (have > o->acked)
		o->acked = have;
	o->sent = o->acked;
	o->end_sent = false;
}

void outlet_gone(struct outlet *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	o->end = true;
}

void outlet_close(struct outlet *o)
{
	if (o->fd >= 0)
		close(o->fd);
	if (o->ring)
		munmap(o->ring, OUTLET_BYTES);
	*o = (struct outlet){ .fd = -1 };
}

void inlet_open(struct inlet *i, uint32_t stream, int fd)
{
	i->stream = stream;
	i->fd = fd;
	i->ready = true;
	i->end_char = INLET_CLOSE;
	inlet_write(i);
}

void inlet_take(struct inlet *i, uint64_t offset, const void *p, size_t n, bool end)
{
	uint64_t old;

	if (offset > i->got || i->end)
		return;
	old = i->got - offset;
	if (n > old) {
		p = (const uint8_t *)p + old;
		n -= old;
		if (i->got - i->written + n > SSI_JOB_WINDOW_BYTES || ssi_buf_add(&i->buf, p, n) < 0)
			return;              /* not within the window: it is not there until it comes again */
		i->got += n;
	} else if (n < old) {
		end = false;                 /* of what is here already: more came behind it */
	}
	i->end |= end;
	inlet_write(i);
}

static void inlet_shut(struct inlet *i)
{
	if (i->fd >= 0)
		close(i->fd);
	i->fd = -1;
}

/* Whoever was to read it does not: it is dealt with. */
static void inlet_drop(struct inlet *i)
{
	ssi_buf_free(&i->buf);
	i->at = 0;
	i->written = i->got;
}

void inlet_write(struct inlet *i)
{
	if (!i->ready)
		return;
	while (inlet_wants(i)) {
		ssize_t n = write(i->fd, i->buf.data + i->at, i->buf.len - i->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			inlet_shut(i);
		if (n <= 0)
			break;
		i->at += (size_t)n;
		i->written += (uint64_t)n;
	}
	if (i->fd < 0)
		inlet_drop(i);
	if (i->at == i->buf.len) {
		ssi_buf_free(&i->buf);
		i->at = 0;
	} else if (i->at > i->buf.len / 2) {
		ssi_buf_consume(&i->buf, i->at);
		i->at = 0;
	}
	if (!i->end || i->buf.len || i->fd < 0)
		return;
	if (i->end_char == INLET_CLOSE) {
		inlet_shut(i);
	} else if (i->end_char >= 0) {
		const char c = (char)i->end_char;

		if (write(i->fd, &c, 1) == 1)
			i->end_char = INLET_STAYS;
	}
}

bool inlet_untold(const struct inlet *i)
{
	return i->written - i->acked >= INLET_TELL || (i->written > i->acked && i->written == i->got);
}

void inlet_close(struct inlet *i)
{
	inlet_shut(i);
	ssi_buf_free(&i->buf);
	*i = (struct inlet){ .stream = i->stream, .fd = -1 };
}
