/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the files of a station know of each other: station.c (the station, and whom it knows), station-peer.c (the peers), station-door.c (who
 * knocks), station-link.c (connections until a session has them), station-session.c (a session's begin and end), station-out.c (what is sent and
 * retained), station-ring.c (its memory), station-send.c (the calls that send), station-in.c (bytes into frames), station-recv.c (the calls that
 * receive), station-call.c (handlers), station-io.c (a connection's socket), station-loop.c (the loop), station-clock.c (what is due), station-tell.c
 * (what the program is told).
 *
 * Locks, in this order: a peer's, then the station's work lock or jobs_lock; calls_lock is taken alone. Nothing sleeps in the
 * kernel, and no callback is called, with one held. A peer has two roles, taken under its lock and held without: the reader (of its
 * socket, and of all that "reader" marks below) and the writer.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include "libssi/base/limit.h"
#include "libssi/comm/station.h"
#include "libssi/comm/station-frame.h"
#include "libssi/comm/station-ring.h"
#include "libssi/comm/tls.h"

#define STATION_KEEP_MIN (16u << 10)     /* bodies from here on do not go through the ring */
#define STATION_RING_ACK (64u << 10)     /* so much of the other end's ring is acknowledged at once */
#define STATION_IOV 16
#define STATION_CHUNK (256u << 10)       /* what the loop reads at a time */
#define STATION_SLICE_MS 250             /* a thread that sleeps in the kernel looks at its deadline this often */
#define STATION_HELLOS_MAX 1024          /* connections that have proved who they are, or are ours, and have no session yet */
#define STATION_PERMITS_MAX 128
#define STATION_HANDLERS_MAX 256
#define STATION_HOT_MS 4                 /* after this a lease that was not renewed ends, and an acknowledgement is due */
#define STATION_NEWS_MAX 256             /* news that wait for the loop while threads read: more are dropped */
#define STATION_LAZY (32u << 10)         /* so much of one-way calls waits for the loop to write it; then the caller does */

enum station_tag { TAG_LISTENER, TAG_WAKE, TAG_TICK, TAG_HOT, TAG_CONN };

struct station_peer;
struct station_lane;

/* As whom a station speaks: itself, or one of the many it stands for. */
struct station_self { uint32_t number; uint64_t incarnation; char who[64]; };

/* A message on the heap. Its body is what ssi_ccm_arecv hands over. */
struct station_msg {
	TAILQ_ENTRY(station_msg) link;
	struct ssi_ccm_head head;
	struct station_peer *peer;
	struct station_lane *lane;
	struct station_async *async;         /* an answer, or what became of the call; else NULL */
	ssize_t result;                      /* of an answer */
	uint64_t session;                    /* in which it came */
	uint8_t flags;
	uint8_t body[] __attribute__((aligned(16)));
};
TAILQ_HEAD(station_msgs, station_msg);

/* What goes between two stations for one module. Made when first used, never freed before the peer. */
struct station_lane {
	struct station_lane *next;
	uint16_t module;
	uint32_t largest;                    /* frame that the peer may send here; 0: none */
	uint64_t sent;                       /* bytes: ours */
	_Atomic uint64_t granted;            /* of them taken by the peer, as far as it told; peer's lock to write */
	bool starved;                        /* somebody was told -EAGAIN */
	const struct ssi_ccm_permit *permit; /* reader: the line that let the last message in, and its type */
	uint16_t permit_type;
	_Atomic uint64_t received;           /* bytes of the peer's; the reader writes */
	_Atomic uint64_t taken, told;        /* of them taken here, and what the peer was told of it */
	bool retell;                         /* a new connection: say it again */
	struct station_msgs queue;           /* the receive-data queue */
};

/* A thread that receives, on its stack: an entry of the receive-wait queue. */
struct station_waiter {
	TAILQ_ENTRY(station_waiter) link;
	uint16_t module;
	uint64_t sequence;
	bool answer;                         /* waits for the answer of a call, not for a message */
	uint8_t *buf;
	size_t n;
	struct ssi_ccm_head head;            /* filled at the end */
	ssize_t result;
	bool done, sleeps;                   /* sleeps: on cond */
	struct station_conn *claimed;        /* its message's body is being read from there */
	pthread_cond_t cond;
};
TAILQ_HEAD(station_waiters, station_waiter);

/* A call whose answer goes to a callback. */
struct station_async {
	TAILQ_ENTRY(station_async) link;
	struct station_msg *msg;             /* made with the call, so that its failure can always be told */
	uint16_t module;
	uint64_t sequence, deadline;         /* 0: none */
	ssi_ccm_done done;
	void *userdata;
};
TAILQ_HEAD(station_asyncs, station_async);

/* A body that is not in the ring: its header ends at ring offset `at`. */
struct station_ext {
	STAILQ_ENTRY(station_ext) link;
	uint64_t at;
	uint32_t size;
	enum { EXT_KEPT, EXT_OWNED, EXT_FILE, EXT_SHARED } what;
	struct ssi_ccm_body *shared;         /* its last piece */
	int fd;
	off_t offset;
	int n;
	struct iovec iov[];
};
STAILQ_HEAD(station_exts, station_ext);

/* What is sent: offsets count bytes since the session began; tail..head is retained, written..head has not gone out on this connection. */
struct station_out {
	struct station_ring ring;
	uint64_t tail, written, head, batch_end;
	struct station_exts exts;
	struct station_ext *at;              /* the first that has not gone out whole, or NULL */
	uint32_t at_done;
	uint64_t next, acked, released;      /* serials: of the next message, the highest acknowledged, and when was last given back */
	uint64_t retained;                   /* bytes, bodies by reference too */
	uint64_t tick_head;                  /* head at the last tick */
	unsigned news;                       /* frames in the ring that nobody will acknowledge */
	bool writing, stalled;               /* the role; the socket is full, the loop waits for it */
};

/* What every message touches stands together: after a sleep each line of it comes from afar. */
struct station_conn {
	enum station_tag tag;
	int fd;
	struct ssi_tls *tls;                 /* NULL: plain */
	struct ssi_ccm_station *s;
	struct station_peer *peer;           /* NULL while shaking hands */
	unsigned refs;                       /* peer's lock */
	unsigned control_len, control_at;    /* writer */
	/* reader */
	unsigned n_header;
	uint32_t got, guess;                 /* guess: of the next body's size */
	bool in_body, touching;              /* touching (peer's lock): a read into a waiter's buffer is under way */
	uint8_t *to;                         /* where the body goes; NULL: nowhere */
	struct station_waiter *waiter;
	struct station_lane *lane;           /* of f's module, or NULL */
	struct station_msg *msg;
	struct station_frame f;
	uint8_t header[STATION_HEADER];
	uint8_t small[STATION_CONTROL_MAX];
	uint8_t *raw;                        /* what came, as TLS has it, until all of it has been taken; or NULL */
	uint8_t control[512];                /* writer */
	/* until a session has it */
	/* Ours: CONNECTING, TLS, HELLO. At the door: SILENT, IN_LINE (it has spoken), TLS, HELLO; or ENDING, to hear that its key's time is over.
	 * DEAD: never was open, and waits to be freed. */
	enum station_link { LINK_CONNECTING, LINK_SILENT, LINK_IN_LINE, LINK_TLS, LINK_HELLO, LINK_ENDING, LINK_OPEN, LINK_DEAD } state;
	bool outgoing;
	struct in_addr addr;
	uint16_t port;
	uint64_t deadline, since;
	struct ssi_identity id;              /* of the other end, once it is named; kind 0 before */
	uint32_t node;                       /* and its number */
	uint64_t incarnation;                /* as its key says; 0 in plain */
	int low_water;                       /* while its first record is waited for */
	int expired;                         /* its key's time is over: what identify() said */
	uint32_t events;                     /* in the epoll set; 0: not in it */
	struct station_conns *list;          /* where it is until a session has it, by its link; or NULL */
	TAILQ_ENTRY(station_conn) link;      /* of those to be freed, too */
	pthread_mutex_t tls_lock;
};
TAILQ_HEAD(station_conns, station_conn);

enum { DUE_ACK = 1, DUE_CREDIT = 2, DUE_ALIVE = 4,
       DUE_NOW = 8 };                    /* and it can not wait for a message that takes it along */
enum { WORK_FLUSH = 1, WORK_INBOX = 2, WORK_NOTES = 4, WORK_CONNECT = 8, WORK_PARTED = 16, WORK_DRAINED = 32, WORK_GONE = 64 };
#define STATION_NOTES 8
enum { OWING = 1,                        /* to be written: what the station says of itself, and */
       OWING_WORDS = 2,                  /* what the program says */
       OWING_PARTED = 4 };               /* and then it ends */

/* As with a connection: first what every message touches. */
struct station_peer {
	uint32_t node, remote;               /* its number; remote differs where this station stands for many */
	const struct station_self *self;     /* as whom this station speaks to it; both change by the loop, while there is no connection */
	bool known, reader, leased, lease_used, hot, starved;
	bool work_flush;                     /* the loop was asked to write */
	bool more;                           /* loop: the chunk holds more frames, an answer need not be written yet */
	enum { PEER_NEW, PEER_UP, PEER_GONE } state;
	struct ssi_ccm_station *s;
	pthread_mutex_t lock;
	struct station_conn *conn;
	_Atomic(struct station_lane *) lanes;
	unsigned users, waiting_room, waiting_idle, n_news;
	atomic_uint n_inbox;                 /* n_news: of them news, which no credit bounds */
	uint32_t window, retain;             /* the other end's */
	uint64_t incarnation;
	struct station_waiters waiters;
	atomic_uint due;                     /* what this station has to say of itself, between two messages */
	atomic_bool heard, said;
	atomic_bool watched;                 /* something of it has a deadline */
	uint64_t rx_acked;                   /* reader: the highest ack that was seen */
	_Atomic uint64_t rx_serial, ack_told;        /* reader writes; what the last ack said */
	_Atomic uint64_t rx_bytes, rx_bytes_told;    /* received, and when the last ack went out */
	_Atomic uint64_t rx_ring, rx_ring_told;      /* the same of what lies in the other end's ring */
	uint64_t sent, received;             /* messages, under the lock */
	struct station_out out;
	/* session */
	pthread_cond_t room, idle;           /* room: senders, settlers, those who await; idle: who waits for a role to be given back */
	bool listens, has_key, by_any;       /* by_any: let in as SSI_CCM_ANY_NODE, with that key */
	uint8_t key[SSI_CCM_STATION_KEY];
	struct in_addr addr;
	uint16_t port;
	uint64_t session, highest;           /* highest: incarnation that was ever seen */
	uint64_t doomed, parted;             /* the session that WORK_GONE is to end, and WORK_PARTED, */
	bool parting;                        /* which is still to come: what a connection does that was begun before is of no interest */
	uint64_t fresh;                      /* what this end offers for a new session, the same until one has begun */
	uint64_t ack_mark;
	struct station_asyncs asyncs;
	struct station_msgs inbox;           /* for the loop: calls, and answers for callbacks */
	_Atomic uint64_t calls;              /* received, of those that took no lock */
	uint64_t again, duplicates, sessions, links;
	const struct station_self *self_next;        /* what self and remote are to be, from station_peer_adopt on */
	uint32_t remote_next;
	/* loop */
	uint64_t last_heard, connect_at, linked_at;
	_Atomic uint64_t last_said;
	unsigned backoff;
	uint64_t progress;                   /* serials sent and received when the connection began */
	struct station_conn *connecting;
	uint64_t deaf;                       /* the session of which a handler said that it is to end: what is read of it already is not heard */
	uint64_t part_at;                    /* parted with when all was acknowledged, or then; 0: not */
	unsigned owing;                      /* what waits for the end of the turn; OWING: it is in the station's list */
	TAILQ_ENTRY(station_peer) owing_link;
	uint64_t unacked_at;                 /* first seen that something is to be acknowledged */
	struct ssi_err *why;                 /* its last session ended; NULL: nothing is known */
	struct ssi_identity *id;             /* who it proved to be, or NULL */
	struct in_addr from;
	void *userdata;
	/* work lock */
	unsigned work;
	TAILQ_ENTRY(station_peer) work_link, hot_link;
	struct { uint64_t incarnation; enum ssi_ccm_state state; } notes[STATION_NOTES];
	unsigned n_notes;
};
TAILQ_HEAD(station_peers, station_peer);

struct station_table { size_t cap; struct station_table *older; _Atomic(struct station_peer *) slots[]; };

struct station_handler { atomic_uint running, key; _Atomic(ssi_ccm_handler) fn; void *userdata; };    /* key: module and function; 0: free */

struct station_refusal { struct in_addr addr; uint32_t node; struct ssi_identity id; struct ssi_err why; };

struct ssi_ccm_station {
	struct ssi_ccm_station_config config;
	struct station_self self;
	int listener, epoll, wake, tick, hot_timer;
	enum station_tag tag_listener, tag_wake, tag_tick, tag_hot;
	sd_event_source *source;
	pthread_t thread;
	bool threaded;
	atomic_bool down;
	_Atomic(struct station_table *) table;
	pthread_mutex_t peers_lock;          /* who adds to the table */
	struct station_peer **all;
	atomic_uint n_peers;
	bool any;
	uint8_t any_key[SSI_CCM_STATION_KEY];
	bool has_any_key;
	struct ssi_ccm_permit permits[STATION_PERMITS_MAX];
	size_t n_permits;
	struct station_conns door[3], hellos, dead;      /* door: SILENT, IN_LINE, TLS and ENDING; dead: work lock */
	unsigned n_door[3], n_hellos;
	atomic_uint n_shaking;               /* all of these */
	uint8_t *chunk;
	_Atomic(uint8_t *) raw;              /* a buffer for what TLS is to decipher that nobody uses now, or NULL */
	uint64_t now;                        /* loop: ms */
	uint64_t tick_at;                    /* work lock: what the clock is set to, 0: nothing */
	bool held;                           /* loop: in a turn of which nothing leaves before its end */
	struct station_peers owing;
	pthread_mutex_t work_lock;
	struct station_peers work, hot;
	bool woken, hot_armed;
	uint64_t accept_at;                  /* loop: out of descriptors, the listener rests until then; 0: it does not */
	struct station_refusal refusals[8];
	unsigned n_refusals;
	struct ssi_limit refusals_told;
	atomic_ullong refused;
	pthread_mutex_t calls_lock;
	struct station_handler handlers[2 * STATION_HANDLERS_MAX];     /* open addressing; a place that was taken keeps its key */
	unsigned n_handlers;
	pthread_cond_t calls_cond;
	_Atomic uint64_t next_call;
	pthread_mutex_t jobs_lock;
	pthread_cond_t jobs_cond;
	struct station_msgs jobs;
	pthread_t *workers;
	unsigned n_workers, idle_workers, n_jobs;
	bool jobs_end;
};

/* station-peer.c */
int station_peers_new(struct ssi_ccm_station *s);                  /* their table; 0 or -ENOMEM */
void station_peers_free(struct ssi_ccm_station *s);                /* nobody uses them any more */
struct station_peer *station_peer_find(struct ssi_ccm_station *s, uint32_t node);        /* or NULL; known or not */
int station_peer_add(struct ssi_ccm_station *s, uint32_t node, struct station_peer **ret);
void station_peer_forget(struct station_peer *p);                  /* peer's lock held; WORK_PARTED does the rest */
/* Loop, peer's lock held: no session, connection or role of it is left (false: there is). As whom, and to whom, was said by the last call that made it known. */
bool station_peer_adopt(struct station_peer *p);
void station_peer_turn_to(struct station_peer *p, const struct station_self *self, uint32_t remote);      /* peer's lock held; self: the station's, or on the heap */
/* Lane of a module; made if need be (NULL: no memory). Needs the peer's lock to make one, or the reader's role and create = false. */
static inline struct station_lane *station_lane_find(const struct station_peer *p, uint16_t module)
{
	struct station_lane *l = atomic_load_explicit(&p->lanes, memory_order_acquire);

	while (l && l->module != module)
		l = l->next;
	return l;
}
struct station_lane *station_lane_get(struct station_peer *p, uint16_t module);
const struct ssi_ccm_permit *station_permit_find(const struct ssi_ccm_station *s, uint32_t node, uint16_t module, uint16_t type);

/* Deadlines: 0 = not begun to count, so that a call that need not wait, or has no bound, never looks at the clock. */
uint64_t station_deadline(unsigned timeout_ms);                    /* absolute ms; UINT64_MAX = none */
/* Wait on cond with the lock held; 0 or -ETIMEDOUT. */
int station_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline);

