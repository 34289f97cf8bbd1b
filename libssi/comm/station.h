/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A station is this node's end of ccm, the cluster communication module: what KCCM gave to kernel services, for services in user
 * space (doc/ccm.md has the paper's names beside ours, and the frame). Peers are known by node number; between two stations there
 * is one session, which survives its connections: what was accepted is delivered once and in order, or the peer is gone.
 *
 * Blocking calls may be made by any number of threads; none may be made from a short handler or another callback (-EDEADLK).
 * Every timeout_ms is a bound on the whole call: 0 tries once, SSI_CCM_FOREVER has no bound. Errors that any call may give:
 *   -ENOENT     the node is not known: neither listen_to nor connect_to was called for it, or part was
 *   -EHOSTDOWN  the peer is gone: nothing was heard of it for dead_ms, or it came back as another (a new session). Every
 *               waiter is told at once; calls go on saying so until a new session is up
 *   -ETIMEDOUT  timeout_ms is over
 *   -ESHUTDOWN  the station is being freed
 *   -ENOMEM
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <systemd/sd-event.h>
#include "libssi/base/err.h"
#include "libssi/model/wire.h"

#define SSI_CCM_STATION_KEY 32           /* bytes of a pre-shared key */
#define SSI_CCM_BODY_MAX (1u << 20)      /* of one message */
#define SSI_CCM_FOREVER (~0u)            /* as timeout_ms */
#define SSI_CCM_NOSEQ UINT64_MAX         /* as a sequence to receive: whatever is next of this node and module. Not to be sent */
#define SSI_CCM_ANY_NODE UINT32_MAX      /* in listen_to: whoever has a key. No node's number */

struct ssi_ccm_station;

/* What names a message, to send or to receive. Module 0 is the station's own. */
struct ssi_ccm_head {
	uint32_t node;                       /* the other end */
	uint16_t module, type;               /* type is free for messages; of a call it is the function */
	uint64_t sequence;
	uint32_t size;                       /* of the body; filled when one was received, ignored when sending */
	bool asks;                           /* a call that was received: its caller waits for an answer */
};

enum ssi_ccm_state {
	SSI_CCM_UP,                          /* a new session */
	SSI_CCM_LINK_DOWN,                   /* its connection broke; a new one is tried, nothing is lost yet */
	SSI_CCM_LINK_UP,                     /* the same session over a new connection */
	SSI_CCM_GONE,                        /* the session is over, and what was not delivered is lost */
};

/* All of them may be NULL. Called from the loop (or the service thread), one at a time, no lock held. */
struct ssi_ccm_station_ops {
	/*
	 * The key that this station shares with a node of that incarnation (0: not known yet, this station connects to it). 0, or
	 * -errno: refused. Asked once in each handshake when listen_to or connect_to was given no key.
	 */
	int (*key)(uint32_t node, uint64_t incarnation, uint8_t ret[SSI_CCM_STATION_KEY], void *userdata);
	/*
	 * Who knocks with this identity: which node, and its key. Instead of key(), for a door at which others than "node:NUMBER:INCARNATION" knock.
	 *   0    go on
	 *   1    a key whose time is over (a used token, an older incarnation): the handshake goes on until the other end has proved that it holds
	 *        the key, then it is told so (its error is -EKEYREVOKED), and refused() is called with -EKEYREVOKED, always. Nobody can so raise an
	 *        alarm with a name alone.
	 *   2    the same, but nothing that must be told each time: refused() is limited as for any other
	 *   < 0  unknown: refused at once (the other end's error is -EKEYREJECTED)
	 */
	int (*identify)(const struct ssi_identity *id, struct in_addr from, uint32_t *ret_node, uint8_t ret[SSI_CCM_STATION_KEY], void *userdata);
	void (*state)(uint32_t node, uint64_t incarnation, enum ssi_ccm_state state, void *userdata);
	/* A message for which nobody waits has come: take it with ssi_ccm_arecv. */
	void (*arrived)(const struct ssi_ccm_head *head, void *userdata);
	/* A node and module for which a send said -EAGAIN have room again. */
	void (*drained)(uint32_t node, uint16_t module, void *userdata);
	/* Something was refused: a connection, a key, a frame. node is SSI_CCM_ANY_NODE and id NULL when it never said who it is. At most 10 in
	 * 10 s; the text of the next tells how many were left out. */
	void (*refused)(struct in_addr peer, uint32_t node, const struct ssi_identity *id, const struct ssi_err *why, void *userdata);
	/* A connection to a node of connect_to came to nothing. Another try follows by itself, unless it is parted with. */
	void (*failed)(uint32_t node, const struct ssi_err *why, void *userdata);
	/*
	 * The loop takes turns. What its handlers and callbacks send in one leaves together at its end: between hold() and settle(). Who must store
	 * what it answers stores a whole turn at once: it does so in settle(). Negative, with e filled: what was sent in that turn is not to be
	 * believed, the sessions it was sent in end. For stations of which no other thread sends.
	 */
	void (*hold)(void *userdata);
	int (*settle)(struct ssi_err *e, void *userdata);
};

/* Zero-initialise; 0 is the default of every field but number, which may be 0 (the master), and incarnation, which may not. */
struct ssi_ccm_station_config {
	uint32_t number;
	uint64_t incarnation;
	struct in_addr address;              /* where to listen */
	uint16_t port;                       /* 0: any, see ssi_ccm_station_port */
	bool plain;                          /* no TLS: for measurements, on 127.0.0.0/8 only (-EPERM) */
	const struct ssi_ccm_station_ops *ops;  /* may be NULL; borrowed for the station's life */
	void *userdata;
	sd_event *event;                     /* callbacks and short handlers run there; NULL: in a thread of the station's own */
	unsigned heartbeat_ms;               /* a sign of life when there is nothing to say; 500; less than half of dead_ms, on both ends (-EINVAL) */
	unsigned dead_ms;                    /* silence after which a peer is gone; 3000 */
	unsigned connect_ms;                 /* bound on connect and handshake; 5000. Three times that where the other end has many at its door */
	unsigned answer_ms;                  /* how long an answer that does not come from the loop may wait for room at who asked; then its session ends; 30000 */
	unsigned ack_ms;                     /* how long an acknowledgement may wait for something else to go; 0: some 5 */
	const char *who;                     /* its name in "node:NAME:INCARNATION"; NULL: its number. Borrowed */
	bool connects_only;                  /* it does not listen */
	bool loop_only;                      /* nobody receives and no worker runs: what comes is short calls and news; messages and long calls are refused */
	uint32_t retain;                     /* bytes sent and not yet acknowledged, for each peer; 4 MiB, at least 64 KiB */
	uint32_t window;                     /* bytes received and not yet taken, for each peer and module; 4 MiB, at least 64 KiB */
	unsigned max_peers;                  /* 16384 */
	unsigned workers;                    /* threads for long calls, started when needed; 4 */
};

/*
 * What may come: a table, checked before a body is read. A frame that no line allows ends its connection and is told by refused().
 * Two lines for the same module and type: the first that names the sender counts. Copied.
 */
struct ssi_ccm_permit {
	uint16_t module, type;               /* type 0: every type of the module */
	uint32_t max_size;                   /* of a body; at most SSI_CCM_BODY_MAX (-EMSGSIZE) */
	uint32_t first, last;                /* the nodes that may send it */
};

int ssi_ccm_station_new(const struct ssi_ccm_station_config *config, struct ssi_ccm_station **ret, struct ssi_err *e);
/*
 * Says goodbye where a connection is up, wakes every waiter with -ESHUTDOWN and waits until all of them have left. Not from a
 * callback; with an sd_event, from its thread. What was not acknowledged is lost: settle first. NULL is fine.
 */
void ssi_ccm_station_free(struct ssi_ccm_station *s);
static inline void ssi_ccm_station_freep(struct ssi_ccm_station **s) { ssi_ccm_station_free(*s); }
uint16_t ssi_ccm_station_port(const struct ssi_ccm_station *s);
/* At most 128 lines (-E2BIG), all or none; before the first peer is let in (-EBUSY). */
int ssi_ccm_permit(struct ssi_ccm_station *s, const struct ssi_ccm_permit *lines, size_t n);

/*
 * Connections (CCM_Listen_to, CCM_Connect_to, CCM_Close). The lower number connects, the higher accepts: the wrong one of the two
 * calls is -EINVAL. key is copied; NULL: ops->key is asked. Both return at once, ssi_ccm_await waits; a connection that breaks is
 * made again by itself until part. -EEXIST: known already. -E2BIG: max_peers.
 */
int ssi_ccm_listen_to(struct ssi_ccm_station *s, uint32_t node, const uint8_t *key);
int ssi_ccm_connect_to(struct ssi_ccm_station *s, uint32_t node, struct in_addr addr, uint16_t port, const uint8_t *key);
/* Ends the session at once, with -EHOSTDOWN for its waiters here and there, and forgets the node. -ENOENT. */
int ssi_ccm_part(struct ssi_ccm_station *s, uint32_t node);
/* Wait until a session is up: 0. A peer that is gone is waited for too. */
int ssi_ccm_await(struct ssi_ccm_station *s, uint32_t node, unsigned timeout_ms);

/*
 * The same, for a process that stands for many nodes (a simulator of them): as another than this station. alias names the other end in all calls
 * and callbacks of this station, in place of its number; `as` is copied.
 */
struct ssi_ccm_as { uint32_t number; uint64_t incarnation; char who[64]; };
int ssi_ccm_connect_as(struct ssi_ccm_station *s, uint32_t alias, const struct ssi_ccm_as *as, uint32_t node, struct in_addr addr, uint16_t port,
		       const uint8_t *key);
/*
 * Ends the session once the other end has everything that was sent, or timeout_ms are over, and forgets the node: its last words arrive. For
 * the loop. What comes meanwhile is still handed out. A new session, which the node begins meanwhile, ends the old one as ever; only whom
 * SSI_CCM_ANY_NODE lets in may begin one.
 */
int ssi_ccm_part_after(struct ssi_ccm_station *s, uint32_t node, unsigned timeout_ms);
/* From a handler: what this node said may not be. Its session ends, which refused() is told; what it said behind that is not heard. */
void ssi_ccm_refuse(struct ssi_ccm_station *s, uint32_t node, const struct ssi_err *why);
/* Of the node's session, or the last one: who it proved to be, and from where. NULL: nobody yet. Valid until the next one. For the loop. */
const struct ssi_identity *ssi_ccm_identity_of(const struct ssi_ccm_station *s, uint32_t node);
struct in_addr ssi_ccm_address_of(const struct ssi_ccm_station *s, uint32_t node);
/* Why its session ended: while state() is told of that. */
const struct ssi_err *ssi_ccm_why(const struct ssi_ccm_station *s, uint32_t node);
/* Is there a session, be its connection up or down? */
bool ssi_ccm_is_up(struct ssi_ccm_station *s, uint32_t node);
/* Has something of the node arrived that was not read yet? Who judges silence asks this first. For the loop. */
bool ssi_ccm_unread(const struct ssi_ccm_station *s, uint32_t node);
/* The program's own, for each node that was ever known; NULL at first. For the loop. */
void ssi_ccm_set_userdata_of(struct ssi_ccm_station *s, uint32_t node, void *userdata);
void *ssi_ccm_userdata_of(const struct ssi_ccm_station *s, uint32_t node);

enum ssi_ccm_flags {
	/* The body is not copied: it stays as it is until it was acknowledged (ssi_ccm_settle), or the peer is gone. Without it a body is
	 * copied. Worth it from some ten KiB on. */
	SSI_CCM_KEEP = 1,
	/* -EAGAIN instead of waiting for room; ops->drained tells when there is some. For callbacks, which must not wait. */
	SSI_CCM_NOWAIT = 2,
};

/*
 * Send (CCM_bsend). 0 when the session has taken the message over, which it delivers even if the connection breaks; it waits for a
 * session, for credit of the module and for room. Messages of one thread to one node are received in the order of their sending.
 * sequence names the message to its receiver, many may have the same. -EMSGSIZE: over SSI_CCM_BODY_MAX. -EINVAL: module 0.
 * bsendv gathers at most 16 pieces; the array itself is not kept.
 */
int ssi_ccm_bsend(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const void *body, size_t len, unsigned flags, unsigned timeout_ms);
int ssi_ccm_bsendv(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const struct iovec *iov, int n, unsigned flags, unsigned timeout_ms);
/* The same of a part of a file, which must not change until it was acknowledged; fd stays the caller's. */
int ssi_ccm_send_file(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, int fd, off_t offset, size_t len, unsigned flags, unsigned timeout_ms);
/* Wait until the peer's station has everything that was sent to node before this call. */
int ssi_ccm_settle(struct ssi_ccm_station *s, uint32_t node, unsigned timeout_ms);

/*
 * Receive and wait (CCM_brecv): the next message of from->node, from->module and from->sequence (or SSI_CCM_NOSEQ), read from the
 * socket straight into buf. Its size (>= 0), and *from filled; buf beyond it may be overwritten, and so may all of buf when the call
 * fails. -EMSGSIZE: it is longer than n; from->size tells, and it stays for ssi_ccm_arecv. Several waiters for the same are served in
 * the order of their calls.
 */
ssize_t ssi_ccm_brecv(struct ssi_ccm_station *s, struct ssi_ccm_head *from, void *buf, size_t n, unsigned timeout_ms);
/* Receive if there (CCM_arecv): -EAGAIN if not. The body is the caller's, to be given back by ssi_ccm_body_free (NULL is fine). */
int ssi_ccm_arecv(struct ssi_ccm_station *s, struct ssi_ccm_head *from, void **ret_body);
void ssi_ccm_body_free(void *body);

/*
 * A handler of calls. call->node is who calls; body is borrowed for the call and not aligned. It may answer, now or later (keep a
 * copy of *call), by ssi_ccm_answer; a call that wants no answer ignores one.
 */
typedef void (*ssi_ccm_handler)(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata);
#define SSI_CCM_DEFAULT 0                /* as a function: every one of the module that has no handler of its own */
/* CCM_regist, CCM_unregist. -EEXIST; -E2BIG past 256. Calls for which there is no handler are dropped, and one that waits is told -ENOSYS.
 * After unregist the handler does not run, nor will it; called from that handler itself, from its return on. -ENOENT. */
int ssi_ccm_regist(struct ssi_ccm_station *s, uint16_t module, uint16_t function, ssi_ccm_handler handler, void *userdata);
int ssi_ccm_unregist(struct ssi_ccm_station *s, uint16_t module, uint16_t function);

/*
 * Asynchronous calls (CCM_rcall_s, CCM_rcall_l) of handler (to->module, to->type) at to->node: short in its loop, in the order they were
 * called; long on a worker. Flags and errors as of bsend. They may lie in the outgoing queue for as long as the writer is busy.
 */
int ssi_ccm_rcall_short(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const void *body, size_t len, unsigned flags, unsigned timeout_ms);
int ssi_ccm_rcall_long(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const void *body, size_t len, unsigned flags, unsigned timeout_ms);
/* A short call whose body is n bytes of head (copied), and then b, which many messages share: kept once, until the last of them was acknowledged. */
struct ssi_ccm_body { _Atomic unsigned refs; size_t len; uint8_t data[]; };
struct ssi_ccm_body *ssi_ccm_body_new(size_t len);                           /* to be filled by the caller, who has one reference; NULL: no memory */
void ssi_ccm_body_unref(struct ssi_ccm_body *b);                             /* NULL is fine */
int ssi_ccm_rcall_shared(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const void *head, size_t n, struct ssi_ccm_body *b, unsigned flags,
			 unsigned timeout_ms);
/*
 * News: a short call that is worth nothing once there is a newer one (a heartbeat, a load). It is not retained, not acknowledged, has no
 * credit, and is lost with its connection, or where the other end's threads receive faster than its loop hears. Does not wait: -ENOTCONN without
 * a connection, -EAGAIN while the socket is full.
 */
int ssi_ccm_news(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const void *body, size_t len);
enum ssi_ccm_how { SSI_CCM_SHORT, SSI_CCM_LONG };
/* Call and wait for the answer, which goes to buf: its size. The sequence is the station's (to->sequence is ignored). -EMSGSIZE: the answer
 * is longer than n, and is dropped. -ENOSYS: no handler there. */
ssize_t ssi_ccm_call(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, enum ssi_ccm_how how, const void *body, size_t len,
		     void *buf, size_t n, unsigned timeout_ms);
/* The same for the loop: done is called from there, once, with the size or -errno; body is borrowed. Does not wait (SSI_CCM_NOWAIT). */
typedef void (*ssi_ccm_done)(ssize_t result, const void *body, void *userdata);
int ssi_ccm_call_async(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, enum ssi_ccm_how how, const void *body, size_t len,
		       ssi_ccm_done done, void *userdata, unsigned timeout_ms);
/*
 * Answer a call. From a short handler it does not wait for room (-EAGAIN past the bound); from anywhere else for answer_ms, and then (-ETIMEDOUT)
 * the session of who asked is over, because an answer that is left out would be waited for.
 */
int ssi_ccm_answer(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, size_t len);

/* What a station holds and has done, for tests and status pages. */
struct ssi_ccm_station_stats {
	uint64_t sessions, links;            /* sessions begun; connections that carried one */
	uint64_t sent, received, again, duplicates;    /* messages; of them sent again, and received again and dropped */
	uint64_t refused;
	unsigned peers, up, shaking;         /* now: nodes known, with a connection; connections not through their handshake */
	uint64_t bytes;                      /* now: retained to be sent again, and received and not taken */
};
void ssi_ccm_station_stats(struct ssi_ccm_station *s, struct ssi_ccm_station_stats *ret);
