/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the GnuTLS session and what GnuTLS's errors mean to us. Called by ccm, both faces. Two suites of the same strength and one group:
 * no handshake has a second round trip, and there is nothing to be downgraded to. The end that connects has the choice: AES where its
 * processor has instructions for it (4 to 5 times as fast), else ChaCha20.
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include "libssi/base/clock.h"
#include "libssi/base/hash.h"
#include "libssi/comm/tls.h"

/* A signature algorithm must be named though nothing is ever signed: without certificates none is used. */
#define TLS_PRIORITY(ciphers) "NONE:+VERS-TLS1.3:" ciphers ":+AEAD:+ECDHE-PSK:+GROUP-X25519:+SIGN-EDDSA-ED25519"
#define TLS_AES_FIRST TLS_PRIORITY("+AES-128-GCM:+CHACHA20-POLY1305")
#define TLS_AES_LAST TLS_PRIORITY("+CHACHA20-POLY1305:+AES-128-GCM")
#define TLS_HANDSHAKE_MAX 8192       /* bytes that are heard of the other end before it has proved its key; ours says some hundred */
#define TLS_RECORD 16384             /* bytes of ours in the largest record */
#define TLS_OVERHEAD 64              /* more than what a record adds to them */
#define TLS_WORN_RECORDS (UINT64_C(1) << 24)    /* RFC 8446, 5.5: AES-GCM is good for 2^24.5 full records */
#define TLS_WORN_MS (3600 * 1000)        /* at most: who began together does not change keys together */
#define TLS_WORN_JITTER_MS (900 * 1000)
#define TLS_FLAGS (GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS)

struct ssi_tls {
	gnutls_session_t session;
	int fd;
	gnutls_psk_client_credentials_t client;
	ssi_tls_key_fn key;              /* NULL: a client */
	void *userdata;
	const uint8_t *fed;              /* what is read instead of the socket, while feeding */
	size_t n_fed;
	bool feeding;
	uint8_t *out;                    /* records that were gathered and have not been sent */
	size_t n_out, max_out, sent;     /* bytes in it, room, and those that are gone */
	size_t taken;                    /* bytes of the caller's that they hold */
	bool gathering;
	bool proved;                     /* the handshake is over */
	size_t heard;                    /* bytes before that */
	struct ssi_identity id;
	bool named, unfinished;
	int expired;
	uint64_t records, max_records;   /* that went either way with these keys, and may */
	unsigned rekeys;
	uint64_t old_at;                 /* when it is as good as used up */
};

static uint64_t tls_old_at(void)
{
	uint32_t x = 0;

	ssi_hash_random(&x, sizeof(x));
	return ssi_clock_mono_ms() + TLS_WORN_MS - x % TLS_WORN_JITTER_MS;
}

static bool tls_has_aes(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
	return getauxval(AT_HWCAP) & 1u << 3;    /* HWCAP_AES */
#else
	return false;
#endif
}

/* For the life of the process: made once, shared by every session of every thread. */
static gnutls_priority_t tls_the_priority;
static gnutls_psk_server_credentials_t tls_the_credentials;

static void tls_init(void);

static gnutls_priority_t tls_priority(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, tls_init);
	return tls_the_priority;
}

/* --- the socket, as GnuTLS sees it --- */

static ssize_t tls_pull(gnutls_transport_ptr_t p, void *to, size_t n)
{
	struct ssi_tls *t = p;
	ssize_t r;

	if (t->feeding) {
		if (!t->n_fed) {
			gnutls_transport_set_errno(t->session, EAGAIN);
			return -1;
		}
		n = n < t->n_fed ? n : t->n_fed;
		memcpy(to, t->fed, n);
		t->fed += n;
		t->n_fed -= n;
		return (ssize_t)n;
	}
	/* Of a stranger only so much: GnuTLS keeps a handshake message of up to 16 MiB until it is whole. */
	if (!t->proved && n > TLS_HANDSHAKE_MAX - t->heard)
		n = TLS_HANDSHAKE_MAX - t->heard;
	errno = EMSGSIZE;
	r = n ? recv(t->fd, to, n, 0) : -1;
	if (r < 0)
		gnutls_transport_set_errno(t->session, errno);
	else if (!t->proved)
		t->heard += (size_t)r;
	return r;
}

