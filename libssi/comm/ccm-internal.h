/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the files of ccm's loop face know of each other: ccm.c (endpoint, rules, listener, batches), ccm-conn.c (a connection's life), ccm-door.c (its handshake),
 * ccm-queue.c (what waits to be sent), ccm-identity.c (how often one is connected).
 */
#include <stdbool.h>
#include <sys/queue.h>
#include "libssi/base/limit.h"
#include "libssi/comm/ccm.h"
#include "libssi/comm/stream.h"
#include "libssi/comm/tls.h"

#define CCM_RULES_MAX 64
#define CCM_CONNS_MAX 16384          /* connections of a listener, over all */
#define CCM_SILENT_MAX 4096          /* of them that have not said a word; the oldest makes room for the newest, */
#define CCM_SILENT_MS 500            /* once it had this time; until then the newest waits */
#define CCM_SAME_MAX 8               /* of one identity; the oldest makes room for the newest */
#define CCM_NAMED 4096               /* buckets of identities */
#define CCM_HANDSHAKE_MS 5000
#define CCM_GREETED_MAX 256          /* handshakes that are worked on at a time; who has spoken and is not among them stands in line */
#define CCM_STALL_MS 1000            /* nothing comes of a handshake for so long, and others stand in line: it makes room */
#define CCM_IN_LINE 3                /* times its timeout that who connects waits for its handshake: others may be before it */
#define CCM_CLOSE_MS 1000
#define CCM_QUEUE_MAX (2u << 20)     /* bytes waiting to be sent on a connection */
#define CCM_READ 16384               /* a TLS record holds no more */
#define CCM_AHEAD 65536              /* bytes taken from a socket at a time */
#define CCM_BATCH 64                 /* connections that have their turn before the loop does something else */

/*
 * A connection's life. NEW: connecting or shaking hands. OPEN: frames go both ways. FLUSHING: what is queued goes out, nothing is
 * heard. DRAINING: our end is shut, we wait for theirs, so that our last words are not lost to a reset. DEAD: closed() is due.
 */
enum conn_state { CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN, CONN_FLUSHING, CONN_DRAINING, CONN_DEAD };

/* Where it is kept. On its way in, of a listener: silent, in line, greeted. */
enum conn_place { CONN_IN_CONNS, CONN_SILENT, CONN_IN_LINE, CONN_GREETED, CONN_IN_DEAD, CONN_PLACES };

struct ssi_ccm_conn {
	struct ssi_ccm *m;
	TAILQ_ENTRY(ssi_ccm_conn) link;      /* in m->in[where] */
	TAILQ_ENTRY(ssi_ccm_conn) talk;      /* in m->talking, while talking: it was told something in this batch */
	LIST_ENTRY(ssi_ccm_conn) same;       /* in m->named, when entered */
	enum conn_state state;
	enum conn_place where;
	bool outgoing, opened, starved, talking, entered, hung_up;
	bool old_news;                       /* its key's time is over, and that is known */
	int fd, low_water;                   /* ssi_tls_greet's */
	uint32_t interest;                   /* epoll events it is waited for with */
	struct ssi_tls *tls;
	sd_event_source *timer;
	struct ssi_identity id;
	struct in_addr peer;
	uint16_t port;
	unsigned timeout_ms;                 /* outgoing: for TCP */
	uint64_t since;                      /* monotonic ms: where it is, on its way in */
	uint32_t self_node, peer_node;
	struct ssi_stream in;
	struct ssi_buf out;
	size_t out_at;                       /* bytes of out that were sent */
	struct ssi_ccm_body *shared;         /* to be sent when out_at is shared_from; NULL: none */
	size_t shared_at, shared_from;
	struct ssi_err *why;                 /* once it ends; NULL then too: there was no memory to say it */
	void *userdata;
};
TAILQ_HEAD(conn_list, ssi_ccm_conn);
LIST_HEAD(conn_same, ssi_ccm_conn);