/* station-loop.c */
int station_loop_start(struct ssi_ccm_station *s, struct ssi_err *e);
void station_loop_stop(struct ssi_ccm_station *s);
bool station_in_loop(const struct ssi_ccm_station *s);
void station_wake(struct ssi_ccm_station *s);
void station_work(struct station_peer *p, unsigned bits);          /* the loop is to do something for p */
void station_owe(struct station_peer *p, unsigned what);           /* loop, in a turn that is settled: at its end */

/* station-clock.c */
void station_clock_hot(struct ssi_ccm_station *s);                 /* loop: the leases' clock went off */
void station_clock_tick(struct ssi_ccm_station *s);                /* loop: the other one */
void station_heat(struct station_peer *p);                         /* peer's lock held: look at p in STATION_HOT_MS */
void station_tick_by(struct ssi_ccm_station *s, uint64_t now, uint64_t at);     /* the clock goes off at `at`, if it would not earlier */
void station_tick_soon(struct ssi_ccm_station *s);                 /* something has a deadline that the clock may not be set to */
void station_watch(struct station_peer *p);                        /* the same, of p, which the clock may have passed by */
void station_said(struct station_peer *p);                         /* something went out */

/* station-tell.c */
void station_note(struct station_peer *p, enum ssi_ccm_state state);       /* peer's lock held */
void station_because(struct station_peer *p, const struct ssi_err *why);   /* peer's lock held: why a session is about to end */
void station_refused(struct ssi_ccm_station *s, struct in_addr addr, uint32_t node, const struct ssi_identity *id, const struct ssi_err *why);
void station_notes(struct station_peer *p);                        /* loop, no lock held: tell what is to be told of p's states */
void station_tell_refusals(struct ssi_ccm_station *s);             /* loop */

