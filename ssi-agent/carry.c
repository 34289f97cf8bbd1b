/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node-carry give BLOBS, node-carry take BLOBS ADDRESS PORT: blobs go from one node to another (doc/jobs.md, "To many nodes"). Started by the agent on the
 * master's word, a process for each side, as a transfer may take long and may fail.
 *
 * On standard input: a key of 32 bytes, and for each blob its digest, to be taken with its size behind it (u64, little-endian). give listens, says the port
 * in a line, and answers those who have the key, about these blobs and no others, until nobody has asked for a minute. The connection is TLS with that key;
 * the taker says a digest, the giver its size (all ones: it is not here) and the bytes. What came is compared with its digest before it is a blob.
 *
 * Exit status of take: 0 all are here now; 1 not. What is missing the taker's keeper asks of the master, as ever.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/comm/sock.h"
#include "libssi/comm/tls.h"
#include "ssi-agent/carriers.h"
#include "ssi/rexec/blobs.h"

#define CARRY_IDLE_MS 60000u             /* so long nobody asked: who was told of us has come, or will not */
#define CARRY_WAIT_MS 10000              /* so long the other end may say nothing */
#define CARRY_TAKERS 4                   /* at a time */
#define CARRY_PIECE (64u << 10)

struct item { uint8_t digest[SSI_HASH_BYTES]; uint64_t size; };
struct carry { const char *blobs; uint8_t key[SSI_TLS_KEY]; struct item *items; size_t n; };

static int carry_read(struct carry *c, bool sizes)
{
	const size_t each = sizes ? sizeof(struct item) : SSI_HASH_BYTES;

	c->items = calloc(CARRIERS_BLOBS, sizeof(*c->items));
	if (!c->items || ssi_fd_read_full(0, c->key, sizeof(c->key)) != sizeof(c->key))
		return -EINVAL;
	while (c->n < CARRIERS_BLOBS && ssi_fd_read_full(0, &c->items[c->n], each) == (ssize_t)each) {
		c->items[c->n].size = le64toh(c->items[c->n].size);
		c->n++;
	}
	return 0;
}

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

static void give_serve(struct carry *c, int fd)
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

static int give(struct carry *c)
{
	struct ssi_err e;
	_cleanup_close_ int door = ssi_sock_listen((struct in_addr){ htonl(INADDR_ANY) }, 0, &e);
	struct sockaddr_in a = { 0 };
	socklen_t n = sizeof(a);
	uint64_t asked = ssi_clock_mono_ms();
	unsigned takers = 0;

	if (door < 0 || getsockname(door, (struct sockaddr *)&a, &n) < 0)
		return 1;
	printf("%u\n", ntohs(a.sin_port));
	fclose(stdout);
	while (takers || ssi_clock_mono_ms() - asked < CARRY_IDLE_MS) {
		struct pollfd p = { .fd = takers < CARRY_TAKERS ? door : -1, .events = POLLIN };
		struct in_addr who;
		int fd = poll(&p, 1, 500) > 0 ? ssi_sock_accept(door, &who) : -1;

		if (fd >= 0) {
			pid_t pid = fork();

			if (pid == 0) {
				give_serve(c, fd);
				_exit(0);
			}
			takers += pid > 0;
			close(fd);
			asked = ssi_clock_mono_ms();
		}
		while (takers && waitpid(-1, NULL, WNOHANG) > 0)
			takers--;
	}
	return 0;
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

static int take_connect(struct in_addr addr, uint16_t port, struct ssi_err *e)
{
	int fd = ssi_sock_connect(addr, port, e), r;
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (fd < 0)
		return fd;
	r = poll(&p, 1, CARRY_WAIT_MS) > 0 ? ssi_sock_error(fd, addr, port, e) : ssi_errf(e, -ETIMEDOUT, "nobody answers");
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static int take(const struct carry *c, struct in_addr addr, uint16_t port)
{
	const struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .who = "carry", .incarnation = 1 };
	_cleanup_tls_ struct ssi_tls *t = NULL;
	struct ssi_blobs *b = NULL;
	struct ssi_err e;
	_cleanup_close_ int fd = take_connect(addr, port, &e);
	int r = fd < 0 ? fd : ssi_tls_client(fd, &id, c->key, &t, &e);

	if (r >= 0)
		r = carry_handshake(t, fd, &e);
	if (r >= 0)
		r = ssi_blobs_open(c->blobs, 0, &b, &e);
	for (size_t i = 0; i < c->n && r >= 0; i++)
		r = take_one(t, fd, b, &c->items[i], &e);
	if (r < 0)
		fprintf(stderr, "node-carry: %s:%u: %s\n", inet_ntoa(addr), port, e.text);
	else
		fprintf(stderr, "node-carry: %zu file%s taken from %s\n", c->n, ssi_num_plural(c->n), inet_ntoa(addr));
	ssi_blobs_close(b);
	return r < 0;
}

int main(int argc, char **argv)
{
	struct carry c = { .blobs = argc > 2 ? argv[2] : NULL };
	struct in_addr addr;
	uint32_t port;
	int r = 2;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "give") && carry_read(&c, false) == 0)
		r = give(&c);
	else if (argc == 5 && !strcmp(argv[1], "take") && inet_aton(argv[3], &addr) && ssi_num_u32(argv[4], 1, 65535, &port) == 0 && carry_read(&c, true) == 0)
		r = take(&c, addr, (uint16_t)port);
	else
		fputs("Usage: node-carry give BLOBS | node-carry take BLOBS ADDRESS PORT\nBrings blobs from node to node. ssi-agent starts it.\n", stderr);
	explicit_bzero(c.key, sizeof(c.key));
	free(c.items);
	return r;
}