struct ssi_ccm {
	sd_event *event;
	const struct ssi_ccm_ops *ops;
	void *userdata;
	struct ssi_ccm_rule rules[CCM_RULES_MAX];
	size_t n_rules;
	int fd;                              /* the listener, or -1 */
	int poll;                            /* epoll: all connections, as one source of the loop */
	sd_event_source *ready, *listener, *pause, *end;
	struct conn_list in[CONN_PLACES], talking;
	unsigned n_in[CONN_PLACES], n_conns;
	unsigned held;                       /* batches that we are in: what is sent leaves at the end of the outermost */
	uint8_t *ahead;                      /* CCM_AHEAD bytes, of whichever connection is read */
	struct conn_same named[CCM_NAMED];   /* connections that were let in, by identity */
	struct ssi_limit refusals;           /* that are told */
};

/* May this frame come on c, and by which rule is it handled? */
int ccm_check(const struct ssi_ccm_conn *c, const struct ssi_frame *f, const struct ssi_ccm_rule **ret, struct ssi_err *e);
/* Tell of a connection that was not let in, or was ended for what it said: within the limit, or always. */
void ccm_refused(struct ssi_ccm *m, struct in_addr peer, const struct ssi_identity *id, const struct ssi_err *why, bool always);

/* Between these, what is sent waits; ccm_settle lets it go once the user has stored what it says. */
void ccm_hold(struct ssi_ccm *m);
void ccm_settle(struct ssi_ccm *m);

/* A connection over fd (owned from now, also on failure); fd -1 makes one that is open and goes nowhere, for tests of handlers. */
int conn_new(struct ssi_ccm *m, int fd, bool outgoing, struct in_addr peer, struct ssi_ccm_conn **ret);
int conn_start_server(struct ssi_ccm_conn *c);
int conn_start_client(struct ssi_ccm_conn *c, const uint8_t key[SSI_CCM_KEY], unsigned timeout_ms, struct ssi_err *e);
/* What epoll says of c. */
void conn_ready(struct ssi_ccm_conn *c, uint32_t revents);
/* A handshake goes on, or a connection is there (or not) for one to begin. */
void door_handshake(struct ssi_ccm_conn *c);
void door_connected(struct ssi_ccm_conn *c);
/* Who stands in line has its turn, where there is room. */
void door_next(struct ssi_ccm *m);
/* Its time is over: true if it is given more. */
bool door_patience(struct ssi_ccm_conn *c);
/* What the door does to a connection. conn_arm: fail it after so many ms. */
void conn_move(struct ssi_ccm_conn *c, enum conn_place where);
int conn_wait(struct ssi_ccm_conn *c, uint32_t events);   /* for these of epoll's, from now */
void conn_because(struct ssi_ccm_conn *c, const struct ssi_err *why);
int conn_arm(struct ssi_ccm_conn *c, unsigned ms);
void conn_interest(struct ssi_ccm_conn *c);
void conn_read(struct ssi_ccm_conn *c);
void conn_shut(struct ssi_ccm_conn *c);
/* Send what waits, as far as the socket takes it. */
void conn_flush(struct ssi_ccm_conn *c);
/* Bytes that wait; those that are to be sent next, as far as they lie in one piece; n of these were sent. */
size_t queue_waiting(const struct ssi_ccm_conn *c);
size_t queue_piece(const struct ssi_ccm_conn *c, const uint8_t **ret);
void queue_sent(struct ssi_ccm_conn *c, size_t n);
/* Send what it was told in this batch, if it lives; it is not in m->talking any more. */
void conn_speak(struct ssi_ccm_conn *c);
/* Tell the user of all that ended, and free them. */
void conn_bury(struct ssi_ccm *m);
/* Bytes of the other end, after TLS. Negative: the connection is to end. */
int conn_input(struct ssi_ccm_conn *c, const uint8_t *p, size_t n, struct ssi_err *e);
/* End it without ceremony; closed() follows from the loop. */
void conn_fail(struct ssi_ccm_conn *c, const struct ssi_err *why);
void conn_free(struct ssi_ccm_conn *c);

/* An accepted connection has proved who it is; the oldest of too many of the same is ended. And: it counts no longer. */
void identity_enter(struct ssi_ccm_conn *c);
void identity_leave(struct ssi_ccm_conn *c);