/* station-io.c: a connection's socket. All may be called without a lock; refs under the peer's. */
struct station_conn *station_conn_new(struct ssi_ccm_station *s, int fd, struct in_addr addr, bool outgoing);   /* takes fd, also when it fails */
void station_conn_unref(struct station_conn *c);                   /* the last one: the loop frees it */
void station_conn_free(struct station_conn *c);                    /* loop */
/* Bytes, 0 at the end, -EAGAIN, or -errno. wait: sleep, but not longer than STATION_SLICE_MS. */
ssize_t station_conn_readv(struct station_conn *c, struct iovec *iov, int n, bool wait, struct ssi_err *e);
ssize_t station_conn_some(struct station_conn *c, void *p, size_t n, bool wait, struct ssi_err *e);    /* what there is */
ssize_t station_conn_read(struct station_conn *c, void *p, size_t n, bool wait, struct ssi_err *e);
ssize_t station_conn_writev(struct station_conn *c, struct iovec *iov, int n, bool wait, struct ssi_err *e);
ssize_t station_conn_send(struct station_conn *c, const void *p, size_t n);      /* plain, does not sleep; bytes or -1 */
ssize_t station_conn_sendfile(struct station_conn *c, int fd, off_t offset, size_t n, bool wait, struct ssi_err *e);
bool station_conn_pending(struct station_conn *c);                 /* something decrypted that the socket will not announce */
bool station_conn_unread(const struct station_conn *c);            /* something has come that this station has not read: who judges silence asks this first */
bool station_conn_worn(struct station_conn *c);                    /* its keys were used enough */
int station_conn_wait(struct station_conn *c, unsigned ms);        /* until there is something to read; 0, -ETIMEDOUT */
void station_conn_watch(struct station_conn *c, uint32_t events);  /* what the loop waits for; peer's lock, or while shaking the loop */
void station_conn_interest(struct station_peer *p);                /* the same, by what the peer's state asks for */

