/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A job's streams, with offsets (doc/jobs.md): an outlet reads what the program writes and keeps what nobody has acknowledged; an inlet writes what the
 * program is to read. Neither blocks, and neither knows who is attached.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "libssi/base/buf.h"

#define OUTLET_BYTES (2u << 20)      /* a window, and what a pipe or terminal may still hold when its writers are gone */

struct outlet {
	uint32_t stream;
	int fd;                      /* -1 = there is nothing (more) to read */
	uint8_t *ring;               /* OUTLET_BYTES; NULL = there is none yet. What is not used of it is no memory */
	uint64_t acked, sent, produced;   /* offsets; acked ≤ sent ≤ produced, and the ring holds acked … produced */
	bool end;                    /* fd has come to its end */
	bool wide;                   /* the pipe was made so */
	bool end_sent, mute;         /* mute: nobody wants it, it is dropped */
};
void outlet_open(struct outlet *o, uint32_t stream, int fd);     /* fd: non-blocking, ours from here on; -1 = it has ended before it began */
int outlet_ring(struct outlet *o);                               /* have the ring now, not when there is something to read. 0 or -ENOMEM */
/* Is there room to read? all: its writers are gone and it is to be read to the end, beyond the window. */
bool outlet_room(const struct outlet *o, bool all);
int outlet_read(struct outlet *o, bool all);                     /* bytes, 0 at the end, -EAGAIN, -ENOMEM */
/* The next piece to send, at most max bytes, in at most two parts of the ring: its size; 0 = there is none. It counts as sent. */
size_t outlet_next(struct outlet *o, size_t max, struct iovec ret[2], uint64_t *ret_offset, bool *ret_end);
void outlet_ack(struct outlet *o, uint64_t offset);              /* nonsense is not listened to */
void outlet_rewind(struct outlet *o, uint64_t have);             /* the other end has so much; the rest is sent again. UINT64_MAX: mute */
/* Is nothing left of it to be said but that it has ended? */
static inline bool outlet_only_end(const struct outlet *o) { return o->end && !o->end_sent && o->sent == o->produced; }
static inline bool outlet_said(const struct outlet *o) { return o->end && o->end_sent && o->sent == o->produced; }
void outlet_gone(struct outlet *o);                              /* who was to have it is gone: to the program its reader is, too */
void outlet_close(struct outlet *o);

struct inlet {
	uint32_t stream;
	int fd;                      /* -1 = nobody reads: what comes is dropped, and acknowledged */
	struct ssi_buf buf;
	size_t at;                   /* of buf that is written */
	uint64_t got, written, acked;    /* offsets: received, dealt with, told */
	bool end, ready;             /* nothing comes after got; ready: there is somebody to read, or never will be */
	int end_char;                /* written for the end where closing fd is none (a terminal), or one of these: */
#define INLET_CLOSE (-1)
#define INLET_STAYS (-2)             /* it was written */
};
void inlet_open(struct inlet *i, uint32_t stream, int fd);       /* fd: non-blocking, ours; -1 = nobody reads */
void inlet_take(struct inlet *i, uint64_t offset, const void *p, size_t n, bool end);
static inline bool inlet_wants(const struct inlet *i) { return i->fd >= 0 && i->buf.len > i->at; }
void inlet_write(struct inlet *i);                               /* what fd takes now */
bool inlet_untold(const struct inlet *i);                        /* is an ACK due? then say written, and set acked */
void inlet_close(struct inlet *i);
