/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * One TLS 1.3 session with a pre-shared key (RFC 8446, psk_dhe_ke over X25519, AES-128-GCM or ChaCha20-Poly1305) over a connected,
 * non-blocking socket. No certificates, no tickets, no early data. The socket stays the caller's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/err.h"
#include "libssi/model/wire.h"

#define SSI_TLS_KEY 32

struct ssi_tls;

/* The key of an identity: 0; 1 or more when its time is over (the handshake goes on, ssi_tls_expired() tells); or -errno: refused. */
typedef int (*ssi_tls_key_fn)(const struct ssi_identity *id, uint8_t ret[SSI_TLS_KEY], void *userdata);

/*
 * Is it worth a session? 0: all of a stranger's first record is in the socket, and it may be a ClientHello. -EAGAIN: it is not all here; fd is
 * readable when it is, or is not to come (SO_RCVLOWAT). Else: refuse it. Nothing is taken from the socket. *low_water is 0 at first.
 */
int ssi_tls_greet(int fd, int *low_water, struct ssi_err *e);
int ssi_tls_client(int fd, const struct ssi_identity *id, const uint8_t key[SSI_TLS_KEY], struct ssi_tls **ret, struct ssi_err *e);
int ssi_tls_server(int fd, ssi_tls_key_fn key, void *userdata, struct ssi_tls **ret, struct ssi_err *e);
void ssi_tls_free(struct ssi_tls *t);                /* NULL is fine; sends nothing */
static inline void ssi_tls_freep(struct ssi_tls **t) { ssi_tls_free(*t); }
#define _cleanup_tls_ SSI_CLEANUP(ssi_tls_freep)

/*
 * All of these: -EAGAIN when the socket must be waited for (for writing if ssi_tls_wants_write, else for reading).
 * -EKEYREJECTED: the handshake was refused, or the key is wrong; -EKEYREVOKED: the other end knows the key and says that its time
 * is over; -ECONNRESET: gone without a word.
 */
int ssi_tls_handshake(struct ssi_tls *t, struct ssi_err *e);
ssize_t ssi_tls_read(struct ssi_tls *t, void *p, size_t n, struct ssi_err *e);    /* 0: orderly end */
/* After -EAGAIN call again with the same bytes: they have been taken already. */
ssize_t ssi_tls_write(struct ssi_tls *t, const void *p, size_t n, struct ssi_err *e);
/*
 * The same of n pieces, up to SSI_TLS_GATHER bytes of them: records are gathered, and sent by one system call that does not sleep. The bytes
 * taken; after -EAGAIN call again with the same, or more behind them. A session is written to in one of the two ways.
 */
#define SSI_TLS_GATHER (128u << 10)
ssize_t ssi_tls_writev(struct ssi_tls *t, const struct iovec *iov, int n, struct ssi_err *e);
/*
 * Have 2^24 records (RFC 8446, 5.5; or another number of them) gone either way with these keys, or have they served for an hour? ssi_tls_write
 * changes them then by itself, if this is the client: with GnuTLS 3.7.9 one change in forty broke the connection when both ends began one at about
 * the same time. ssi_tls_writev does not: its users take a new connection, whose keys owe nothing to these.
 */
bool ssi_tls_worn(const struct ssi_tls *t);
void ssi_tls_wear(struct ssi_tls *t, uint64_t records);
unsigned ssi_tls_rekeys(const struct ssi_tls *t);    /* how often this end has changed them */
bool ssi_tls_wants_write(const struct ssi_tls *t);
/* From now ssi_tls_read takes its bytes from p (borrowed until it says -EAGAIN: then all are taken) instead of the socket; p NULL: from the socket again. */
void ssi_tls_feed(struct ssi_tls *t, const void *p, size_t n);
bool ssi_tls_pending(const struct ssi_tls *t);       /* there is decrypted data that the socket will not announce */

/* Server, after the handshake has begun: who it is (NULL: not named yet), and whether the key's time is over:
 * 0, or what the callback said. */
const struct ssi_identity *ssi_tls_identity(const struct ssi_tls *t);
int ssi_tls_expired(const struct ssi_tls *t);

/* Last words; nothing is waited for. */
void ssi_tls_bye(struct ssi_tls *t);
void ssi_tls_say_expired(struct ssi_tls *t);