/* station-door.c: loop */
int station_door_listen(struct ssi_ccm_station *s, struct ssi_err *e);
void station_door_accept(struct ssi_ccm_station *s);
int station_door_event(struct station_conn *c, uint32_t events, struct ssi_err *e);     /* of one that is at the door; 1: it has proved who it is */
void station_door_next(struct ssi_ccm_station *s);                 /* whose turn it is */
uint64_t station_door_expire(struct ssi_ccm_station *s);           /* when to look again; UINT64_MAX: never */

/* station-link.c: loop */
/* Into a list; out of the one it was in. */
void station_link_move(struct station_conn *c, struct station_conns *to, unsigned ms);
void station_link_fail(struct station_conn *c, const struct ssi_err *why);
void station_link_make_room(struct station_conn *c);               /* c waits for a HELLO: others that do may be too many */
int station_link_key(struct ssi_ccm_station *s, uint32_t node, uint64_t incarnation, uint8_t ret[SSI_CCM_STATION_KEY]);   /* by listen_to and key() */
void station_link_connect(struct station_peer *p);
void station_link_event(struct station_conn *c, uint32_t events);
uint64_t station_link_expire(struct ssi_ccm_station *s);           /* when to look again; UINT64_MAX: never */
void station_link_close_all(struct ssi_ccm_station *s);
void station_link_abandon(struct station_peer *p);                 /* stop connecting to p */
void station_link_encode_hello(const struct station_peer *p, const struct station_hello *h, uint8_t *buf);

