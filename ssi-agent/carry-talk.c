/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What two ends of node-carry say to each other over a connection (carry.c says it in words). Called by carry.c; each end waits for the other. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/path.h"
#include "ssi-agent/carry.h"
#include "ssi/rexec/blobs.h"

#define CARRY_PIECE (64u << 10)

/* --- a session, waited for --- */

static int carry_wait(struct ssi_tls *t, int fd)
{
	struct pollfd p = { .fd = fd, .events = ssi_tls_wants_write(t) ? POLLOUT : POLLIN };

	return poll(&p, 1, CARRY_WAIT_MS) > 0 ? 0 : -ETIMEDOUT;
}

static int carry_handshake(struct ssi_tls *t, int fd, struct ssi_err *e)
{
	uint64_t end = ssi_clock_mono_ms() + CARRY_WAIT_MS;
	int r;

	while ((r = ssi_tls_handshake(t, e)) == -EAGAIN && ssi_clock_mono_ms() < end)
		if (carry_wait(t, fd) < 0)
			break;
	return r == -EAGAIN ? ssi_errf(e, -ETIMEDOUT, "nobody answers") : r;
}

static int carry_send(struct ssi_tls *t, int fd, const void *p, size_t n, struct ssi_err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = ssi_tls_write(t, (const char *)p + done, n - done, e);

		if (r == -EAGAIN && carry_wait(t, fd) == 0)
			continue;
		if (r < 0)
			return (int)r;
		done += (size_t)r;
	}
	return 0;
}

/* At most n bytes; 0: it has ended. */
static ssize_t carry_some(struct ssi_tls *t, int fd, void *p, size_t n, struct ssi_err *e)
{
	ssize_t r;

	while ((r = ssi_tls_read(t, p, n, e)) == -EAGAIN)
		if (carry_wait(t, fd) < 0)
			return ssi_errf(e, -ETIMEDOUT, "nothing comes any more");
	return r;
}

static int carry_all(struct ssi_tls *t, int fd, void *p, size_t n, struct ssi_err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = carry_some(t, fd, (char *)p + done, n - done, e);

		if (r <= 0)
			return r < 0 ? (int)r : ssi_errf(e, -ENODATA, "it ended too early");
		done += (size_t)r;
	}
	return 0;
}

/* --- the giver --- */

static int give_key(const struct ssi_identity *id, uint8_t ret[SSI_TLS_KEY], void *userdata)
{
	memcpy(ret, ((const struct carry *)userdata)->key, SSI_TLS_KEY);
	return 0;
}

/* One that may be had, and is here. */
static int give_open(const struct carry *c, const uint8_t digest[SSI_HASH_BYTES])
{
	_cleanup_free_ char *path = NULL;
	char hex[SSI_HASH_HEX];
	size_t i = 0;

	while (i < c->n && memcmp(c->items[i].digest, digest, SSI_HASH_BYTES) != 0)
		i++;
	ssi_hash_hex(digest, SSI_HASH_BYTES, hex);
	path = i < c->n ? ssi_path_join(c->blobs, hex) : NULL;
	return path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
}

static int give_one(struct ssi_tls *t, int fd, const struct carry *c, const uint8_t digest[SSI_HASH_BYTES], struct ssi_err *e)
{
	_cleanup_close_ int blob = give_open(c, digest);
	static uint8_t buf[CARRY_PIECE];
	uint64_t size = UINT64_MAX;
	struct stat st;
	ssize_t n;
	int r;

	if (blob >= 0 && fstat(blob, &st) == 0 && S_ISREG(st.st_mode))
		size = htole64((uint64_t)st.st_size);
	r = carry_send(t, fd, &size, sizeof(size), e);
	while (r == 0 && size != UINT64_MAX && (n = read(blob, buf, sizeof(buf))) > 0)
		r = carry_send(t, fd, buf, (size_t)n, e);
	return r;
}

void carry_give(struct carry *c, int fd)
{
	_cleanup_tls_ struct ssi_tls *t = NULL;
	uint8_t digest[SSI_HASH_BYTES];
	struct ssi_err e;
	int r = ssi_tls_server(fd, give_key, c, &t, &e);

	if (r >= 0)
		r = carry_handshake(t, fd, &e);
	while (r == 0 && carry_all(t, fd, digest, sizeof(digest), &e) == 0)
		r = give_one(t, fd, c, digest, &e);
	if (t)
		ssi_tls_bye(t);
}

/* --- the taker --- */

static int take_one(struct ssi_tls *t, int fd, struct ssi_blobs *b, const struct item *i, struct ssi_err *e)
{
	static uint8_t buf[CARRY_PIECE];
	struct ssi_blob_writer *w;
	uint64_t size, have = 0;
	int r = carry_send(t, fd, i->digest, SSI_HASH_BYTES, e);

	if (r == 0)
		r = carry_all(t, fd, &size, sizeof(size), e);
	if (r < 0)
		return r;
	if (le64toh(size) != i->size)
		return le64toh(size) == UINT64_MAX ? ssi_errf(e, -ENOENT, "it has not all of them") : ssi_errf(e, -EBADMSG, "another size than was said");
	r = ssi_blobs_write(b, i->digest, i->size, &w, e);
	if (r < 0)
		return r;
	while (r == 0 && have < i->size) {
		ssize_t n = carry_some(t, fd, buf, i->size - have < sizeof(buf) ? (size_t)(i->size - have) : sizeof(buf), e);

		r = n > 0 ? ssi_blob_add(w, have, buf, (size_t)n, e) : n < 0 ? (int)n : ssi_errf(e, -ENODATA, "it ended too early");
		have += n > 0 ? (uint64_t)n : 0;
	}
	if (r == 0)
		return ssi_blob_finish(w, NULL, e);
	ssi_blob_drop(w);
	return r;
}

int carry_take(const struct carry *c, int fd, struct ssi_err *e)
{
	const struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .who = "carry", .incarnation = 1 };
	_cleanup_tls_ struct ssi_tls *t = NULL;
	struct ssi_blobs *b = NULL;
	int r = ssi_tls_client(fd, &id, c->key, &t, e);

	if (r >= 0)
		r = carry_handshake(t, fd, e);
	if (r >= 0)
		r = ssi_blobs_open(c->blobs, 0, &b, e);
	for (size_t i = 0; i < c->n && r >= 0; i++)
		r = take_one(t, fd, b, &c->items[i], e);
	ssi_blobs_close(b);
	return r;
}
