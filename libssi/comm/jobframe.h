/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The frames of jobs (doc/jobs.md) on the Unix sockets that they pass: from who started one to the daemon, from the agent to a keeper. The header is,
 * little-endian, {u32 size of the body, u16 type (enum ssi_wire_job), u16 zero, u64 job}; the body is a message of ssi/rexec/job.proto. A hop is one end of
 * such a socket: what has come and is not read yet, what is to go and could not. Nothing here blocks or waits; the descriptor is the caller's to watch.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "libssi/base/buf.h"
#include "libssi/base/err.h"

#define SSI_JOBFRAME_HEAD 16
#define SSI_JOBFRAME_MAX (128u << 10)        /* bytes of a body */
#define SSI_JOBFRAME_PIECE (64u << 10)       /* of data in a Data or a Blob, so that the message around it is well below that */
#define SSI_JOBFRAME_OUTPUT (120u << 10)     /* of data in a Data of the node's */
#define SSI_JOBHOP_BUFFER (1 << 20)          /* of a socket, so that its ends need not take turns */
#define SSI_JOBHOP_PIECES 4
#define SSI_JOB_WINDOW_BYTES (1u << 20)      /* of each stream that may be on its way and not acknowledged */

struct ssi_jobframe { uint32_t size; uint16_t type; uint64_t job; };

void ssi_jobframe_encode(const struct ssi_jobframe *f, uint8_t p[SSI_JOBFRAME_HEAD]);
/* -EBADMSG: type 0 or more than 255, something where zero is to be; -EMSGSIZE: a body over SSI_JOBFRAME_MAX. Reads SSI_JOBFRAME_HEAD bytes. */
int ssi_jobframe_decode(const uint8_t p[SSI_JOBFRAME_HEAD], struct ssi_jobframe *ret);

struct ssi_jobhop {
	int fd;                              /* the hop's own: ssi_jobhop_close closes it; -1 = none */
	struct ssi_buf in, out;
	size_t in_at, out_at;                /* what of them is dealt with */
	size_t out_max;                      /* ssi_jobhop_full beyond it; 0 = SSI_JOB_WINDOW_BYTES */
	bool cork;                           /* the owner's to set: what ssi_jobhop_send says waits for ssi_jobhop_flush, so that many go at once */
	bool stuck;                          /* the socket did not take all */
	bool much;                           /* the last read brought much */
};
#define SSI_JOBHOP_INIT { .fd = -1 }

void ssi_jobhop_init(struct ssi_jobhop *h, int fd);
void ssi_jobhop_close(struct ssi_jobhop *h);   /* what was to go and did not is lost; a closed one may be closed again */
/* Read what is there, at most 256 KiB: the number of bytes, 0 at the other end's end, -EAGAIN, -errno. Only once ssi_jobhop_next has said 0. */
int ssi_jobhop_read(struct ssi_jobhop *h);
/*
 * The next whole frame of what was read: 1 and it (body borrowed until the next call for this hop's input, not aligned); 0: more has to come; -EBADMSG,
 * -EMSGSIZE: the other end is no such.
 */
int ssi_jobhop_next(struct ssi_jobhop *h, struct ssi_jobframe *ret, const uint8_t **ret_body);
/* Give the frame that ssi_jobhop_next said last back: it comes again. For who has no room for it now. */
void ssi_jobhop_again(struct ssi_jobhop *h, const struct ssi_jobframe *f);
/* Say it: what the socket does not take waits for ssi_jobhop_flush. 0, -EMSGSIZE, -ENOMEM, -errno of the socket (-EPIPE: nobody is there any more). */
int ssi_jobhop_send(struct ssi_jobhop *h, uint16_t type, uint64_t job, const void *body, size_t n);
/* The same, of a body in n pieces (SSI_JOBHOP_PIECES at most), and with all that waits: at once, corked or not. */
int ssi_jobhop_sendv(struct ssi_jobhop *h, uint16_t type, uint64_t job, const struct iovec *body, int n);
int ssi_jobhop_flush(struct ssi_jobhop *h);    /* 0, also if there is something left; -errno */
static inline bool ssi_jobhop_waits(const struct ssi_jobhop *h) { return h->out.len > h->out_at; }   /* watch for room to write */
bool ssi_jobhop_full(const struct ssi_jobhop *h);      /* who gives it frames of others had better not read them just now */
void ssi_jobhop_widen(int fd);                 /* make its sending buffer SSI_JOBHOP_BUFFER, if we may */
/* A Unix socket, close-on-exec: connected to path, or listening there (what lay there goes; non-blocking). The descriptor or -errno. */
int ssi_jobhop_connect(const char *path, struct ssi_err *e);
int ssi_jobhop_listen(const char *path, unsigned mode, struct ssi_err *e);
