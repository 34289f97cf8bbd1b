/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * ccm, the cluster communication module, as an event loop sees it: what goes on between a node and the master are sessions, each an object with
 * its own data, and frames go to registered handlers (doc/wire.md). Beneath it is a station (libssi/comm/station.h), whose blocking calls are the
 * other face of the same engine: a session survives its connections, and what was accepted is delivered once and in order. The third face, a line,
 * is for programs that ask one thing (ssi-init's stage children). Everything is TLS 1.3 with a pre-shared key.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <systemd/sd-event.h>
#include "libssi/base/err.h"
#include "libssi/comm/station.h"
#include "libssi/model/wire.h"

#define SSI_CCM_KEY SSI_CCM_STATION_KEY

/* Numbers of stations. Nodes have theirs, from 1; the master's is the highest, so that nodes connect to it; a machine that boots has its node's, marked. */
#define SSI_CCM_NODES_MAX 0x3fffffffu
#define SSI_CCM_BOOTING 0x40000000u
#define SSI_CCM_MASTER (UINT32_MAX - 1)

struct ssi_ccm;              /* an endpoint: its rules, and a door, or sessions of its own */
struct ssi_ccm_conn;         /* one session; valid until its closed() has returned */

/* Who may send a (module, type), as a mask; checked before the body is read. */
enum { SSI_FROM_BOOT = SSI_IDENTITY_BOOT, SSI_FROM_NODE = SSI_IDENTITY_NODE, SSI_FROM_MASTER = 4 };

struct ssi_ccm_rule {
	uint16_t module, type;
	uint32_t max_size;                 /* of the body */
	unsigned from;
	/* body is borrowed for the call, and not aligned. A negative return ends the session (-errno, told by refused() and closed()). */
	int (*handle)(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata);
	void *userdata;
};

struct ssi_ccm_ops {
	/* Door: as identify() of a station's ops. Called once in each handshake. */
	int (*key)(const struct ssi_identity *id, struct in_addr peer, uint32_t *ret_node, uint8_t ret[SSI_CCM_KEY], void *userdata);
	void (*opened)(struct ssi_ccm_conn *c, void *userdata);
	/* Once for every session that was opened or (ssi_ccm_connect) could not be. why->text says it in a line. */
	void (*closed)(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata);
	/* May be NULL. Who was not let in, or broke a rule (closed() follows). id is NULL when none was named. Limited, see station.h. */
	void (*refused)(struct in_addr peer, const struct ssi_identity *id, const struct ssi_err *why, void *userdata);
	/* May be NULL. A session whose ssi_ccm_send said -EAGAIN has room again. */
	void (*drained)(struct ssi_ccm_conn *c, void *userdata);
	/* May be NULL. As of a station. What is sent outside of a turn leaves at once. */
	void (*hold)(void *userdata);
	int (*settle)(struct ssi_err *e, void *userdata);
};

int ssi_ccm_new(sd_event *event, const struct ssi_ccm_ops *ops, void *userdata, struct ssi_ccm **ret);
void ssi_ccm_free(struct ssi_ccm *m);                 /* ends all, without closed(); NULL is fine */
/* What may come, n rules: copied, before the first session. -EEXIST, -E2BIG; those before the one that cannot be are kept. */
int ssi_ccm_register(struct ssi_ccm *m, const struct ssi_ccm_rule *rules, size_t n);
/* Open the master's door. incarnation: higher than that of any master before. port 0: any, see ssi_ccm_port. */
int ssi_ccm_listen(struct ssi_ccm *m, uint64_t incarnation, struct in_addr addr, uint16_t port, struct ssi_err *e);
uint16_t ssi_ccm_port(const struct ssi_ccm *m);       /* what the door listens on; 0 = there is none */
/*
 * Begin a session with the master, as a node; opened() or closed() follows from the loop. An endpoint may be many nodes, but each of them once at a
 * time (-EEXIST). Once opened, connections that break are made again by themselves. timeout_ms: of the endpoint's first call, bounds each
 * connect, and three times that its handshake (the master may have many).
 */
int ssi_ccm_connect(struct ssi_ccm *m, struct in_addr addr, uint16_t port, const struct ssi_ccm_as *as, const uint8_t key[SSI_CCM_KEY],
		    unsigned timeout_ms, struct ssi_ccm_conn **ret, struct ssi_err *e);
/* Send a frame (copied). -EAGAIN past the bounds, -ENOTCONN, -EMSGSIZE. */
int ssi_ccm_send(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, uint64_t sequence, const void *body, size_t len);
/* As ssi_ccm_send; the frame's body is n bytes of head (copied) and then b (a reference of its own). */
int ssi_ccm_send_shared(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, uint64_t sequence, const void *head, size_t n, struct ssi_ccm_body *b);
/* As ssi_ccm_news: it may be lost, and is not acknowledged. */
int ssi_ccm_send_news(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, const void *body, size_t len);
void ssi_ccm_close(struct ssi_ccm_conn *c, const struct ssi_err *why);       /* after what was sent has arrived, at most 1 s; closed() follows from the loop. why may be NULL */
void ssi_ccm_abort(struct ssi_ccm_conn *c, const struct ssi_err *why);       /* at once: its other end is not believed to be there; closed() follows */

const struct ssi_identity *ssi_ccm_identity(const struct ssi_ccm_conn *c);
struct in_addr ssi_ccm_address(const struct ssi_ccm_conn *c);                /* the other end's */
uint32_t ssi_ccm_node(const struct ssi_ccm_conn *c);                         /* door: the number of who is there; else: who this end is */
/* Has something of the other end arrived that was not read yet? Who judges silence asks this first. */
bool ssi_ccm_waiting(const struct ssi_ccm_conn *c);
void ssi_ccm_set_userdata(struct ssi_ccm_conn *c, void *p);
void *ssi_ccm_get_userdata(const struct ssi_ccm_conn *c);

/*
 * A line: one session over one connection, blocking, with deadlines. Dial within timeout_ms; close with ssi_ccm_hangup (NULL is fine), which waits until
 * the other end has read everything, 1 s at most.
 */
struct ssi_ccm_line;
int ssi_ccm_dial(struct in_addr addr, uint16_t port, const struct ssi_identity *id, uint32_t number, const uint8_t key[SSI_CCM_KEY],
		 unsigned timeout_ms, struct ssi_ccm_line **ret, struct ssi_err *e);
/* Returns once it is on its way. */
int ssi_ccm_line_send(struct ssi_ccm_line *l, uint16_t module, uint16_t type, uint64_t sequence, const void *body, size_t len, unsigned timeout_ms, struct ssi_err *e);
/* One frame of this module and type, others are dropped; the body goes to buf (at most n bytes, -EMSGSIZE). */
int ssi_ccm_line_recv(struct ssi_ccm_line *l, uint16_t module, uint16_t type, void *buf, size_t n, size_t *ret_len, unsigned timeout_ms, struct ssi_err *e);
void ssi_ccm_hangup(struct ssi_ccm_line *l);