/* station-session.c: peer's lock held */
/* A connection of p, whose HELLO is h, is through its handshake: take it over. Loop. 0, or -errno: it must be closed. */
int station_session_attach(struct station_peer *p, struct station_conn *c, const struct station_hello *h, uint64_t incarnation, struct ssi_err *e);
void station_session_gone(struct station_peer *p);                 /* loop: the end of the session, if there is one */
void station_session_doom(struct station_peer *p);                 /* the same, by who is not the loop or has a role: soon, and no session that began meanwhile */
/* c is of no use any more; nothing happens when it is not p's. */
void station_session_broken(struct station_peer *p, struct station_conn *c);
/* No one reads or writes any more: breaks the connection and waits for the roles. Not from who holds one. */
void station_session_quiesce(struct station_peer *p);
void station_session_end(struct station_peer *p, int code);        /* everything that waits gets code; quiesced before */
void station_session_fail_waiters(struct station_peer *p, int code);
void station_session_free(struct station_peer *p);                 /* what it still holds */

/* station-out.c: peer's lock held */
int station_out_room(struct station_peer *p, struct station_lane *lane, uint32_t ring_bytes, uint32_t cost);   /* 1, 0: wait */
void station_out_append(struct station_peer *p, struct station_lane *lane, struct station_frame *f, const struct iovec *iov, int n, struct station_ext *ext);
/* Write until offset `until` has gone out, or the socket is full; wait: may sleep in the kernel for some slices, three at most. Gives the lock up meanwhile. */
void station_out_flush(struct station_peer *p, uint64_t until, bool wait);
/* Write the one message that was just appended, if that takes one try and nobody sleeps; false: flush. The lock is kept. */
bool station_out_now(struct station_peer *p);
int station_out_acked(struct station_peer *p, uint64_t ack, struct ssi_err *e);
void station_out_rewind(struct station_peer *p);                   /* all that is retained is to be written again */
void station_out_clear(struct station_peer *p);
void station_out_part(struct station_peer *p);                      /* say goodbye, if that can be done at once */
void station_out_shrink(struct station_peer *p);                    /* nothing is retained, and was not for a while */
void station_ext_free(struct station_ext *x);