/* Aligned: the kernel copies it twice as fast. */
static int tls_out_reserve(struct ssi_tls *t, size_t n)
{
	size_t max = (t->n_out + n + 63) & ~(size_t)63;
	uint8_t *out;

	if (t->max_out - t->n_out >= n)
		return 0;
	out = aligned_alloc(64, max);
	if (!out)
		return -ENOMEM;
	if (t->n_out)
		memcpy(out, t->out, t->n_out);
	free(t->out);
	t->out = out;
	t->max_out = max;
	return 0;
}

static ssize_t tls_push(gnutls_transport_ptr_t p, const giovec_t *iov, int n)
{
	struct ssi_tls *t = p;
	struct msghdr m = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
	size_t sum = 0;
	ssize_t r;

	/* What GnuTLS says of itself meanwhile goes behind what waits. */
	if (t->gathering || t->n_out) {
		for (int i = 0; i < n; sum += iov[i++].iov_len) {
			if (tls_out_reserve(t, iov[i].iov_len) < 0) {
				gnutls_transport_set_errno(t->session, ENOMEM);
				return -1;
			}
			memcpy(t->out + t->n_out, iov[i].iov_base, iov[i].iov_len);
			t->n_out += iov[i].iov_len;
		}
		return (ssize_t)sum;
	}
	r = sendmsg(t->fd, &m, MSG_NOSIGNAL);
	if (r < 0)
		gnutls_transport_set_errno(t->session, errno);
	return r;
}

void ssi_tls_feed(struct ssi_tls *t, const void *p, size_t n)
{
	t->feeding = p != NULL;
	t->fed = p;
	t->n_fed = n;
}

/* The library's error as ours. */
static int tls_error(struct ssi_tls *t, int r, const char *doing, struct ssi_err *e)
{
	if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED)
		return -EAGAIN;
	if (r == GNUTLS_E_FATAL_ALERT_RECEIVED) {
		gnutls_alert_description_t a = gnutls_alert_get(t->session);
		/* Not from a stranger, whose alerts are in clear: who is told so reboots. */
		if (a == GNUTLS_A_ACCESS_DENIED && t->proved)
			return ssi_errf(e, -EKEYREVOKED, "the other end says that this key's time is over");
		return ssi_errf(e, -EKEYREJECTED, "the other end refused the %s: %s", doing, gnutls_alert_get_name(a));
	}
	if (r == GNUTLS_E_PREMATURE_TERMINATION || r == GNUTLS_E_PULL_ERROR || r == GNUTLS_E_PUSH_ERROR)
		return ssi_errf(e, -ECONNRESET, "connection lost in the %s", doing);
	return ssi_errf(e, -EPROTO, "%s failed: %s", doing, gnutls_strerror(r));
}

static int tls_new(int fd, unsigned end, struct ssi_tls **ret, struct ssi_err *e)
{
	_cleanup_tls_ struct ssi_tls *t = calloc(1, sizeof(*t));
	int r;

	if (!t || !tls_priority())
		return ssi_errf(e, -ENOMEM, "no memory for a TLS session");
	r = gnutls_init(&t->session, end | TLS_FLAGS);
	if (r >= 0)
		r = gnutls_priority_set(t->session, tls_priority());
	if (r < 0)
		return ssi_errf(e, -ENOMEM, "TLS session: %s", gnutls_strerror(r));
	t->fd = fd;
	t->max_records = TLS_WORN_RECORDS;
	t->old_at = tls_old_at();
	gnutls_session_set_ptr(t->session, t);
	gnutls_transport_set_ptr(t->session, t);
	gnutls_transport_set_pull_function(t->session, tls_pull);
	gnutls_transport_set_vec_push_function(t->session, tls_push);
	gnutls_handshake_set_timeout(t->session, GNUTLS_INDEFINITE_TIMEOUT);    /* ccm keeps the time */
	*ret = TAKE_PTR(t);
	return 0;
}

int ssi_tls_client(int fd, const struct ssi_identity *id, const uint8_t key[SSI_TLS_KEY], struct ssi_tls **ret, struct ssi_err *e)
{
	_cleanup_tls_ struct ssi_tls *t = NULL;
	const gnutls_datum_t k = { (unsigned char *)key, SSI_TLS_KEY };
	char name[128];
	int r;

	r = ssi_identity_format(id, name, sizeof(name));
	if (r < 0)
		return ssi_errf(e, r, "identity '%s' is too long", id->who);
	r = tls_new(fd, GNUTLS_CLIENT, &t, e);
	if (r < 0)
		return r;
	r = gnutls_psk_allocate_client_credentials(&t->client);
	if (r >= 0)
		r = gnutls_psk_set_client_credentials(t->client, name, &k, GNUTLS_PSK_KEY_RAW);
	if (r >= 0)
		r = gnutls_credentials_set(t->session, GNUTLS_CRD_PSK, t->client);
	if (r < 0)
		return ssi_errf(e, -ENOMEM, "TLS key: %s", gnutls_strerror(r));
	*ret = TAKE_PTR(t);
	return 0;
}

