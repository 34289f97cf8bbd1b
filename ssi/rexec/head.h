/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Running a command on a node (doc/wire.md, module 3), the master's side. Provisional: the merged process space replaces it. A call
 * lives until its exited() has returned, whatever happens; when the connection goes, exited() says so and the node kills it.
 * Output is bounded by a window: what was delivered must be acknowledged with ssi_rexec_consumed before more comes.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "libssi/comm/ccm.h"

#define SSI_REXEC_WINDOW (256u << 10)

struct ssi_rexec;            /* the calls over an endpoint */
struct ssi_rexec_call;
struct ssi_rexec_exit { int status, signal; char error[256]; };   /* error is "" when the program ran */

struct ssi_rexec_ops {
	void (*output)(struct ssi_rexec_call *call, int fd, const void *p, size_t n, void *userdata);   /* fd 1 or 2 */
	void (*exited)(struct ssi_rexec_call *call, const struct ssi_rexec_exit *x, void *userdata);   /* after the last output */
	void (*room)(struct ssi_rexec_call *call, void *userdata);     /* may be NULL: there is more room for input than there was */
};

int ssi_rexec_new(struct ssi_ccm *m, struct ssi_rexec **ret);      /* registers its rules */
void ssi_rexec_free(struct ssi_rexec *r);                          /* before the endpoint; calls end without exited() */
/*
 * Start argv (NULL-terminated) on the node at c (ssi_head_conn). env: additions "K=V", or NULL; dir: or NULL; window: bytes of output that may come
 * before any is acknowledged, 0 for SSI_REXEC_WINDOW, which is the most. exited() is never called from within.
 */
int ssi_rexec_start(struct ssi_rexec *r, struct ssi_ccm_conn *c, char *const argv[], char *const env[], const char *dir, size_t window,
		    const struct ssi_rexec_ops *ops, void *userdata, struct ssi_rexec_call **ret, struct ssi_err *e);
void ssi_rexec_consumed(struct ssi_rexec_call *call, size_t n);    /* n bytes of output are dealt with */
size_t ssi_rexec_room(const struct ssi_rexec_call *call);          /* so much input may be given at once */
int ssi_rexec_input(struct ssi_rexec_call *call, const void *p, size_t n);   /* n = 0: end of input, said as soon as there is room. -EAGAIN past the room, -EMSGSIZE past 64 KiB */
int ssi_rexec_kill(struct ssi_rexec_call *call, int signal);        /* 9: what it wrote and there is no room for is not sent */
void ssi_rexec_cancel(struct ssi_rexec_call *call);                /* kill it and forget it: no more callbacks, call is gone */
/* From the daemon's drained() of ccm: what could not be said for want of room is said. */
void ssi_rexec_drained(struct ssi_rexec *r, struct ssi_ccm_conn *c);
/* From the daemon's closed() of ccm, for every connection. */
void ssi_rexec_closed(struct ssi_rexec *r, struct ssi_ccm_conn *c, const struct ssi_err *why);
