/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * ccm, the cluster communication module: connections between a node and the master, frames with registered handlers on
 * them (doc/wire.md). Two faces of one engine: an event-loop form for daemons, and a blocking one with deadlines for
 * programs that do one thing (ssi-init's stage children). Everything is TLS 1.3 with a pre-shared key.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <systemd/sd-event.h>
#include "libssi/base/err.h"
#include "libssi/model/wire.h"

#define SSI_CCM_KEY 32       /* bytes of a pre-shared key */

struct ssi_ccm;              /* an endpoint: its rules, and a listener or one outgoing connection */
struct ssi_ccm_conn;         /* one connection; valid until its closed() has returned */

/* Who may send a (module, type), as a mask; checked before the body is read. */
enum { SSI_FROM_BOOT = SSI_IDENTITY_BOOT, SSI_FROM_NODE = SSI_IDENTITY_NODE, SSI_FROM_MASTER = 4 };

struct ssi_ccm_rule {
	uint16_t module, type;
	uint32_t max_size;                 /* of the body */
	unsigned from;
	/* body is borrowed for the call. A negative return ends the connection (-errno, logged by closed()). */
	int (*handle)(struct ssi_ccm_conn *c, const struct ssi_frame *f, const uint8_t *body, void *userdata);
	void *userdata;
};

struct ssi_ccm_ops {
	/*
	 * Listener: the key of an identity (already parsed and bounded). Called once in each handshake.
	 *   0    go on
	 *   1    a key whose time is over (a used token, an older incarnation): the handshake goes on until the other end has
	 *        proved that it holds the key, then it is told so (its error is -EKEYREVOKED) and refused() is called with
	 *        -EKEYREVOKED. Nobody can so raise an alarm with a name alone.
	 *   2    the same, but nothing that must be told each time: refused() is limited as for any other
	 *   < 0  unknown: refused at once (the other end's error is -EKEYREJECTED)
	 */
	int (*key)(const struct ssi_identity *id, struct in_addr peer, uint8_t ret[SSI_CCM_KEY], void *userdata);
	void (*opened)(struct ssi_ccm_conn *c, void *userdata);
	/* Once for every connection that was opened or (outgoing) could not be. why->text says it in a line. */
	void (*closed)(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata);
	/* May be NULL. Listener: a connection that was not let in, or one that ends (closed() follows) because it broke a rule. id is NULL when
	 * none was named. Limited to 10 in 10 s, with the number of those left out in the next one's text; a key for which key() said 1 is
	 * never left out. */
	void (*refused)(struct in_addr peer, const struct ssi_identity *id, const struct ssi_err *why, void *userdata);
	/* May be NULL. A connection whose ssi_ccm_send said -EAGAIN has room again. */
	void (*drained)(struct ssi_ccm_conn *c, void *userdata);
	/*
	 * May be NULL. Connections have their turn in batches, and what handlers send in one leaves together at its end: between hold() and
	 * settle(). Who must store what it answers stores a whole batch at once: it does so in settle(). Negative, with e filled: the answers are
	 * not given, their connections end. What is sent outside of a batch leaves at once.
	 */
	void (*hold)(void *userdata);
	int (*settle)(struct ssi_err *e, void *userdata);
};

int ssi_ccm_new(sd_event *event, const struct ssi_ccm_ops *ops, void *userdata, struct ssi_ccm **ret);
void ssi_ccm_free(struct ssi_ccm *m);                 /* closes all; NULL is fine */
/* What may come, n rules: copied. -EEXIST, -E2BIG; those before the one that cannot be are kept. */
int ssi_ccm_register(struct ssi_ccm *m, const struct ssi_ccm_rule *rules, size_t n);
int ssi_ccm_listen(struct ssi_ccm *m, struct in_addr addr, uint16_t port, struct ssi_err *e);   /* port 0: any, see ssi_ccm_port */
uint16_t ssi_ccm_port(const struct ssi_ccm *m);       /* what the listener listens on; 0 = does not listen */
/* Begin a connection; opened() or closed() follows from the loop. timeout_ms bounds the connect, three times that the handshake (the other end may have many). */
int ssi_ccm_connect(struct ssi_ccm *m, struct in_addr addr, uint16_t port, const struct ssi_identity *id,
		    const uint8_t key[SSI_CCM_KEY], unsigned timeout_ms, struct ssi_ccm_conn **ret, struct ssi_err *e);
/* Queue a frame (copied). source, destination and incarnation are the connection's; size is len. -EAGAIN past the bounded queue, -ENOTCONN. */
int ssi_ccm_send(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, uint8_t flags, uint64_t sequence, const void *body, size_t len);
/* Bytes that many connections are sent: kept once, until the last has sent them. */
struct ssi_ccm_body { unsigned refs; size_t len; uint8_t data[]; };
struct ssi_ccm_body *ssi_ccm_body_new(size_t len);                           /* to be filled by the caller, who has one reference; NULL: no memory */
void ssi_ccm_body_unref(struct ssi_ccm_body *b);                             /* NULL is fine */
/* As ssi_ccm_send; the frame's body is n bytes of head (copied) and then b (a reference of its own). */
int ssi_ccm_send_shared(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, uint8_t flags, uint64_t sequence, const void *head, size_t n,
			struct ssi_ccm_body *b);
void ssi_ccm_close(struct ssi_ccm_conn *c, const struct ssi_err *why);       /* after what is queued has been sent, at most 1 s; closed() follows from the loop. why may be NULL */
void ssi_ccm_abort(struct ssi_ccm_conn *c, const struct ssi_err *why);       /* at once: its other end is not believed to be there; closed() follows */

const struct ssi_identity *ssi_ccm_identity(const struct ssi_ccm_conn *c);
struct in_addr ssi_ccm_address(const struct ssi_ccm_conn *c);                /* the other end's */
void ssi_ccm_set_nodes(struct ssi_ccm_conn *c, uint32_t self, uint32_t peer);/* source and destination of further frames */
/* Has something of the other end arrived that was not read yet? Who judges silence asks this first. */
bool ssi_ccm_waiting(const struct ssi_ccm_conn *c);
void ssi_ccm_set_userdata(struct ssi_ccm_conn *c, void *p);
void *ssi_ccm_get_userdata(const struct ssi_ccm_conn *c);

/* Blocking form. Connect and handshake within timeout_ms; close with ssi_ccm_hangup (NULL is fine). */
struct ssi_ccm_line;
int ssi_ccm_dial(struct in_addr addr, uint16_t port, const struct ssi_identity *id, const uint8_t key[SSI_CCM_KEY],
		 unsigned timeout_ms, struct ssi_ccm_line **ret, struct ssi_err *e);
int ssi_ccm_line_send(struct ssi_ccm_line *l, uint16_t module, uint16_t type, uint64_t sequence, const void *body, size_t len, unsigned timeout_ms, struct ssi_err *e);
/* One frame of this module and type, others are dropped; the body goes to buf (at most n bytes, -EMSGSIZE). */
int ssi_ccm_line_recv(struct ssi_ccm_line *l, uint16_t module, uint16_t type, void *buf, size_t n, size_t *ret_len, unsigned timeout_ms, struct ssi_err *e);
void ssi_ccm_hangup(struct ssi_ccm_line *l);