/* station-in.c: by the reader, no lock held */
int station_in_feed(struct station_peer *p, struct station_conn *c, const uint8_t *b, size_t n, struct ssi_err *e);
int station_in_header(struct station_peer *p, struct station_conn *c, const uint8_t *header, struct ssi_err *e);    /* peer's lock held */
int station_in_whole(struct station_peer *p, struct station_conn *c, struct ssi_err *e);       /* the body is whole; peer's lock held */
/* The place of the body that is under way, if it is worth to read straight to it, else NULL. Whoever waits with that buffer cannot leave before station_in_fill returns. */
uint8_t *station_in_fills(struct station_peer *p, struct station_conn *c);
ssize_t station_in_fill(struct station_peer *p, struct station_conn *c, uint8_t *to, bool wait, struct ssi_err *e);    /* read on to there */
void station_in_read(struct station_peer *p, struct station_conn *c);                          /* the socket has something: by the loop */
void station_in_reset(struct station_conn *c);                     /* forget what is half here; peer's lock held */
void station_in_detach(struct station_peer *p, struct station_waiter *w);                      /* w, claimed, leaves; peer's lock held */
void station_in_fail(struct station_peer *p, struct station_conn *c, int r, const struct ssi_err *e);  /* the connection ends; peer's lock held */
struct station_msg *station_msg_new(struct station_peer *p, const struct station_frame *f);
void station_in_taken(struct station_peer *p, struct station_lane *lane, uint32_t size);       /* a body was taken: credit */