/* GnuTLS asks for each identity that is offered: the first is the only one that we hear. */
static int tls_on_key(gnutls_session_t session, const char *name, gnutls_datum_t *ret)
{
	struct ssi_tls *t = gnutls_session_get_ptr(session);
	uint8_t key[SSI_TLS_KEY];
	int r;

	if (t->named || ssi_identity_parse(name, &t->id) < 0)
		return -1;
	t->named = true;
	r = t->key(&t->id, key, t->userdata);
	if (r < 0)
		return -1;
	t->expired = r;
	ret->data = gnutls_malloc(SSI_TLS_KEY);
	if (!ret->data)
		return -1;
	memcpy(ret->data, key, SSI_TLS_KEY);
	ret->size = SSI_TLS_KEY;
	gnutls_memset(key, 0, sizeof(key));
	return 0;
}

/* The key is asked for by a function that knows the session: one object serves all of them. */
static void tls_init(void)
{
	if (gnutls_priority_init(&tls_the_priority, tls_has_aes() ? TLS_AES_FIRST : TLS_AES_LAST, NULL) < 0)
		tls_the_priority = NULL;
	if (gnutls_psk_allocate_server_credentials(&tls_the_credentials) < 0)
		tls_the_credentials = NULL;
	else
		gnutls_psk_set_server_credentials_function(tls_the_credentials, tls_on_key);
}

int ssi_tls_server(int fd, ssi_tls_key_fn key, void *userdata, struct ssi_tls **ret, struct ssi_err *e)
{
	_cleanup_tls_ struct ssi_tls *t = NULL;
	int r;

	r = tls_new(fd, GNUTLS_SERVER, &t, e);
	if (r < 0)
		return r;
	t->key = key;
	t->userdata = userdata;
	r = tls_the_credentials ? gnutls_credentials_set(t->session, GNUTLS_CRD_PSK, tls_the_credentials) : GNUTLS_E_MEMORY_ERROR;
	if (r < 0)
		return ssi_errf(e, -ENOMEM, "TLS key: %s", gnutls_strerror(r));
	*ret = TAKE_PTR(t);
	return 0;
}

void ssi_tls_free(struct ssi_tls *t)
{
	if (!t)
		return;
	if (t->session)
		gnutls_deinit(t->session);
	if (t->client)
		gnutls_psk_free_client_credentials(t->client);
	free(t->out);
	free(t);
}

int ssi_tls_handshake(struct ssi_tls *t, struct ssi_err *e)
{
	int r;

	do
		r = gnutls_handshake(t->session);
	while (r == GNUTLS_E_INTERRUPTED || (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(r)));
	if (r >= 0) {
		t->proved = true;
		return 0;
	}
	if (r == GNUTLS_E_AGAIN)
		return -EAGAIN;
	if (t->heard == TLS_HANDSHAKE_MAX)
		return ssi_errf(e, -EMSGSIZE, "more than %d bytes before a key was proved", TLS_HANDSHAKE_MAX);
	if (r != GNUTLS_E_FATAL_ALERT_RECEIVED)
		gnutls_alert_send_appropriate(t->session, r);
	if (t->key && r != GNUTLS_E_PREMATURE_TERMINATION && r != GNUTLS_E_PULL_ERROR)
		return ssi_errf(e, -EKEYREJECTED, "%s: %s", t->named ? "wrong or unknown key" : "no identity of ours", gnutls_strerror(r));
	return tls_error(t, r, "handshake", e);
}

ssize_t ssi_tls_read(struct ssi_tls *t, void *p, size_t n, struct ssi_err *e)
{
	ssize_t r;

	/* After a message of TLS's own, such as a change of keys, it says "again" though there may be more of what it was fed. */
	do
		r = gnutls_record_recv(t->session, p, n);
	while (r == GNUTLS_E_INTERRUPTED || (r == GNUTLS_E_AGAIN && t->feeding && t->n_fed) || (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal((int)r)));
	t->records += r > 0;
	return r >= 0 ? r : tls_error(t, (int)r, "conversation", e);
}

bool ssi_tls_worn(const struct ssi_tls *t)
{
	return t->records >= t->max_records || ssi_clock_mono_ms() >= t->old_at;
}