/* station-recv.c: peer's lock held */
void station_waiter_done(struct station_peer *p, struct station_waiter *w, ssize_t result);
void station_waiter_leave(struct station_peer *p, struct station_waiter *w, ssize_t result);    /* it waits no longer: done, if it is not; gives the lock up meanwhile */
struct station_waiter *station_waiter_find(struct station_peer *p, const struct ssi_ccm_head *h, bool answer);
ssize_t station_recv_wait(struct station_peer *p, struct station_waiter *w, unsigned timeout_ms);  /* w is in the list */
void station_recv_put(struct station_peer *p, struct station_msg *m);          /* a message is whole: to its waiter, or kept */
void station_role_pass(struct station_peer *p);                    /* somebody who waits is to read */
void station_role_leave(struct station_peer *p, struct station_conn *c);       /* the reader's */

/* station-send.c */
/* kind: a frame's flags. lazy: it may lie in the ring until the loop comes. An answer needs no credit, and may come from the loop. */
int station_send_any(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, uint8_t kind, const struct iovec *iov, int n, unsigned flags,
		     unsigned timeout_ms, bool lazy);

/* station-call.c */
/* No lock held. false: there is no handler, and no room to say so, which is still to be done. */
bool station_call_run(struct ssi_ccm_station *s, const struct ssi_ccm_head *head, const void *body);
void station_call_refuse(struct station_msg *m);                   /* a worker, who may wait, says that there is no handler; takes m */
void station_call_job(struct station_msg *m);                      /* a long one: to a worker; takes m */
void station_call_inbox(struct station_peer *p);                   /* loop: what readers left for it */
bool station_call_tick(struct ssi_ccm_station *s);                 /* loop: workers that could not be started before; true: nor now */
void station_call_end(struct ssi_ccm_station *s);                  /* workers */
/* These with the peer's lock held. */
void station_call_forget(struct station_peer *p);                  /* jobs of its last session that no worker has begun */
void station_call_inbox_put(struct station_peer *p, struct station_msg *m);    /* for the loop; takes m */
struct station_async *station_async_find(struct station_peer *p, const struct ssi_ccm_head *h);
void station_call_answered(struct station_peer *p, struct station_msg *m);     /* an answer for a callback; takes m */
uint64_t station_call_expire(struct station_peer *p, uint64_t now);            /* when to look again; UINT64_MAX: never */
void station_call_fail(struct station_peer *p, int code);          /* all that wait for an answer by callback */