void ssi_tls_wear(struct ssi_tls *t, uint64_t records)
{
	t->max_records = records;
}

unsigned ssi_tls_rekeys(const struct ssi_tls *t)
{
	return t->rekeys;
}

/* RFC 8446, 4.6.3: new keys for both directions. After GNUTLS_E_AGAIN it is to be called again. */
static int tls_rekey(struct ssi_tls *t)
{
	int r = gnutls_session_key_update(t->session, GNUTLS_KU_PEER);

	if (r < 0)
		return r;
	t->rekeys++;
	t->records = 0;
	t->old_at = tls_old_at();
	return 0;
}

ssize_t ssi_tls_write(struct ssi_tls *t, const void *p, size_t n, struct ssi_err *e)
{
	ssize_t r = 0;

	if (!t->key && !t->unfinished && ssi_tls_worn(t))
		r = tls_rekey(t);
	if (r < 0)
		return tls_error(t, (int)r, "change of keys", e);
	t->records += !t->unfinished;
	do
		r = t->unfinished ? gnutls_record_send(t->session, NULL, 0) : gnutls_record_send(t->session, p, n);
	while (r == GNUTLS_E_INTERRUPTED);
	t->unfinished = r == GNUTLS_E_AGAIN;
	return r >= 0 ? r : tls_error(t, (int)r, "conversation", e);
}

/* All pieces as records into t->out, until enough are taken. */
static int tls_gather(struct ssi_tls *t, const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++)
		for (size_t at = 0; at < iov[i].iov_len;) {
			size_t want = iov[i].iov_len - at;
			ssize_t r;

			if (t->taken == SSI_TLS_GATHER)
				return 0;
			if (want > SSI_TLS_GATHER - t->taken)
				want = SSI_TLS_GATHER - t->taken;
			r = gnutls_record_send(t->session, (const uint8_t *)iov[i].iov_base + at, want);
			if (r == GNUTLS_E_INTERRUPTED)
				continue;
			if (r < 0)
				return (int)r;
			at += (size_t)r;
			t->taken += (size_t)r;
			t->records++;
		}
	return 0;
}

/* Room for all of it at once: a buffer that grows is copied each time. */
static int tls_gather_reserve(struct ssi_tls *t, const struct iovec *iov, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n && sum < SSI_TLS_GATHER; i++)
		sum += iov[i].iov_len;
	sum = sum < SSI_TLS_GATHER ? sum : SSI_TLS_GATHER;
	return tls_out_reserve(t, sum + (size_t)TLS_OVERHEAD * (sum / TLS_RECORD + (size_t)n + 1));
}

ssize_t ssi_tls_writev(struct ssi_tls *t, const struct iovec *iov, int n, struct ssi_err *e)
{
	ssize_t r;

	if (!t->n_out) {
		if (tls_gather_reserve(t, iov, n) < 0)
			return ssi_errf(e, -ENOMEM, "no memory for records");
		t->gathering = true;
		r = tls_gather(t, iov, n);
		t->gathering = false;
		if (r < 0)
			return tls_error(t, (int)r, "conversation", e);
	}
	while (t->sent < t->n_out) {
		r = send(t->fd, t->out + t->sent, t->n_out - t->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return errno == EAGAIN ? -EAGAIN : ssi_errno(e, -errno, "conversation");
		t->sent += (size_t)r;
	}
	/* Not kept: ten thousand sessions would hold a gigabyte. */
	free(t->out);
	r = (ssize_t)t->taken;
	t->out = NULL;
	t->n_out = t->max_out = t->sent = t->taken = 0;
	return r;
}

bool ssi_tls_wants_write(const struct ssi_tls *t)
{
	return gnutls_record_get_direction(t->session) == 1;
}

bool ssi_tls_pending(const struct ssi_tls *t)
{
	return gnutls_record_check_pending(t->session) > 0;
}

const struct ssi_identity *ssi_tls_identity(const struct ssi_tls *t)
{
	return t->named ? &t->id : NULL;
}

int ssi_tls_expired(const struct ssi_tls *t)
{
	return t->expired;
}

void ssi_tls_bye(struct ssi_tls *t)
{
	gnutls_bye(t->session, GNUTLS_SHUT_WR);
}

void ssi_tls_say_expired(struct ssi_tls *t)
{
	gnutls_alert_send(t->session, GNUTLS_AL_FATAL, GNUTLS_A_ACCESS_DENIED);
}
